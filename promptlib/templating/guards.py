"""Limits on what an expression may make, so that no template or input can eat the memory.

Loops aren't limited: authors are trusted not to write endless ones. Data never decides how often a
loop turns beyond its own length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sized
from functools import wraps
from typing import Any

from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter

from promptlib.errors import TemplateError
from promptlib.templating.values import printed

MOST = 10_000_000
"""Characters of a text, items of a list: longer than any prompt."""

MOST_BITS = 10_000
"""Of a whole number."""

MOST_DIGITS = 100
"""Behind the point, to round to."""

_NUMBERS = re.compile(r"\d+|\*")


def check_size(size: float) -> None:
    """Raise TemplateError for what would be too long."""
    if size > MOST:
        raise TemplateError(f"{size:,.0f} characters or items are too many; {MOST:,} are the most")


def bounded_join(parts: Iterable[str]) -> str:
    """Join texts, as long as that stays within bounds."""
    size = 0
    kept = []
    for part in parts:
        size += len(part)
        if size > MOST:
            check_size(size)
        kept.append(part)
    return "".join(kept)


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Raise TemplateError for an operation whose result would be too large."""
    check = _OPERATIONS.get(operator)
    if check is not None:
        check(left, right)


def check_call(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise TemplateError for a method of text, bytes or numbers that would make too much."""
    owner = getattr(function, "__self__", None)
    if not isinstance(owner, str | bytes | int):
        return
    name = getattr(function, "__name__", "")
    given = [*args, *kwargs.values()]
    if name in ("center", "ljust", "rjust", "zfill", "to_bytes"):
        _check_numbers(given, 1)
    elif isinstance(owner, int):
        return
    elif name == "expandtabs":
        _check_numbers(given or [8], len(owner))
    elif name == "replace" and len(args) > 1:
        check_replacing(owner, args[0], args[1])
    elif name == "join" and args and isinstance(args[0], list | tuple):
        items = args[0]
        check_size(sum(map(_length, items)) + len(owner) * len(items))
    elif name == "translate" and args and isinstance(args[0], Mapping):
        check_size(len(owner) * max(map(_length, args[0].values()), default=1))


def check_replacing(text: Any, old: Any, new: Any) -> None:
    """Raise TemplateError for a replacement that would make too long a text."""
    if all(isinstance(part, str | bytes) for part in (text, old, new)):
        check_size(len(text) + text.count(old) * len(new))


def check_percent(text: str, values: Any) -> None:
    """Raise TemplateError for a %-format with a width that is too large."""
    star = values if isinstance(values, tuple) else (values,)
    for spec in re.findall(r"%(?:\([^)]*\))?[#0\- +]*([\d.*]*)", text):
        for number in _NUMBERS.findall(spec):
            if number != "*":
                check_size(float(number))
            else:
                _check_numbers([value for value in star if _is_int(value)], 1)
    check_size(len(text) + sum(map(_length, star)) * max(1, text.count("%")))


class BoundedFormatter(SandboxedFormatter):
    """Python's format in the sandbox: widths are limited, and values print as they do elsewhere."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Format one value."""
        for number in _NUMBERS.findall(format_spec):
            if number != "*":
                check_size(float(number))
        if not format_spec:
            return str(printed(value))
        formatted: str = super().format_field(value, format_spec)
        return formatted


def bounded_format(environment: SandboxedEnvironment, method: Any) -> Callable[..., str]:
    """Make the function that stands for `text.format` or `text.format_map` in a template."""
    text, with_map = method.__self__, method.__name__ == "format_map"

    @wraps(method)
    def formatted(*args: Any, **kwargs: Any) -> str:
        if with_map:
            (kwargs,), args = args, ()
        return BoundedFormatter(environment).vformat(text, args, kwargs)

    return formatted


def guarded_filters(filters: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Wrap those of Jinja's filters that can make much out of little."""

    def guard(name: str, check: Callable[..., None]) -> Callable[..., Any]:
        plain = filters[name]

        @wraps(plain)  # keeps Jinja's marks of what else a filter is passed
        def guarded(*args: Any, **kwargs: Any) -> Any:
            passed = 1 if hasattr(plain, "jinja_pass_arg") else 0
            check(*args[passed:], **kwargs)
            return plain(*args, **kwargs)

        return guarded

    return {name: guard(name, check) for name, check in _FILTERS.items()}


def _of_numbers(value: Any, *args: Any, **kwargs: Any) -> None:
    """Check a filter whose numbers say how long its result, or each of its lines, becomes."""
    lines = value.count("\n") + 1 if isinstance(value, str) else 1
    _check_numbers([*args, *kwargs.values()], lines)


def _of_digits(value: Any, *args: Any, **kwargs: Any) -> None:
    for number in (*args, *kwargs.values()):
        if _is_int(number) and abs(number) > MOST_DIGITS:
            raise TemplateError(f"can't round to {number} digits: {MOST_DIGITS} are the most")


def _of_replacing(value: Any, old: Any = "", new: Any = "", count: Any = None) -> None:
    check_replacing(value, old, new)


def _of_format(value: Any, *args: Any, **kwargs: Any) -> None:
    check_percent(str(value), tuple(kwargs.values()) if kwargs else args)


def _of_tojson(value: Any, indent: Any = None) -> None:
    if _is_int(indent) and indent > MOST_DIGITS:
        raise TemplateError(f"can't indent by {indent}: {MOST_DIGITS} is the most")


_FILTERS: Mapping[str, Callable[..., None]] = {
    "center": _of_numbers, "indent": _of_numbers, "batch": _of_numbers, "slice": _of_numbers,
    "round": _of_digits, "replace": _of_replacing, "format": _of_format, "tojson": _of_tojson,
}  # fmt: skip


def _times(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Sized) and _is_int(other):
            check_size(len(one) * other)
    if _is_int(left) and _is_int(right):
        _check_bits(left.bit_length() + right.bit_length())


def _power(left: Any, right: Any) -> None:
    if _is_int(left) and _is_int(right):
        _check_bits(left.bit_length() * max(right, 0))


def _plus(left: Any, right: Any) -> None:
    if isinstance(left, Sized) and isinstance(right, Sized):
        check_size(len(left) + len(right))


def _percent(left: Any, right: Any) -> None:
    if isinstance(left, str):
        check_percent(left, right)


_OPERATIONS = {"*": _times, "**": _power, "+": _plus, "%": _percent}

OPERATORS = frozenset(_OPERATIONS)
"""The operators that are looked at before they are applied."""


def _check_numbers(values: Iterable[Any], times: int) -> None:
    for value in values:
        if _is_int(value):
            check_size(value * times)


def _check_bits(bits: int) -> None:
    if bits > MOST_BITS:
        raise TemplateError(f"a number would have {bits:,} bits; {MOST_BITS:,} are the most")


def _length(value: Any) -> int:
    return len(value) if isinstance(value, Sized) else 20


def _is_int(value: Any) -> bool:
    return isinstance(value, int)
