"""Rows: what a commit holds, what a failed one gives back, and typed tables over them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import StoreError
from ocpp_core.station.tables import BootRow, Table, order_key
from ocpp_core.store import Commit, Delete, MemoryStore, Put, Tables


def test_changes_come_out_once_and_equal_rows_not_at_all():
    tables = Tables({"a": {"1": "x"}, "none": {}})
    assert not tables.dirty
    tables.put("a", "1", "x")
    tables.delete("a", "2")
    tables.delete("b", "1")
    assert not tables.dirty
    tables.put("a", "1", "y")
    tables.put("a", "2", "z")
    tables.delete("a", "2")
    assert tables.dirty
    assert set(tables.take().changes) == {Put("a", "1", "y"), Delete("a", "2")}
    assert not tables.dirty
    assert tables.snapshot() == {"a": {"1": "y"}}
    assert tables.get("a", "1") == "y"
    assert tables.get("a", "2") is None


def test_a_snapshot_is_a_copy():
    given_rows = {"a": {"1": "x"}}
    tables = Tables(given_rows)
    tables.snapshot()["a"]["1"] = "changed"
    given_rows["a"]["1"] = "changed"
    assert tables.snapshot() == {"a": {"1": "x"}}


def test_a_failed_commit_is_owed_again_under_what_came_later():
    tables = Tables()
    tables.put("a", "1", "old")
    tables.put("a", "2", "kept")
    tables.take()
    tables.put("a", "1", "new")
    tables.failed()
    assert set(tables.take().changes) == {Put("a", "1", "new"), Put("a", "2", "kept")}
    tables.failed()
    tables.failed()  # twice is harmless
    assert len(tables.take().changes) == 2


changes = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "commit", "fail"]), st.sampled_from("abc"), st.sampled_from("xyz")
    )
)


@given(changes)
def test_the_store_ends_up_with_what_the_tables_hold(steps):
    """Whatever is put, deleted, committed and refused in between: one good commit makes both equal."""
    tables, store = Tables(), MemoryStore()
    for verb, key, row in steps:
        if verb == "put":
            tables.put("t", key, row)
        elif verb == "delete":
            tables.delete("t", key)
        elif tables.dirty:
            commit = tables.take()
            keys = [(change.table, change.key) for change in commit.changes]
            assert len(set(keys)) == len(keys)
            if verb == "commit":
                store.commit(commit)
            else:
                tables.failed()
    if tables.dirty:
        store.commit(tables.take())
    assert store.load() == tables.snapshot()


def test_the_memory_store_keeps_commits():
    store = MemoryStore({"a": {"1": "x"}})
    store.commit(Commit((Put("a", "2", "y"), Delete("a", "1"), Delete("b", "1"))))
    assert store.load() == {"a": {"2": "y"}}


def test_typed_rows_survive_the_store():
    tables = Tables()
    table = Table(tables, "boots", BootRow)
    table.put("2", BootRow(1.5))
    table.put("10", BootRow(2.5, None, 3.0))
    again = Table(Tables(tables.snapshot()), "boots", BootRow)
    assert again.items() == table.items() == [("10", BootRow(2.5, None, 3.0)), ("2", BootRow(1.5))]
    assert again.numbered() == [(2, BootRow(1.5)), (10, BootRow(2.5, None, 3.0))]
    again.delete("2")
    again.delete("absent")
    assert again.get("2") is None
    assert again.get("10") == BootRow(2.5, None, 3.0)


@pytest.mark.parametrize("row", ["", "{}", "[]", '{"started":"soon"}', "null", '{"started":1'])
def test_a_row_of_another_kind_is_named(row):
    with pytest.raises(StoreError, match="table boots, row 1"):
        Table(Tables({"boots": {"1": row}}), "boots", BootRow)


def test_keys_that_are_no_numbers_are_named():
    table = Table(Tables({"boots": {"first": '{"started":1}'}}), "boots", BootRow)
    with pytest.raises(StoreError, match="table boots"):
        table.numbered()


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_keys_sort_like_their_numbers(one, other):
    assert (order_key(one) < order_key(other)) == (one < other)
