"""Lengths in TSS2 key files: every form that DER and BER writers use, and those that make no sense."""

import base64

import pytest

from ocpp_security.keys import KeyFormatError
from ocpp_security.keys.tss2 import (
    LOADABLE_KEY,
    MAX_FILE_SIZE,
    OWNER,
    KeyFile,
    WrappedKey,
    parse,
    parse_der,
)

SIZES = {
    0: "00",
    1: "01",
    127: "7f",
    128: "8180",
    129: "8181",
    255: "81ff",
    256: "820100",
    257: "820101",
    40_000: "829c40",
}


def der_of(key: WrappedKey) -> bytes:
    lines = KeyFile(None, key).encode().splitlines()
    return base64.b64decode(b"".join(lines[1:-1]), validate=True)


@pytest.mark.parametrize("size", SIZES)
def test_an_element_of_any_length_is_written_as_der_and_read(size: int) -> None:
    key = WrappedKey(OWNER, False, b"p" * size, b"s")
    der = der_of(key)
    element = bytes.fromhex(f"04{SIZES[size]}") + b"p" * size
    inner = (
        LOADABLE_KEY + bytes.fromhex("a003010100") + bytes.fromhex("020440000001") + element + b"\x04\x01s"
    )
    assert der.endswith(inner)
    assert parse_der(der) == key
    for at in (len(der) - len(inner), len(der) - 1):
        with pytest.raises(KeyFormatError):
            parse_der(der[:at])


def with_length(length: str, value: bytes = b"pub") -> bytes:
    """A structure whose public part has its length written so."""
    public = b"\x04" + bytes.fromhex(length) + value
    content = LOADABLE_KEY + bytes.fromhex("020440000001") + public + b"\x04\x01s"
    return bytes((0x30, 0x81, len(content))) + content


@pytest.mark.parametrize("length", ["03", "8103", "820003", "83000003"])
def test_a_length_may_be_longer_than_it_need_be(length: str) -> None:
    assert parse_der(with_length(length)) == WrappedKey(OWNER, False, b"pub", b"s")


@pytest.mark.parametrize("length", ["80", "8400000003", "ff", "fe"])
def test_a_length_that_makes_no_sense(length: str) -> None:
    with pytest.raises(KeyFormatError, match="makes no sense"):
        parse_der(with_length(length))


@pytest.mark.parametrize("length", ["07", "8107", "820007", "83000007", "7f", "83ffffff"])
def test_a_length_beyond_the_end(length: str) -> None:
    """One octet more than there is, and many."""
    with pytest.raises(KeyFormatError, match="cut off"):
        parse_der(with_length(length))


@pytest.mark.parametrize(
    ("der", "complaint"),
    [
        ("30", "makes no sense"),
        ("3081", "makes no sense"),
        ("308200", "makes no sense"),
        ("30820000", "damaged at octet 0"),
        ("3003", "cut off"),
        ("3000", "damaged at octet 0"),
        ("300006", "trailing"),
    ],
)
def test_a_header_that_ends_too_early(der: str, complaint: str) -> None:
    with pytest.raises(KeyFormatError, match=complaint):
        parse_der(bytes.fromhex(der))


def test_an_old_writers_negative_parent_is_the_same_handle() -> None:
    content = LOADABLE_KEY + bytes.fromhex("020481000001") + b"\x04\x01p\x04\x01s"
    short = LOADABLE_KEY + bytes.fromhex("0201ff") + b"\x04\x01p\x04\x01s"
    assert parse_der(bytes((0x30, len(content))) + content).parent == 0x81000001
    with pytest.raises(KeyFormatError, match="0xffffffff is no persistent handle"):
        parse_der(bytes((0x30, len(short))) + short)


def test_the_longest_file_is_read_and_base64_is_taken_at_its_word() -> None:
    text = KeyFile(None, WrappedKey(OWNER, True, b"p", b"s")).encode()
    assert parse(text.ljust(MAX_FILE_SIZE)) == parse(text)
    with pytest.raises(KeyFormatError, match="too large"):
        parse(text.ljust(MAX_FILE_SIZE + 1))
    with pytest.raises(KeyFormatError, match="base64"):
        parse(text.replace(b"\n-----END", b"=AAAA\n-----END"))
