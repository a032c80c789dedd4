"""The report: every requirement with the tests that prove it, what is blank, and the totals."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .lists import BY_FORM, VERSIONS, Names, Requirement
from .recorder import Record

LEVELS = ("SHALL", "SHOULD", "MAY", "statement")
ACTORS = ("station", "CSMS", "both", "other")
BLOCKS = {
    "A": "Security",
    "B": "Provisioning",
    "C": "Authorization",
    "D": "Local Authorization List Management",
    "E": "Transactions",
    "F": "Remote Control",
    "G": "Availability",
    "H": "Reservation",
    "I": "Tariff and Cost",
    "J": "Meter Values",
    "K": "Smart Charging",
    "L": "Firmware Management",
    "M": "Certificate Management",
    "N": "Diagnostics",
    "O": "Display Message",
    "P": "Data Transfer",
    "Q": "Bidirectional Power Transfer",
    "R": "DER Control",
    "S": "Battery Swapping",
    "V2X": "Vehicle to Everything",
}
HEAD = """# Requirement coverage

Written by `make coverage-report` from what ran. A requirement counts as proven when a test names it
(`@pytest.mark.requirement(...)`), ran, and passed. A test that is run for one OCPP version proves it for that
version only; one that is run for none in particular proves it for each version that words it alike.

*Blank* means that no test names it, not that nothing was built; and that a test names it says nothing of how
much of it is proven: read the test. Requirements that only an errata sheet has are included, those that it
withdrew are not. *Other* are requirements on operators, manufacturers and vehicles; *statement* are those
without a SHALL, SHOULD or MAY. The sections of 1.6 and OCPP-J bind nobody as such: they are counted apart.
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the record says of the requirements: the tests that prove each, and the references beside them."""

    tests: dict[Requirement, list[str]]
    references: dict[str, list[str]]
    unclear: list[str]
    """Names whose requirement differs between versions, where no test says which it means."""


def weigh(record: Record, requirements: Iterable[Requirement]) -> Proof:
    """Give every requirement the tests that prove it; a test with a run that failed proves nothing."""
    names = Names(requirements)
    tests: dict[Requirement, set[str]] = defaultdict(set)
    references: dict[str, set[str]] = defaultdict(set)
    clear: dict[str, bool] = {}
    for name, by_version in record.items():
        for version, outcomes in by_version.items():
            passed = {_short(test) for test, good in outcomes.items() if good}
            meant = names.meant_by(name)
            proven = [requirement for requirement in meant if requirement.proven_by(name, version)]
            for requirement in proven:
                tests[requirement] |= passed
            if BY_FORM.fullmatch(name):
                references[name] |= passed
            if meant and (proven or version == ""):
                clear[name] = clear.get(name, False) or bool(proven)
    return Proof(
        {requirement: sorted(found) for requirement, found in tests.items() if found},
        {name: sorted(found) for name, found in references.items() if found},
        sorted(name for name, known in clear.items() if not known),
    )


def write(record: Record, requirements: list[Requirement]) -> str:
    """The whole report as Markdown; the same record gives the same text."""
    proof = weigh(record, requirements)
    listed = [each for each in requirements if not each.is_section]
    sections = [each for each in requirements if each.is_section]
    lines = [HEAD, *_totals(proof, listed, sections)]
    if proof.unclear:
        lines += [
            "",
            "Worded differently in 2.0.1 and 2.1, and named only by tests that do not say which they mean ",
        ]
        lines[-1] += f"(not counted): {', '.join(proof.unclear)}."
    blocks = {each.block for each in listed if each.version != "1.6"}
    for block in sorted(blocks, key=lambda block: (block != "General", block)):
        lines += ["", f"## 2.0.1 and 2.1, {block} {BLOCKS.get(block, '')}".rstrip()]
        lines += _groups(proof, [each for each in listed if each.version != "1.6" and each.block == block])
    lines += ["", "## 1.6, security whitepaper"]
    lines += _groups(proof, [each for each in listed if each.version == "1.6"])
    for version in VERSIONS:
        lines += ["", f"## {version}, sections"]
        lines += _groups(proof, [each for each in sections if each.version == version])
    lines += ["", "## RFCs and certification test cases", "", "| reference | tests |", "|---|---|"]
    lines += [
        f"| {name} | {_cell(tests)} |" for name, tests in sorted(proof.references.items(), key=_natural)
    ]
    return "\n".join(lines) + "\n"


def _totals(proof: Proof, listed: list[Requirement], sections: list[Requirement]) -> Iterator[str]:
    yield from ("", "## Totals", "", "Proven of those listed.", "")
    yield f"| version | who | {' | '.join(LEVELS)} | all |"
    yield f"|---|---|{'---|' * (len(LEVELS) + 1)}"
    for version in VERSIONS:
        for actor in (*ACTORS, ""):
            mine = [each for each in listed if each.version == version and actor in ("", each.actor)]
            cells = [_share(proof, [each for each in mine if each.level == level]) for level in LEVELS]
            yield f"| {version} | {actor or '**all**'} | {' | '.join(cells)} | {_share(proof, mine)} |"
    yield from ("", "| block | 2.0.1 | 2.1 |", "|---|---|---|")
    for block, title in BLOCKS.items():
        mine = [each for each in listed if each.block == block]
        shares = [
            _share(proof, [each for each in mine if each.version == version]) for version in ("2.0.1", "2.1")
        ]
        yield f"| {block} {title} | {' | '.join(shares)} |"
    yield from ("", "| sections named by a test | of |", "|---|---|")
    for version in VERSIONS:
        yield f"| {version} | {_share(proof, [each for each in sections if each.version == version])} |"


def _share(proof: Proof, requirements: list[Requirement]) -> str:
    proven = sum(each in proof.tests for each in requirements)
    return f"{proven} / {len(requirements)}" if requirements else "–"


def _groups(proof: Proof, requirements: list[Requirement]) -> Iterator[str]:
    """One chapter per use case: a table of what is proven, and a line of what is blank."""
    by_group: dict[str, dict[str, list[Requirement]]] = defaultdict(lambda: defaultdict(list))
    for requirement in requirements:
        by_group[requirement.group][requirement.id].append(requirement)
    for group, by_id in sorted(by_group.items()):
        yield from ("", f"### {group}")
        proven = {key: rows for key, rows in by_id.items() if any(row in proof.tests for row in rows)}
        if proven:
            yield from ("", "| id | who | proven for | tests |", "|---|---|---|---|")
            for key, rows in sorted(proven.items(), key=_natural):
                tests = sorted({test for row in rows for test in proof.tests.get(row, [])})
                yield f"| {key} | {_who(rows)} | {_versions(proof, rows)} | {_cell(tests)} |"
        blank = sorted((entry for entry in by_id.items() if entry[0] not in proven), key=_natural)
        if blank:
            yield from ("", f"Blank: {'; '.join(_blank(blank))}.")


def _blank(entries: list[tuple[str, list[Requirement]]]) -> Iterator[str]:
    """The blank ids by who must and how much, with the version where only one has them."""
    by_who: dict[str, list[str]] = defaultdict(list)
    for key, rows in entries:
        several = len(rows) == 1 and not rows[0].is_section and rows[0].version != "1.6"
        by_who[_who(rows)].append(f"{key} ({rows[0].version})" if several else key)
    for who, keys in by_who.items():
        yield f"{who}: {', '.join(keys)}" if who else ", ".join(keys)


def _who(rows: list[Requirement]) -> str:
    return " / ".join(dict.fromkeys(f"{row.actor} {row.level}".strip() for row in rows))


def _versions(proof: Proof, rows: list[Requirement]) -> str:
    blank = [row.version for row in rows if row not in proof.tests]
    proven = ", ".join(row.version for row in rows if row in proof.tests)
    return f"{proven} (blank: {', '.join(blank)})" if blank else proven


def _cell(tests: list[str]) -> str:
    return "<br>".join(f"`{test}`" for test in tests)


def _short(test: str) -> str:
    return test.removeprefix("tests/")


def _natural(entry: tuple[str, object]) -> list[tuple[int, int, str]]:
    """Sorts ids as people count: FR.9 before FR.10."""
    runs = ("".join(run) for _, run in itertools.groupby(entry[0], str.isdigit))
    return [(0, int(run), "") if run.isdigit() else (1, 0, run) for run in runs]
