"""``ocpp doctor tls URL``: what is wrong between a station and its CSMS's TLS, in words."""

import argparse
from pathlib import Path

from ocpp_adapters.binding import Binding
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.tls_policy import Names
from ocpp_core import ConfigurationError


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The options of ``ocpp doctor``."""
    subjects = parser.add_subparsers(title="subjects", required=True, metavar="SUBJECT")
    tls = subjects.add_parser("tls", help="explain a CSMS's TLS: chain, names, validity, ciphers, keys")
    tls.add_argument("url", metavar="URL", help="the connection URL, wss://...")
    tls.add_argument("--security", type=Path, help="all of that as ocpp station takes it")
    tls.add_argument(
        "--ca", type=Path, action="append", default=[], help="trust anchors (default: the system's)"
    )
    tls.add_argument("--cert", type=Path, help="the station's certificate chain, for security profile 3")
    tls.add_argument("--key", type=Path, help="its private key (default: in the same file)")
    tls.add_argument("--crl", type=Path, action="append", default=[], help="revocation lists")
    tls.add_argument("--ocsp", action="store_true", help="ask whether the CSMS's certificates are revoked")
    tls.add_argument("--allow-wildcards", action="store_true", help="as AllowCSMSTLSWildcards")
    tls.add_argument("--interface", default="", help="leave by this network interface, or own address")
    tls.add_argument("--proxy", help="http://[user:password@]host:port")
    tls.add_argument("--timeout", type=float, default=10.0, help="seconds for each connection")
    tls.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        from .doctor_checks import Question, examine  # only now: it needs the extra "security"
        from .doctor_words import Verdict
        from .security import Security, load_security
    except ModuleNotFoundError as error:
        raise ConfigurationError("the doctor needs more: pip install 'ocpp-core[security]'") from error
    security = Security(
        trust=tuple(options.ca),
        chain=options.cert,
        key=options.key or options.cert,
        crls=tuple(options.crl),
        names=Names.WILDCARD if options.allow_wildcards else Names.EXACT,
    )
    if options.security is not None:
        if security != Security():
            raise ConfigurationError("--security says all that --ca, --cert, --key, … do: one or the other")
        security = load_security(options.security)
    question = Question(
        url=options.url,
        security=security,
        binding=Binding.parse(options.interface),
        proxy=None if options.proxy is None else Proxy.parse(options.proxy),
        timeout=options.timeout,
        ocsp=options.ocsp or security.ocsp,
    )
    worst = Verdict.OK
    for finding in examine(question):
        print(finding, flush=True)
        if finding.verdict is Verdict.PROBLEM:
            worst = Verdict.PROBLEM
    print("There is something to mend." if worst is Verdict.PROBLEM else "A station can connect.")
    return int(worst is Verdict.PROBLEM)
