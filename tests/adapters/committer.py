"""A process that commits as fast as it can and says so, until it is killed. Run by test_sqlite_store."""

import sys

from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_core.store import Commit, Put


def main(path: str) -> None:
    store = SqliteStore(path)
    number = int(store.load().get("left", {}).get("n", "0"))
    while True:
        number += 1
        # Three rows that must always agree: a torn commit shows as a difference between them.
        store.commit(Commit(tuple(Put(table, "n", str(number)) for table in ("left", "middle", "right"))))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
