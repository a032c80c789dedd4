"""``python -m requirements RECORD REPORT``: write the report of one run of the suite."""

import argparse
import json
from pathlib import Path

from .lists import all_requirements
from .report import write


def main() -> None:
    """Read the record, write the report."""
    parser = argparse.ArgumentParser(prog="requirements", description=__doc__)
    parser.add_argument("record", type=Path, help="what the recorder wrote")
    parser.add_argument("report", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    record = json.loads(arguments.record.read_text(encoding="utf-8"))
    arguments.report.write_text(write(record, all_requirements()), encoding="utf-8")


if __name__ == "__main__":
    main()
