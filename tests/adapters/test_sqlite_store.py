"""The SQLite store: nothing acknowledged is lost, nothing tears, and whatever is wrong is said clearly."""

import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_adapters.sqlite_store import APPLICATION_ID, SCHEMA_VERSION, SqliteStore
from ocpp_adapters.stores import Finish, GroupCommitter, MemoryStores, StoreWriteError, inline
from ocpp_core import LocalProtocolError, StoreError
from ocpp_core.store import Commit, Delete, MemoryStore, Put, Snapshot

COMMITTER = Path(__file__).with_name("committer.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.sqlite"


def put(key: str, row: str, table: str = "t") -> Commit:
    return Commit((Put(table, key, row),))


# --- what is written is there


def test_rows_survive_reopening(path: Path) -> None:
    store = SqliteStore(path)
    store.commit(Commit((Put("a", "1", '{"x":1}'), Put("b", "1", "☃\0"), Put("a", "2", ""))))
    store.commit(Commit((Delete("a", "2"), Delete("a", "never there"), Put("a", "1", '{"x":2}'))))
    store.close()
    store.close()
    assert SqliteStore(path).load() == {"a": {"1": '{"x":2}'}, "b": {"1": "☃\0"}}


def test_scopes_do_not_see_each_other(path: Path) -> None:
    store = SqliteStore(path)
    store.commit_all([("CP1", put("k", "one")), ("CP2", put("k", "two")), ("", put("k", "mine"))])
    store.commit(Commit((Delete("t", "k"),)), "CP2")
    assert [store.load(scope) for scope in ("CP1", "CP2", "")] == [
        {"t": {"k": "one"}},
        {},
        {"t": {"k": "mine"}},
    ]


changes = st.lists(
    st.one_of(
        st.builds(Put, st.sampled_from("ab"), st.sampled_from("12"), st.text(max_size=20)),
        st.builds(Delete, st.sampled_from("ab"), st.sampled_from("12")),
    ),
    max_size=4,
    unique_by=lambda change: (change.table, change.key),
)


@given(commits=st.lists(changes, max_size=6))
def test_any_commits_load_as_from_the_memory_store(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[Put | Delete]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "rows.sqlite"
    store, model = SqliteStore(path), MemoryStore()
    for changes_ in commits:
        store.commit(Commit(tuple(changes_)))
        model.commit(Commit(tuple(changes_)))
    store.close()
    reopened = SqliteStore(path)
    assert reopened.load() == model.load()
    reopened.close()


def test_the_file_is_private_durable_and_marked(path: Path) -> None:
    store = SqliteStore(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert store._connection is not None
    ask = store._connection.execute
    assert [ask(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")] == ["wal", 2]
    store.close()
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert plain.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    plain.close()


def test_a_closed_store_refuses(path: Path) -> None:
    store = SqliteStore(path)
    store.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        store.load()
    with pytest.raises(LocalProtocolError, match="closed"):
        store.commit(put("k", "r"))


# --- power loss


def test_kill_in_a_loop_of_commits_loses_and_tears_nothing(path: Path) -> None:
    acknowledged = 0
    for life in range(8):
        child = subprocess.Popen(
            [sys.executable, str(COMMITTER), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(5 + 7 * life):
            acknowledged = int(child.stdout.readline())
        child.kill()
        rest, _ = child.communicate()
        whole = [line for line in rest.split("\n")[:-1] if line]
        acknowledged = int(whole[-1]) if whole else acknowledged
        store = SqliteStore(path)
        rows = store.load()
        store.close()
        kept = {table: int(row["n"]) for table, row in rows.items()}
        # At most the one commit whose acknowledgement was cut off may be there in addition.
        assert kept["left"] == kept["middle"] == kept["right"]
        assert acknowledged <= kept["left"] <= acknowledged + 1


# --- disk full


def test_the_log_of_a_small_store_stays_small(path: Path) -> None:
    """Else it fills a small disk by itself, and then nothing can be written any more."""
    store = SqliteStore(path)
    for _ in range(20):
        store.commit(Commit((Put("table", "key", "x" * 100_000),)))
    assert path.with_name(f"{path.name}-wal").stat().st_size < 800_000
    store.close()


def test_a_full_database_refuses_the_whole_commit_and_recovers(path: Path) -> None:
    store = SqliteStore(path)
    store.commit(put("k", "before"))
    assert store._connection is not None
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreWriteError, match="full"):
        store.commit(Commit((Put("t", "k", "after"), Put("t", "big", "x" * 100_000))))
    assert store.load() == {"t": {"k": "before"}}
    store.commit(put("k", "small"))
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.commit(put("big", "x" * 100_000))
    assert store.load() == {"t": {"k": "small", "big": "x" * 100_000}}


def test_a_file_size_limit_is_a_failed_commit(path: Path) -> None:
    store = SqliteStore(path)
    store.commit(put("k", "before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(StoreWriteError):
            store.commit(put("big", "x" * 200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.commit(put("k", "after"))
    store.close()
    assert SqliteStore(path).load() == {"t": {"k": "after"}}


def test_what_is_no_text_is_a_failed_commit(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(StoreWriteError):
        store.commit(Commit((Put("t", "good", "row"), Put("t", "bad", "\ud800"))))
    assert store.load() == {}


# --- the wrong file


def test_a_second_process_is_told_that_the_file_is_in_use(path: Path) -> None:
    store = SqliteStore(path)
    child = subprocess.run(
        [sys.executable, str(COMMITTER), str(path)], capture_output=True, text=True, timeout=60
    )
    assert f"StoreWriteError: {path} is in use by another process" in child.stderr
    with pytest.raises(StoreWriteError, match="in use"):
        SqliteStore(path)
    store.close()
    SqliteStore(path).close()


def foreign(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    SqliteStore(path).close()
    foreign(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"newer version.* schema is {SCHEMA_VERSION + 1}"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    foreign(path, "CREATE TABLE songs (title)", "INSERT INTO songs VALUES ('x')")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look at" * 40, b"short"])
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged, or no store"):
        SqliteStore(path)
    assert path.read_bytes() == content


def test_a_damaged_header_is_refused(path: Path) -> None:
    filled(path)
    data = bytearray(path.read_bytes())
    data[0:16] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        SqliteStore(path)


def test_damaged_pages_are_refused(path: Path) -> None:
    filled(path)
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        SqliteStore(path).load()


def test_a_flipped_bit_in_a_row_is_noticed(path: Path) -> None:
    filled(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"row 77 of many", b"row 76 of many"))
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="damaged: row 'key 77' of table 't' has changed"):
        store.load()


def filled(path: Path) -> None:
    store = SqliteStore(path)
    store.commit(Commit(tuple(Put("t", f"key {n}", f"row {n} of many") for n in range(500))))
    store.close()


def test_a_place_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open"):
        SqliteStore(tmp_path / "no such folder" / "rows.sqlite")
    with pytest.raises(StoreError, match="cannot open"):
        SqliteStore(tmp_path)


# --- committers


def test_inline_reports_at_once(path: Path) -> None:
    store, heard = SqliteStore(path), list[object]()
    inline(store)(put("k", "r"), heard.append)
    inline(store)(put("k", "\ud800"), heard.append)
    assert heard[0] is None
    assert isinstance(heard[1], StoreWriteError)


class Disk:
    """A submit that works when told to, as a busy disk does."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], Finish]] = []

    def __call__(self, work: Callable[[], Finish]) -> None:
        self.jobs.append(work)

    def run(self) -> None:
        self.jobs.pop(0)()()


def test_what_comes_during_a_write_goes_together_into_the_next(path: Path) -> None:
    store, disk, heard = SqliteStore(path), Disk(), list[object]()
    group = GroupCommitter(store, disk)
    for number in range(4):
        group.committer(f"CP{number}")(put("k", "r"), lambda error, n=number: heard.append(f"{n} {error}"))
    group.load("CP3", heard.append)
    assert (len(disk.jobs), heard) == (1, [])
    disk.run()
    assert (len(disk.jobs), heard) == (1, ["0 None"])
    disk.run()
    assert (len(disk.jobs), heard[1:]) == (0, ["1 None", "2 None", "3 None", {"t": {"k": "r"}}])
    assert all(store.load(f"CP{number}") == {"t": {"k": "r"}} for number in range(4))


def test_a_commit_that_cannot_be_written_fails_alone(path: Path) -> None:
    store, disk, heard = SqliteStore(path), Disk(), dict[str, object]()
    group = GroupCommitter(store, disk)

    def hear(name: str, commit: Commit) -> None:
        group.committer(name)(commit, lambda error: heard.__setitem__(name, error))

    group.committer("a")(put("k", "r"), lambda error: hear("a", put("k", "again")))
    hear("b", put("k", "\ud800"))
    hear("c", put("k", "r"))
    while disk.jobs:
        disk.run()
    assert {name: type(error) for name, error in heard.items()} == {
        "a": type(None),
        "b": StoreWriteError,
        "c": type(None),
    }
    assert [store.load(name) for name in "abc"] == [{"t": {"k": "again"}}, {}, {"t": {"k": "r"}}]


def test_whatever_goes_wrong_in_a_store_is_told() -> None:
    class Broken:
        def commit_all(self, commits: object) -> None:
            raise RuntimeError("no")

        def load(self, scope: str) -> Snapshot:
            raise StoreError("damaged")

    disk, heard = Disk(), list[object]()
    group = GroupCommitter(Broken(), disk)
    group.committer("a")(put("k", "r"), heard.append)
    disk.run()
    group.load("a", heard.append)
    disk.run()
    assert [type(error) for error in heard] == [StoreWriteError, StoreError]


def test_memory_stores_keep_scopes_apart() -> None:
    stores, heard = MemoryStores(), list[object]()
    stores.load("a", heard.append)
    stores.committer("a")(put("k", "r"), heard.append)
    stores.load("a", heard.append)
    stores.load("b", heard.append)
    assert heard == [{}, None, {"t": {"k": "r"}}, {}]


def test_commits_from_many_threads_are_kept(path: Path) -> None:
    store = SqliteStore(path)
    threads = [
        threading.Thread(target=lambda n=n: [store.commit(put(f"{n}.{i}", "r")) for i in range(10)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.load()["t"]) == 40
