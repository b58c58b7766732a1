"""Limits on what an expression may make, so that no template or input can eat the memory.

Loops aren't limited: authors are trusted not to write endless ones. Data never decides how often a
loop turns beyond its own length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import wraps
from itertools import islice
from typing import Any

from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter

from promptlib.errors import TemplateError
from promptlib.templating.sizes import MOST, check_data, check_size
from promptlib.templating.values import printed

MOST_BITS = 10_000
"""Of a whole number."""

MOST_DIGITS = 100
"""Behind the point, to round to."""

DEEPEST_INDENT = 8
"""Of JSON."""

MOST_LINES = 100_000
"""That a text is wrapped to."""

_NUMBERS = re.compile(r"\d+|\*")

_FLAGS = re.compile(r"[#0\- +]*[\d.*]*")


def check_operation(operator: str, left: Any, right: Any) -> Any:
    """Raise TemplateError for an operation whose result would be too large.

    Returns the right side to apply it to.
    """
    if operator == "%":
        return _percent(left, right)
    _OPERATIONS[operator](left, right)
    return right


def check_call(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Raise TemplateError for a method of text, bytes or numbers that would make too much.

    Returns the arguments to call it with: what can be read only once was read.
    """
    owner = getattr(function, "__self__", None)
    if not isinstance(owner, str | bytes | int):
        return args
    name = getattr(function, "__name__", "")
    given = [*args, *kwargs.values()]
    if name == "join" and args:
        args = (list(islice(args[0], MOST)), *args[1:])
    if name in ("center", "ljust", "rjust", "zfill", "to_bytes"):
        _check_numbers(given, 1)
    elif isinstance(owner, int):
        return args
    elif name == "expandtabs":
        _check_numbers(given or [8], len(owner))
    elif name == "replace" and len(args) > 1 and all(isinstance(a, type(owner)) for a in args[:2]):
        check_replacing(owner, args[0], args[1])
    elif name == "join" and args:
        check_size(sum(map(_length, args[0])) + len(owner) * len(args[0]))
    elif name == "translate" and args and isinstance(args[0], Mapping | list | tuple):
        table = args[0].values() if isinstance(args[0], Mapping) else args[0]
        check_size(len(owner) * max(map(_length, table), default=1))
    return args


def check_replacing(text: Any, old: Any, new: Any) -> None:
    """Raise TemplateError for a replacement that would make too long a text."""
    check_size(len(text) + text.count(old) * len(new))


def check_percent(text: str, values: Any) -> Any:
    """Raise TemplateError for a %-format whose widths and values would make too long a text.

    Returns the values as they are to be printed.
    """
    if isinstance(values, Mapping):
        values = {key: _printable(value) for key, value in values.items()}
        star = tuple(values.values())
    elif isinstance(values, tuple):
        values = star = tuple(map(_printable, values))
    else:
        values = _printable(values)
        star = (values,)
    size = float(len(text) + (0 if isinstance(values, Mapping) else sum(map(_length, star))))
    for key, spec in _specs(text):
        size += _length(values[key]) if isinstance(values, Mapping) and key in values else 0
        for number in _NUMBERS.findall(spec):
            given = sum(value for value in star if _is_int(value) and value > 0)
            size += given if number == "*" else float(number)
    check_size(size)
    return values


def _specs(text: str) -> Iterator[tuple[str, str]]:
    """List each conversion of a %-format: its key, and its flags, width and precision."""
    at = 0
    while (at := text.find("%", at) + 1) > 0:
        start, depth = at, 0
        while at < len(text) and (depth or text[at] == "("):  # a key may hold parentheses
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        found = _FLAGS.match(text, at)
        yield text[start + 1 : at - 1], found[0] if found else ""
        at = found.end() + 1 if found else at + 1


def _printable(value: Any) -> Any:
    """Give a value as data prints, unless it is a number or text."""
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if is_plain else str(printed(value))


def format_filter(value: Any, *args: Any, **kwargs: Any) -> str:
    """Format as `%` does; Jinja's filter, within bounds."""
    text = str(printed(value))
    made: str = text % check_percent(text, kwargs or args)
    return made


class BoundedFormatter(SandboxedFormatter):
    """Python's format in the sandbox: sizes are limited, and values print as they do elsewhere.

    One is made for each call.
    """

    size = 0.0

    def format_field(self, value: Any, format_spec: str) -> str:
        """Format one value."""
        self.size += sum(float(n) for n in _NUMBERS.findall(format_spec) if n != "*")
        self.size += len(value) if isinstance(value, str) else 0
        check_size(self.size)
        if not format_spec:
            return str(printed(value))
        if not isinstance(value, str | int | float):
            printed(value)  # what can't be printed can't be formatted
        formatted: str = super().format_field(value, format_spec)
        return formatted

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """Convert as data prints: no repr of Python's."""
        return value if conversion is None else str(printed(value))


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
    """Wrap Jinja's filters: none takes a function for data, none makes much out of little."""

    def guard(plain: Callable[..., Any], check: Callable[..., None] | None) -> Callable[..., Any]:
        passed = 1 if hasattr(plain, "jinja_pass_arg") else 0

        @wraps(plain)  # keeps Jinja's marks of what else a filter is passed
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if len(args) > passed and callable(args[passed]):
                printed(args[passed])
            if check is not None:
                check(*args[passed:], **kwargs)
            return plain(*args, **kwargs)

        return guarded

    return {name: guard(plain, _FILTERS.get(name)) for name, plain in filters.items()}


def _of_numbers(value: Any, *args: Any, **kwargs: Any) -> None:
    """Check a filter whose numbers say how long its result, or each of its lines, becomes."""
    lines = value.count("\n") + 1 if isinstance(value, str) else 1
    _check_numbers([*args, *kwargs.values()], lines)


def _of_digits(value: Any, *args: Any, **kwargs: Any) -> None:
    for number in (*args, *kwargs.values()):
        if _is_int(number) and abs(number) > MOST_DIGITS:
            raise TemplateError(f"can't round to {number} digits: {MOST_DIGITS} are the most")


def _of_replacing(value: Any, old: Any = "", new: Any = "", count: Any = None) -> None:
    check_replacing(str(value), str(old), str(new))


def _of_indent(value: Any, width: Any = 4, *args: Any, **kwargs: Any) -> None:
    lines = len(str(value).splitlines()) + 1
    check_size(len(str(value)) + lines * (len(width) if isinstance(width, str) else width))


def _of_wrapping(
    value: Any, width: Any = 79, break_long_words: Any = True, wrapstring: Any = None, *rest: Any
) -> None:
    text = str(value)
    lines = len(text) / max(1, width if _is_int(width) else 1) + len(text.splitlines()) + 1
    if lines > MOST_LINES:
        raise TemplateError(f"a text can't be wrapped to more than {MOST_LINES:,} lines")
    check_size(len(text) + lines * len(wrapstring or ""))


def _of_escaping(value: Any) -> None:
    text = str(value)
    check_size(len(text) + 5 * sum(text.count(sign) for sign in "&<>'\""))


def _of_links(value: Any, *args: Any, **kwargs: Any) -> None:
    texts = [part for part in (*args, *kwargs.values()) if isinstance(part, str)]
    check_size(len(str(value)) * (8 + sum(map(len, texts)) / 8))


def _of_int(value: Any, default: Any = 0, base: Any = 10) -> None:
    if isinstance(value, str | bytes) and base != 10 and value.strip().isalnum():
        _check_bits(4 * len(value))


def _of_tojson(value: Any, indent: Any = None) -> None:
    check_data(value)
    if indent is not None and not (_is_int(indent) and indent <= DEEPEST_INDENT):
        raise TemplateError(f"JSON is indented by a number, {DEEPEST_INDENT} at most")


_FILTERS: Mapping[str, Callable[..., None]] = {
    "center": _of_numbers, "batch": _of_numbers, "slice": _of_numbers, "indent": _of_indent,
    "round": _of_digits, "replace": _of_replacing, "tojson": _of_tojson,
    "wordwrap": _of_wrapping, "e": _of_escaping, "escape": _of_escaping,
    "forceescape": _of_escaping, "urlize": _of_links, "int": _of_int,
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
        check_size(len(left) + len(right), min(len(left), len(right)))


def _percent(left: Any, right: Any) -> Any:
    return check_percent(left, right) if isinstance(left, str) else right


_OPERATIONS = {"*": _times, "**": _power, "+": _plus}

OPERATORS = frozenset([*_OPERATIONS, "%"])
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
