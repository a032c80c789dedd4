"""The command ``ocpp``: ``station`` emulates a charging station, ``replay`` repeats a recording, ``doctor``
finds out why a station cannot connect."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ocpp_core import ConfigurationError, StoreError

from . import doctor

try:
    from ocpp_control import complain
except ModuleNotFoundError as missing:  # the command is installed with the core alone
    raise SystemExit(f"ocpp: {missing}: pip install 'ocpp-core[apps]'") from missing


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 for a failure, 2 for a command line that is wrong."""
    options = _parser().parse_args(argv)
    status = 1
    try:
        status = int(options.run(options))
    except* (ConfigurationError, StoreError, OSError) as errors:
        complain("ocpp", errors)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ocpp", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_station(commands.add_parser("station", help="emulate a charging station"))
    replay = commands.add_parser("replay", help="repeat a recording and show the first difference")
    replay.add_argument("file", metavar="FILE", help="a recording (JSON lines)")
    replay.set_defaults(run=_replay)
    doctor.add_parser(commands.add_parser("doctor", help="find out what is wrong, and say it in words"))
    return parser


def _add_station(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="of the central system; the identity is appended")
    parser.add_argument("--id", required=True, help="the station's identity")
    parser.add_argument("--version", help="to offer, in order: 1.6, 2.0.1, 2.1 (default: 2.1,2.0.1,1.6)")
    parser.add_argument("--store", type=Path, help="file for durable state (default: none)")
    parser.add_argument("--record", type=Path, help="file for a recording that ocpp replay can repeat")
    parser.add_argument("--config", type=Path, help="the station's configuration, a JSON file")
    parser.add_argument(
        "--security", type=Path, help="password, certificates and keys, a JSON file or a directory"
    )
    parser.add_argument("--control", choices=["stdio"], help="take commands from standard input")
    parser.add_argument("--quiet", action="store_true", help="write answers only, no events")
    parser.set_defaults(run=_station, parser=parser)


def _station(options: argparse.Namespace) -> int:
    from .config import load_config  # only now: the other commands need none of this
    from .networks import Defaults, parse_versions, plan
    from .process import Launch, run
    from .security import load_security

    if options.url is None and options.config is None:
        options.parser.error("--url is needed, unless a configuration has it")
    versions = None if options.version is None else parse_versions(options.version.split(","))
    config = load_config(options.config, versions)
    defaults = Defaults(options.id, options.url, load_security(options.security))
    networks = plan(config.networks, config.link, defaults)
    run(
        Launch(
            station=replace(config.station, network_profiles=tuple(it.profile for it in networks)),
            routes={it.profile.slot: it.routes for it in networks},
            store=options.store,
            record=options.record,
            control=options.control is not None,
            quiet=options.quiet,
        )
    )
    return 0


def _replay(options: argparse.Namespace) -> int:
    from ocpp_adapters.replay import main as replay

    return int(replay([options.file]))
