"""TSS2 key files, read without a TPM: what was written, what others write, and whatever else comes."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.keys import KeyFormatError, KeyStoreError, KeyUnsuitableError
from ocpp_security.keys.tss2 import (
    LOADABLE_KEY,
    MAX_FILE_SIZE,
    OWNER,
    PERSISTENT,
    KeyFile,
    WrappedKey,
    is_tpm_file,
    parse,
    parse_der,
)

handles = st.integers(PERSISTENT.start, PERSISTENT.stop - 1)
wrapped_keys = st.builds(
    WrappedKey,
    parent=st.just(OWNER) | handles,
    empty_auth=st.booleans(),
    public=st.binary(max_size=400),
    private=st.binary(max_size=400),
)
KEY = WrappedKey(OWNER, True, b"public", b"private" * 30)


def der_of(key: WrappedKey = KEY) -> bytes:
    lines = KeyFile(None, key).encode().splitlines()
    return base64.b64decode(b"".join(lines[1:-1]))


def element(tag: int, value: bytes) -> bytes:
    assert len(value) < 0x80
    return bytes((tag, len(value))) + value


def structure(*optional: bytes, oid: bytes = LOADABLE_KEY, parent: bytes = b"\x40\0\0\1") -> bytes:
    """The structure with other parts than ours has."""
    parts = (oid, *optional, element(2, parent), element(4, b"pub"), element(4, b"priv"))
    return element(0x30, b"".join(parts))


EMPTY = element(0xA0, b"\x01\x01\xff")


@given(wrapped=wrapped_keys, handle=st.none() | handles)
def test_what_was_written_is_read(wrapped: WrappedKey, handle: int | None) -> None:
    file = KeyFile(handle, wrapped)
    data = file.encode()
    assert is_tpm_file(data)
    assert parse(data) == file
    assert parse(b"text before\r\n" + data.replace(b"\n", b"\r\n") + b"text after") == file
    assert max(map(len, data.splitlines())) <= 64


@given(handle=handles)
def test_a_handle_alone(handle: int) -> None:
    assert parse(KeyFile(handle, None).encode()) == KeyFile(handle, None)


def test_the_private_part_is_not_shown() -> None:
    assert "private" not in repr(KeyFile(None, KEY))


@given(data=st.binary(max_size=200))
def test_any_octets(data: bytes) -> None:
    for read in (parse, parse_der):
        with pytest.raises(KeyStoreError):
            read(data)


@given(at=st.integers(0, 1000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_read_or_refused(at: int, bit: int) -> None:
    data = bytearray(der_of())
    data[at % len(data)] ^= 1 << bit
    try:
        key = parse_der(bytes(data))
    except KeyStoreError:
        return
    assert key != KEY or at % len(data) in range(11, 17)  # within the flag: any value but zero is true


@given(cut=st.integers(0, len(der_of()) - 1))
def test_a_cut_off_file_is_refused(cut: int) -> None:
    with pytest.raises(KeyFormatError):
        parse_der(der_of()[:cut])


@pytest.mark.parametrize(
    ("der", "empty_auth", "parent"),
    [
        (structure(EMPTY), True, OWNER),
        (structure(), False, OWNER),
        (structure(element(0xA0, b"\x01\x01\x01")), True, OWNER),
        (structure(element(0xA0, b"\x01\x01\x00")), False, OWNER),
        (structure(EMPTY, element(0xA4, element(12, b"description"))), True, OWNER),
        (structure(EMPTY, parent=b"\0\x81\0\0\1"), True, 0x81000001),
        (structure(EMPTY, parent=b"\x81\0\0\1"), True, 0x81000001),  # negative: as old writers do
    ],
)
def test_what_others_write(der: bytes, empty_auth: bool, parent: int) -> None:
    assert parse_der(der) == WrappedKey(parent, empty_auth, b"pub", b"priv")


@pytest.mark.parametrize(
    ("der", "error", "complaint"),
    [
        (structure(oid=bytes.fromhex("06066781050a0104")), KeyUnsuitableError, "another kind"),
        (structure(EMPTY, element(0xA1, b"policy")), KeyUnsuitableError, "policy"),
        (structure(EMPTY, element(0xA2, b"secret")), KeyUnsuitableError, "policy"),
        (structure(EMPTY, parent=b"\x40\0\0\7"), KeyFormatError, "no persistent handle"),
        (structure(EMPTY) + b"\0", KeyFormatError, "trailing"),
        (element(0x30, structure(EMPTY)[2:] + b"\0"), KeyFormatError, "trailing"),
        (structure(element(0xA0, b"\x02\x01\xff")), KeyFormatError, "damaged"),
        (b"\x30\x84\0\0\0\1", KeyFormatError, "makes no sense"),
        (b"\x30\x80", KeyFormatError, "makes no sense"),
        (b"\x30", KeyFormatError, "makes no sense"),
        (b"", KeyFormatError, "damaged"),
    ],
)
def test_what_is_refused(der: bytes, error: type[KeyStoreError], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        parse_der(der)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "neither"),
        (b"-----BEGIN TSS2 PRIVATE KEY-----\nAAA\n", "neither"),
        (b"-----BEGIN TSS2 PRIVATE KEY-----\nA\n-----END TSS2 PRIVATE KEY-----", "base64"),
        (b"handle:0x80000000\n", "no persistent handle"),
        (b"handle:0x81800000\n", "no persistent handle"),
        (b" " * (MAX_FILE_SIZE + 1), "too large"),
    ],
)
def test_files_that_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(KeyFormatError, match=complaint):
        parse(data)


def test_what_is_not_a_tpms() -> None:
    for data in (b"", b"-----BEGIN PRIVATE KEY-----\n", b"the handle:0x81000001", b"handle:0x8100000"):
        assert not is_tpm_file(data)
