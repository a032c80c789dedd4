"""Run the demo; exit status 0 only if every session was billed exactly as it was delivered."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .ledger import Pair, billed, delivered, match
from .peers import DemoError, Peer
from .scenario import SCENARIOS, Charger
from .transcript import Transcript

_LIMIT = 90.0


def main() -> int:
    """Run it in a directory of its own, which is gone afterwards."""
    transcript = Transcript()
    with TemporaryDirectory(prefix="ocpp-demo-") as directory:
        try:
            return asyncio.run(_demo(Path(directory), transcript))
        except DemoError as error:
            transcript.say(f"The demo failed: {error}", good=False)
        except KeyboardInterrupt:
            transcript.say("Interrupted", good=False)
        except TimeoutError:
            transcript.say(f"The demo did not end within {_LIMIT:g} seconds", good=False)
    return 1


async def _demo(directory: Path, transcript: Transcript) -> int:
    central = Peer("central", transcript.tell)
    chargers: list[Charger] = []
    try:
        async with asyncio.timeout(_LIMIT):
            await central.start("ocpp_central", "--port", "0", "--store", str(directory / "central.sqlite"))
            port = (await central.until("it listens", lambda event: event["event"] == "listening"))["port"]
            transcript.story(f"A central system listens on 127.0.0.1:{port}.")
            chargers += [
                Charger(name, version, central, port, directory, transcript) for name, version, _ in SCENARIOS
            ]
            async with asyncio.TaskGroup() as group:
                for charger, (_, _, scenario) in zip(chargers, SCENARIOS, strict=True):
                    group.create_task(scenario(charger))
            return await _compare(central, chargers, transcript)
    except* DemoError as errors:
        raise DemoError("; ".join(map(str, errors.exceptions))) from None
    finally:
        for peer in (central, *(charger.peer for charger in chargers)):
            await peer.kill()


async def _compare(central: Peer, chargers: list[Charger], transcript: Transcript) -> int:
    """Ask both sides, show the answers, and decide."""
    bills = (await central.ask("billed"))["transactions"]
    pairs: dict[str, list[Pair]] = {}
    metered = True
    for charger in chargers:
        sessions = delivered(charger.peer.events)
        pairs[charger.name] = match(sessions, billed(bills, charger.name))
        register = await charger.register_wh()
        metered = metered and register == sum(session.energy_wh or 0 for session in sessions)
        await charger.peer.quit()
    await central.quit()
    transcript.table(pairs, {charger.name: charger.version for charger in chargers})
    agreed = all(pair.agrees for found in pairs.values() for pair in found)
    if agreed and metered:
        transcript.say("Both sides agree, and the meters counted nothing besides.", good=True)
        return 0
    transcript.say("The two sides do not agree." if metered else "The meters counted more.", good=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())
