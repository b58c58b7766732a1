"""Prompts as they were, beside their cases: `intent.snapshots.yaml`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from promptlib.errors import TemplateError
from promptlib.files.writing import replacing
from promptlib.templating.folder import read_source
from promptlib.templating.frontmatter import load_yaml
from promptlib.testing.suite import TESTS

SNAPSHOTS = ".snapshots.yaml"


def snapshot_path(suite: Path) -> Path:
    """Say where the snapshots of a file of cases are."""
    return suite.with_name(suite.name.removesuffix(TESTS) + SNAPSHOTS)


def read_snapshots(path: Path) -> dict[str, str]:
    """Read case -> prompt; nothing for a file that isn't there. Raises TemplateError."""
    if not path.is_file():
        return {}
    try:
        found = load_yaml(read_source(path), str(path))
    except TemplateError as error:
        raise TemplateError(f"{error}; take the snapshots again: promptlib test --update") from None
    if not isinstance(found, Mapping) or not all(isinstance(v, str) for v in found.values()):
        raise TemplateError(f"{path}: snapshots must be texts by case")
    return dict(found)


def write_snapshots(path: Path, snapshots: Mapping[str, str]) -> None:
    """Write them, whole or not at all; without any, the file goes."""
    if not snapshots:
        path.unlink(missing_ok=True)
        return
    text = yaml.dump(
        {name: _Block(prompt) for name, prompt in snapshots.items()}, Dumper=_Dumper,
        allow_unicode=True, sort_keys=True, width=10_000,
    )  # fmt: skip
    with replacing(path) as out:
        out.write(text.encode())


def changes(before: str, after: str) -> str:
    """Show what changed, a line each."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "snapshot", "prompt", lineterm="", n=1
    )
    return "\n".join(lines)


_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


class _Block(str):
    """A text that is written as a block, readable line by line."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Block,
    # YAML takes other line ends for \n in a block: in quotes they are escaped.
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", str(text), style='"' if _LINE_ENDS.search(text) else "|"
    ),
)
