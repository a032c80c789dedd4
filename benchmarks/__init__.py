"""The stack against its peers, in one run: ``make bench`` (see docs/benchmarks.md)."""
