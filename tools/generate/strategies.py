"""Writes the test strategies of a version (placeholder until written)."""

from .schemas import Version


def write_strategies(version: Version) -> str:
    """Nothing yet."""
    return ""
