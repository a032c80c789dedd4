"""The lists of requirements, and what a test's marker means by them."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

VERSIONS = ("1.6", "2.0.1", "2.1")
FOLDER = Path(__file__).resolve().parent

# What is not in a list is held to its form alone: sections of RFCs, certification test cases.
BY_FORM = re.compile(r"RFC\d+-\d+(\.\d+)*|TC_[A-Z]+_\d+_(CS|CSMS)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of a list: ``id`` is without the version, ``changed`` means that 2.0.1 and 2.1 differ in it."""

    version: str
    id: str
    group: str
    actor: str
    level: str
    changed: bool

    @property
    def block(self) -> str:
        """The functional block's letter; what belongs to no use case is a block of its own."""
        return self.group[0] if self.group[1:].isdigit() else self.group

    @property
    def is_section(self) -> bool:
        """Whether this is a section of a text, which binds nobody by itself."""
        return not self.level

    def proven_by(self, name: str, run: str) -> bool:
        """Whether a test that calls it ``name`` proves it when run for that version (``""``: for none).

        A test that is run for a version proves the requirement of that version. One that is not proves it for
        every version that has it, unless 2.0.1 and 2.1 differ and the name does not say which is meant.
        """
        if run:
            return run == self.version
        return not self.changed or name.startswith(f"{self.version}-")


def read(version: str, folder: Path = FOLDER) -> list[Requirement]:
    """The requirements of one version, in the order of its list."""
    with folder.joinpath(f"{version}.csv").open(encoding="utf-8", newline="") as file:
        return [
            Requirement(
                version,
                row["id"].removeprefix(f"{version}-"),
                row["group"],
                row["actor"],
                row["level"],
                row["change"] == "changed",
            )
            for row in csv.DictReader(file)
        ]


class Names:
    """What may stand in a marker.

    ``E02.FR.05`` is the requirement of that id in 2.0.1 and in 2.1, ``2.1-E02.FR.05`` that of 2.1 alone. In
    front of everything else stands the version: ``1.6-4.2`` is a section of 1.6, ``1.6-J-4.1.1`` and
    ``2.1-J-4.2.4`` are sections of OCPP-J, ``1.6-errata-3.18`` is one of the errata, ``1.6-A00.FR.309`` a
    requirement of the security whitepaper.
    """

    def __init__(self, requirements: Iterable[Requirement]) -> None:
        self._named: dict[str, list[Requirement]] = defaultdict(list)
        for requirement in requirements:
            self._named[f"{requirement.version}-{requirement.id}"].append(requirement)
            if requirement.version != "1.6" and not requirement.is_section:
                self._named[requirement.id].append(requirement)

    def meant_by(self, name: str) -> Sequence[Requirement]:
        """The requirements of that name, one for each version that has it; none for what only has a form."""
        return self._named.get(name, ())

    def knows(self, name: object) -> bool:
        """Whether the name is in a list, or has a form that is in no list."""
        return isinstance(name, str) and (name in self._named or BY_FORM.fullmatch(name) is not None)


def all_requirements() -> list[Requirement]:
    """The requirements of all versions."""
    return [requirement for version in VERSIONS for requirement in read(version)]
