"""Change settings in a template's front matter, and nothing else in the file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from promptlib.errors import TemplateError
from promptlib.templating.frontmatter import split_template

TUNED = "# tuned: "
"""How the lines begin that say where settings come from."""


def with_settings(
    source: str, where: str, changes: Mapping[str, Mapping[str, Any]], comment: str
) -> str:
    """Set keys of the front matter's parts, such as examples and budget; None removes one.

    The comment goes above the first part that is changed, in place of one that was left there
    before. Other lines stay as they are, as far as YAML allows. Raises TemplateError for a file
    without front matter, or if the result would not be read as meant.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    parts = split_template(source, where)
    if not parts.offset:
        raise TemplateError(f"{where}: there is no front matter to write settings into")
    lines = source.splitlines(keepends=True)
    head, rest = lines[1 : parts.offset - 1], lines[parts.offset - 1 :]
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    values = yaml.load("".join(line for line in head if not line.startswith(TUNED)))
    values = CommentedMap() if values is None else values
    for part, keys in changes.items():
        if values.get(part) is None:
            values[part] = CommentedMap()
            values[part].fa.set_flow_style()
        for key, value in keys.items():
            if value is None:
                values[part].pop(key, None)
            else:
                values[part][key] = value
    out = io.StringIO()
    yaml.dump(values, out)
    written = [
        f"{TUNED}{comment}\n{line}" if line.startswith(f"{next(iter(changes))}:") else line
        for line in out.getvalue().splitlines(keepends=True)
    ]
    result = "".join([lines[0], *written, *rest])
    _check(result, where, changes)
    return result


def _check(result: str, where: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
    front = split_template(result, where).front
    for part, keys in changes.items():
        for key, value in keys.items():
            if getattr(getattr(front, part), key) != value:
                raise TemplateError(f"{where}: {part}.{key} can't be set to {value!r} in this file")
