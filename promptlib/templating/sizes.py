"""How much a template may make: no prompt is that long, no memory is filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from promptlib.errors import TemplateError

MOST = 10_000_000
"""Characters of a text, items of a list: longer than any prompt."""

MOST_IN_ALL = 10 * MOST
"""What all steps of one render may make together."""

DEEPEST = 200
"""Lists and objects within each other."""

_spent: ContextVar[list[float] | None] = ContextVar("promptlib_spent", default=None)


@contextmanager
def counting_size() -> Iterator[None]:
    """Add up what is made inside, in this thread or task alone."""
    token = _spent.set([0.0])
    try:
        yield
    finally:
        _spent.reset(token)


def check_size(size: float, added: float | None = None) -> None:
    """Raise TemplateError for what would be too long, by itself or with all that was made.

    `added` is what counts as made, where most of it was there before.
    """
    if size > MOST:
        raise TemplateError(f"{size:,.0f} characters or items are too many; {MOST:,} are the most")
    spent = _spent.get()
    if spent is not None:
        spent[0] += size if added is None else added
        if spent[0] > MOST_IN_ALL:
            raise TemplateError(f"more than {MOST_IN_ALL:,} characters or items in all are made")


def bounded_join(parts: Iterable[str], between: str = "") -> str:
    """Join texts, as long as that stays within bounds."""
    if isinstance(parts, list) and not between:
        text = "".join(parts)  # what stands in a list is made already
        check_size(len(text))
        return text
    size = 0
    kept = []
    for part in parts:
        size += len(part) + len(between)
        if size > MOST:
            break
        kept.append(part)
    check_size(size)
    return between.join(kept)


def check_data(value: Any) -> None:
    """Raise TemplateError for data that would make too long a text, or is nested too deeply."""
    left = MOST

    def go(item: Any, depth: int) -> None:
        nonlocal left
        left -= len(item) if isinstance(item, str) else 3  # with what stands between
        if left < 0:
            check_size(MOST + 1)
        if depth > DEEPEST:
            raise TemplateError(f"lists and objects are nested more than {DEEPEST} deep")
        if isinstance(item, Mapping):
            for key, inner in item.items():
                go(key, depth + 1)
                go(inner, depth + 1)
        elif isinstance(item, list | tuple):
            for inner in item:
                go(inner, depth + 1)

    go(value, 0)
