"""The command line of the central system."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ocpp_control import complain
from ocpp_core import StoreError

from .service import Launch, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; returns the exit status: 0, 1 for a failure, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m ocpp_central", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="0: any that is free (default: %(default)s)")
    parser.add_argument("--store", type=Path, required=True, help="file for durable state")
    parser.add_argument("--token", action="append", help="a token to accept, repeatable (default: all)")
    parser.add_argument("--heartbeat", type=int, default=300, help="seconds (default: %(default)s)")
    options = parser.parse_args(argv)
    launch = Launch(
        host=options.host,
        port=options.port,
        store=options.store,
        tokens=None if options.token is None else frozenset(token.casefold() for token in options.token),
        heartbeat=options.heartbeat,
    )
    status = 1
    try:
        run(launch)
        status = 0
    except* (OSError, StoreError) as errors:
        complain("ocpp_central", errors)
    return status
