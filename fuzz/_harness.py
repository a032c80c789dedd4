"""What the fuzz targets share: run one under atheris, and cut its input the way the input says."""

import sys
from collections.abc import Callable, Iterator


def run(target: Callable[[bytes], None]) -> None:
    """Fuzz ``target`` with libFuzzer's arguments from the command line: corpus folders, ``-max_total_time``.

    Finding files go where ``-artifact_prefix`` says. The code under test must be imported inside
    ``atheris.instrument_imports()`` for coverage to guide the search.
    """
    import atheris

    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


def chunks(data: bytes, rhythm: int) -> Iterator[bytes]:
    """``data`` in pieces whose sizes follow from ``rhythm`` (0 to 255): all at once, or 1 to 64 bytes."""
    if rhythm < 64:
        yield data
        return
    position = 0
    while position < len(data):
        size = 1 + rhythm % 64
        yield data[position : position + size]
        position += size
        rhythm = (rhythm * 5 + 1) % 251
