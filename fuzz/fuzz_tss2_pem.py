"""Fuzz key files of a TPM: ``python fuzz/fuzz_tss2_pem.py fuzz/corpus/tss2_pem``."""

import atheris

with atheris.instrument_imports(include=["ocpp_security"]):
    from ocpp_security.keys.errors import KeyStoreError
    from ocpp_security.keys.tss2 import MAX_FILE_SIZE, is_tpm_file, parse

from _harness import run


def one_input(data: bytes) -> None:
    recognised = is_tpm_file(data)
    try:
        file = parse(data)
    except KeyStoreError:
        return
    assert recognised
    assert len(data) <= MAX_FILE_SIZE
    assert file.handle is not None or file.wrapped is not None
    assert parse(file.encode()) == file


if __name__ == "__main__":
    run(one_input)
