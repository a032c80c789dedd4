"""Tables for the terminal and for docs/benchmarks.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header; ``notes`` says how to read them."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: str = ""

    def markdown(self) -> str:
        """As a section of a document."""
        lines = [
            f"## {self.title}",
            "",
            *([self.notes, ""] if self.notes else []),
            "| " + " | ".join(self.header) + " |",
            "|" + "---|" * len(self.header),
            *("| " + " | ".join(row) + " |" for row in self.rows),
        ]
        return "\n".join(lines) + "\n"


def amount(value: float) -> str:
    """A rate in three significant figures: ``85.9k``, ``1.21M``, ``413``."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def ratio(ours: float, theirs: float) -> str:
    """``45.3×``."""
    return f"{ours / theirs:.3g}×"
