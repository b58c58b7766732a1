"""Change settings in a template's front matter, and nothing else in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from promptlib.errors import TemplateError
from promptlib.templating.frontmatter import split_template
from promptlib.validation import Strict

TUNED = "# tuned by promptlib: "
"""How the line begins that says where settings come from."""

Changes = Mapping[str, Mapping[str, Any]]
"""Part of the front matter -> its keys and their new values; None takes a key out."""


def with_settings(source: str, where: str, changes: Changes, comment: str) -> str:
    """Set keys in parts of the front matter, such as examples and budget.

    The comment goes above the first part, in place of one that was left there before; every other
    character stays. Raises TemplateError for a file without front matter, or one that can't be
    edited so.
    """
    if not split_template(_plain(source), where).offset:
        raise TemplateError(f"{where}: there is no front matter to write settings into")
    text = re.sub(rf"^{re.escape(TUNED)}.*(?:\r?\n)", "", source, flags=re.MULTILINE)
    for part, keys in changes.items():
        for key, value in keys.items():
            text = _with_key(text, part, key, value)
    newline = "\r\n" if "\r\n" in source else "\n"
    mark = _key(_root(text), next(iter(changes)))
    at = _start_of_line(text, mark[0].start_mark.index + _head(text)) if mark else _head(text)
    text = f"{text[:at]}{TUNED}{comment}{newline}{text[at:]}"
    _check(text, where, changes)
    return text


def _plain(source: str) -> str:
    return source.removeprefix("\ufeff").replace("\r\n", "\n")


def _head(text: str) -> int:
    """Find where the front matter begins, behind the first ---."""
    return text.index("\n") + 1


def _tail(text: str) -> int:
    """Find where the front matter ends, before the second ---."""
    match = re.compile(r"^---[ \t]*\r?$", re.MULTILINE).search(text, _head(text))
    assert match is not None  # it was parsed before
    return match.start()


def _root(text: str) -> Any:
    return yaml.compose(text[_head(text) : _tail(text)], yaml.SafeLoader)


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True)
    return text.split("\n")[0]


def _key(node: Any, name: str) -> tuple[Any, Any] | None:
    """Find a key of a mapping, with its value."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((pair for pair in pairs if pair[0].value == name), None)


def _start_of_line(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _with_key(text: str, part: str, key: str, value: Any) -> str:
    """Set or take out one key of a part."""
    found = _key(_root(text), part)
    if found is None or not isinstance(found[1], yaml.MappingNode) or not found[1].value:
        return text if value is None else _with_part(text, part, found, key, value)
    edit = _Edit(text, _head(text), found[1])
    old = _key(found[1], key)
    if old is None:
        return text if value is None else edit.added(key, value)
    return edit.removed(old) if value is None else edit.replaced(old[1], value)


def _with_part(text: str, part: str, found: Any, key: str, value: Any) -> str:
    """Begin a part that isn't there, or is empty."""
    if found is not None:
        node, head = found[1], _head(text)
        start, end = node.start_mark.index + head, node.end_mark.index + head
        space = "" if text[start - 1 : start].isspace() else " "
        return f"{text[:start]}{space}{{{key}: {_scalar(value)}}}{text[end:]}"
    at = _tail(text)
    newline = "\r\n" if text[:at].endswith("\r\n") else "\n"
    return f"{text[:at]}{part}: {{{key}: {_scalar(value)}}}{newline}{text[at:]}"


@dataclass(frozen=True)
class _Edit:
    """One mapping of the front matter, in its text."""

    text: str
    head: int
    node: Any

    def replaced(self, value: Any, new: Any) -> str:
        """Write another value in the place of one."""
        start, end = value.start_mark.index + self.head, value.end_mark.index + self.head
        return f"{self.text[:start]}{_scalar(new)}{self.text[end:]}"

    def added(self, key: str, value: Any) -> str:
        """Add a key behind the last one."""
        last = self.node.value[-1]
        end = last[1].end_mark.index + self.head
        if self.node.flow_style:
            return f"{self.text[:end]}, {key}: {_scalar(value)}{self.text[end:]}"
        indent = " " * last[0].start_mark.column
        # A block's value may end on a later line; its own line ends before that.
        end = self.text.find("\n", last[1].start_mark.index + self.head, self._end_of(last[1]))
        end = self._end_of(last[1]) if end < 0 else end + 1
        newline = "\r\n" if self.text[:end].endswith("\r\n") else "\n"
        return f"{self.text[:end]}{indent}{key}: {_scalar(value)}{newline}{self.text[end:]}"

    def removed(self, pair: Any) -> str:
        """Take a key out, with its value."""
        start = pair[0].start_mark.index + self.head
        end = pair[1].end_mark.index + self.head
        if not self.node.flow_style:
            return (
                self.text[: _start_of_line(self.text, start)] + self.text[self._end_of(pair[1]) :]
            )
        after = re.compile(r"\s*,[ \t]*").match(self.text, end)
        if after:
            return self.text[:start] + self.text[after.end() :]
        return re.sub(r",\s*$", "", self.text[:start]) + self.text[end:]

    def _end_of(self, value: Any) -> int:
        """Find the end of the line on which a value ends."""
        end = int(value.end_mark.index) + self.head
        if self.text[:end].endswith("\n"):  # a block ends where the next line begins
            return end
        following = self.text.find("\n", end)
        return len(self.text) if following < 0 else following + 1


def _check(text: str, where: str, changes: Changes) -> None:
    """Raise TemplateError unless the result reads as meant."""
    front = split_template(_plain(text), where).front
    for part, keys in changes.items():
        for key, value in keys.items():
            found = getattr(getattr(front, part), key, None)
            wanted = found.model_validate(value) if isinstance(found, Strict) else value
            if found != wanted:
                raise TemplateError(f"{where}: {part}.{key} can't be set to {value!r} here")
