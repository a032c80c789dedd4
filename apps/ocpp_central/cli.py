"""The command line of the central system."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ocpp_adapters.tls_peer import Revoked
from ocpp_adapters.tls_policy import SecurityProfile
from ocpp_control import complain, needing
from ocpp_core import ConfigurationError, StoreError

from .access import access
from .service import Launch, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; returns the exit status: 0, 1 for a failure, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m ocpp_central", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="0: any that is free (default: %(default)s)")
    parser.add_argument("--store", type=Path, required=True, help="file for durable state")
    parser.add_argument("--token", action="append", help="a token to accept, repeatable (default: all)")
    parser.add_argument("--heartbeat", type=int, default=300, help="seconds (default: %(default)s)")
    _add_access(parser)
    options = parser.parse_args(argv)
    status = 1
    try:
        run(_launch(options))
        status = 0
    except* (ConfigurationError, OSError, StoreError) as errors:
        complain("ocpp_central", errors)
    return status


def _add_access(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stations", type=Path, metavar="FILE", help="who may connect, JSON (default: all)")
    parser.add_argument(
        "--security-profile", type=int, choices=list(map(int, SecurityProfile)), help="of every station"
    )
    for option, text in (
        ("--tls-cert", "certificate chain; twice: one RSA, one ECDSA"),
        ("--tls-key", "its private key (default: in the same file)"),
        ("--client-ca", "trust anchors of the stations' certificates (profile 3)"),
        ("--crl", "a revocation list; if there is one, there must be one of every issuer (profile 3)"),
    ):
        parser.add_argument(option, type=Path, action="append", default=[], metavar="FILE", help=text)
    parser.add_argument(
        "--ocsp", action="store_true", help="ask whether the stations' certificates are revoked (profile 3)"
    )
    parser.add_argument(
        "--status-unknown",
        choices=["refuse", "accept"],
        default="refuse",
        help="what follows if nobody can say (default: %(default)s)",
    )


def _launch(options: argparse.Namespace) -> Launch:
    profile = options.security_profile
    return Launch(
        host=options.host,
        port=options.port,
        store=options.store,
        tokens=None if options.token is None else frozenset(token.casefold() for token in options.token),
        heartbeat=options.heartbeat,
        access=access(
            None if profile is None else SecurityProfile(profile),
            options.stations,
            options.tls_cert,
            options.tls_key,
            options.client_ca,
            _revoked(options),
        ),
    )


def _revoked(options: argparse.Namespace) -> Revoked | None:
    if not (options.crl or options.ocsp):
        return None
    with needing("security"):
        from ocpp_security.inquiry import WhenUnknown

        from .revocation import revocation  # only now: it needs more than the rest
    return revocation(options.crl, ask=options.ocsp, unknown=WhenUnknown(options.status_unknown))
