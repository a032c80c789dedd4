"""What a program says when it cannot go on."""

import sys


def complain(program: str, error: BaseException) -> None:
    """Say on standard error what went wrong, a line each, out of however many task groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            complain(program, inner)
    else:
        print(f"{program}: {error}", file=sys.stderr)
