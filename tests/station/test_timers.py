"""The table of deadlines."""

from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.timers import Timers

steps = st.lists(
    st.tuples(st.sampled_from(["set", "cancel", "due"]), st.sampled_from("abc"), st.integers(0, 9).map(float))
)


@given(steps)
def test_a_table_of_deadlines_is_a_dictionary_in_the_order_of_time(steps):
    timers: Timers[str] = Timers()
    model: dict[str, float] = {}
    for verb, name, at in steps:
        if verb == "set":
            timers.set(name, at)
            model[name] = at
        elif verb == "cancel":
            timers.cancel(name)
            model.pop(name, None)
        else:
            due = timers.due(at)
            assert sorted(due) == sorted(name for name in model if model[name] <= at)
            assert [model[name] for name in due] == sorted(model[name] for name in due)
            model = {name: deadline for name, deadline in model.items() if deadline > at}
        assert timers.next() == min(model.values(), default=None)
        assert dict(timers.items()) == model
        assert [at for _, at in timers.items()] == sorted(model.values())
        assert all(timers.deadline(name) == model.get(name) for name in "abc")
        assert all((name in timers) == (name in model) for name in "abc")
