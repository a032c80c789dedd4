"""Every model against its official schema: what one accepts the other accepts, and writes back unchanged."""

import json
from collections import Counter
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from ocpp_core.messages import Payload, Request, Response, message_set
from ocpp_core.versions import OcppVersion
from tests.messages import oracle
from tests.messages.strategies.nodes import mutations
from tests.messages.strategies.payloads import shapes

VERSIONS = list(OcppVersion)
MESSAGES = [(version, name) for version in VERSIONS for name in shapes(version)]
EXAMPLES = max(settings().max_examples // 6, 5)
every_message = pytest.mark.parametrize(("version", "name"), MESSAGES, ids=lambda value: str(value))


@cache
def models(version: OcppVersion) -> dict[str, type[Request] | type[Response]]:
    messages = message_set(version)
    found: list[type[Request] | type[Response]] = [messages.request(name) for name in messages.actions]
    found += [messages.response(name) for name, action in messages.actions.items() if action.confirmed]
    return {model.__name__: model for model in found}


def accepts(model: type[Payload], text: str) -> bool:
    try:
        model.model_validate_json(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("version", VERSIONS)
def test_every_schema_has_a_shape_and_a_model(version: OcppVersion) -> None:
    assert {oracle.schema_name(version, name) for name in shapes(version)} == set(
        oracle.schema_names(version)
    )
    assert models(version).keys() == shapes(version).keys()


@pytest.mark.requirement("2.1-J-4.1.2", "2.1-J-4.1.7", "RFC3339-5.6")
@every_message
def test_what_the_schema_accepts_is_accepted_and_written_back_equal(version: OcppVersion, name: str) -> None:
    model, shape = models(version)[name], shapes(version)[name]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(shape.strategy)
    def check(instance: object) -> None:
        text = json.dumps(instance)
        assert oracle.accepts(version, name, text)
        written = model.model_validate_json(text).to_json()
        assert oracle.accepts(version, name, written)
        expected = oracle.parsed(json.dumps(shape.written(instance)))
        assert oracle.parsed(written) == expected
        assert list(oracle.parsed(written)) == list(expected), "members are not in the schema's order"

    check()


KINDS = Counter[tuple[str, bool]]()


@pytest.mark.requirement("2.1-J-4.1.2", "2.1-J-4.1.7", "RFC3339-5.6")
@every_message
def test_a_mutated_instance_is_judged_alike(version: OcppVersion, name: str) -> None:
    model, shape = models(version)[name], shapes(version)[name]
    different = []
    for kind, place, value in mutations(shape):
        text = json.dumps(value)
        official = oracle.accepts(version, name, text)
        KINDS[kind, official] += 1
        if accepts(model, text) is not official:
            different.append((kind, place, text, f"official: {official}"))
    assert not different


def test_every_kind_of_mutation_was_refused_somewhere() -> None:
    """Runs after the above: a kind that the schemas always accept would mutate nothing."""
    if sum(KINDS.values()) < 1000:
        pytest.skip("the mutations were not run")
    kinds = {kind for kind, _ in KINDS}
    assert {kind for kind in kinds if not KINDS[kind, False]} == {"at the limit"}
    assert KINDS["at the limit", True] > KINDS["at the limit", False]
