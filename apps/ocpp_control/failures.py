"""What a program says when it cannot go on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ocpp_core import ConfigurationError


def complain(program: str, error: BaseException) -> None:
    """Say on standard error what went wrong, a line each, out of however many task groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            complain(program, inner)
    else:
        print(f"{program}: {error}", file=sys.stderr)


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """For what imports from an extra of this distribution. Raises ConfigurationError: it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error}: pip install 'ocpp-core[{extra}]'") from error
