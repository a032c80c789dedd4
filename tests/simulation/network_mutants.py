"""The same for several CSMSs and network profiles: see :mod:`tests.simulation.mutants`."""

from itertools import count
from typing import Any

import pytest

from ocpp_core.station.blocks.availability import Availability
from ocpp_core.station.blocks.connectivity import Connectivity, Link
from ocpp_core.station.blocks.delivery import Delivery
from ocpp_core.station.blocks.provisioning import Provisioning
from ocpp_core.station.blocks.rotation import Rotation
from ocpp_core.station.tables import WireRow
from ocpp_core.store import Tables

from .mutants import Mutant


def whoever_is_there_is_told_everything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WireRow, "goes_on", lambda self, csms, version: self.version is version)


def what_the_second_csms_was_told_counts_as_told_to_the_first(patch: pytest.MonkeyPatch) -> None:
    original = Delivery._prepare

    def prepare(self: Delivery, number: int, row: Any, dialect: Any) -> Any:
        self._csms = "one"
        return original(self, number, row, dialect)

    patch.setattr(Delivery, "_prepare", prepare)


def which_csms_was_told_is_not_written_down(patch: pytest.MonkeyPatch) -> None:
    original = Tables.put

    def put(self: Tables, table: str, key: str, row: str) -> None:
        original(self, table, key, row.replace('"csms":"two"', '"csms":"one"') if table == "wires" else row)

    patch.setattr(Tables, "put", put)


def what_waits_for_a_csms_waits_on_when_it_is_back(patch: pytest.MonkeyPatch) -> None:
    original = Delivery.link_opened

    def link_opened(self: Delivery, csms: str, version: Any) -> None:
        waited = self._elsewhere
        original(self, csms, version)
        self._elsewhere |= waited

    patch.setattr(Delivery, "link_opened", link_opened)


def another_way_to_the_same_csms_is_another_csms(patch: pytest.MonkeyPatch) -> None:
    original = Delivery.link_opened
    links = count()

    def link_opened(self: Delivery, csms: str, version: Any) -> None:
        original(self, f"{csms} {next(links)}", version)

    patch.setattr(Delivery, "link_opened", link_opened)


def another_network_profile_needs_no_boot(patch: pytest.MonkeyPatch) -> None:
    original = Provisioning.link_opened

    def link_opened(self: Provisioning, version: Any, profile: Any, now: float) -> None:
        original(self, version, self._context.config.network_profiles[0], now)

    patch.setattr(Provisioning, "link_opened", link_opened)


def what_one_csms_knows_of_a_connector_the_other_knows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Availability, "forget", lambda self: None)


def a_network_profile_that_fails_is_tried_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rotation, "failed", lambda self: None)


def a_new_link_is_dialled_before_the_old_one_is_gone(patch: pytest.MonkeyPatch) -> None:
    original = Connectivity.connect

    def connect(self: Connectivity, slot: int | None, now: float) -> None:
        original(self, slot, now)
        if self.link is Link.CLOSING:
            self._dial(now)

    patch.setattr(Connectivity, "connect", connect)


def nobody_listens_to_the_host(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rotation, "network_lost", lambda self, slot: False)


NETWORK_MUTANTS: dict[Mutant, str] = {
    whoever_is_there_is_told_everything: "another_csms",
    what_the_second_csms_was_told_counts_as_told_to_the_first: "another_csms",
    which_csms_was_told_is_not_written_down: "another_csms",
    what_waits_for_a_csms_waits_on_when_it_is_back: "another_csms",
    another_way_to_the_same_csms_is_another_csms: "another_way",
    another_network_profile_needs_no_boot: "another_way",
    what_one_csms_knows_of_a_connector_the_other_knows: "another_csms",
    a_network_profile_that_fails_is_tried_for_ever: "another_csms",
    a_new_link_is_dialled_before_the_old_one_is_gone: "another_way",
    nobody_listens_to_the_host: "another_way",
}
"""Every mutant, and the script that must notice it."""
