"""What changed between two states of a template, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff


def compare_files(
    before: Mapping[str, str], after: Mapping[str, str], titles: tuple[str, str]
) -> Iterator[str]:
    """Give the lines of a unified diff of all files, without line ends."""
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, ""), after.get(name, "")
        heads = [f"{title}: {name}" for title in titles]
        lines = old.splitlines(), new.splitlines()
        yield from unified_diff(*lines, heads[0], heads[1], lineterm="")
        if old.endswith("\n") != new.endswith("\n") and old and new:
            yield f"\\ {name}: only one of them ends with a newline"
