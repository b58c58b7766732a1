"""How values print in a prompt: text as it is, objects and lists as JSON, None not at all.

A Python repr never reaches a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Undefined

from promptlib.errors import TemplateError
from promptlib.templating.sizes import check_data


class JsonObject(dict[str, Any]):
    """A dict that prints as JSON, also where Jinja calls str() itself (`~`, `join`, `string`)."""

    def __str__(self) -> str:
        return to_json(self)

    __repr__ = __str__


class Anything(JsonObject):
    """Data of no known shape: every item of it is the like, so that any body can be tried."""

    def __missing__(self, key: str) -> Anything:
        return self


class JsonList(list[Any]):
    """A list that prints as JSON."""

    def __str__(self) -> str:
        return to_json(self)

    __repr__ = __str__


def jsonable(value: Any, clean: Callable[[str], str] | None = None) -> Any:
    """Copy data so that every object and list in it prints as JSON; texts go through `clean`."""
    if isinstance(value, str):
        return value if clean is None else clean(value)
    if isinstance(value, Anything):
        return value
    if isinstance(value, Mapping):
        if clean is None:
            return JsonObject({str(key): jsonable(item) for key, item in value.items()})
        return JsonObject({clean(str(key)): jsonable(item, clean) for key, item in value.items()})
    if isinstance(value, Sequence):
        return JsonList(jsonable(item, clean) for item in value)
    return value


def printed(value: Any) -> Any:
    """Turn the value of an expression into text; Jinja's `finalize`."""
    if isinstance(value, str | Undefined):
        return value  # an undefined name raises when it is printed
    if value is None:
        raise TemplateError("a value to print is None; test it with `if`, or give a default")
    if isinstance(value, bool | Mapping | list | tuple):
        return to_json(value)
    if isinstance(value, int | float):
        return value
    raise TemplateError(f"a {type(value).__name__} can't be printed; only data can")


def to_json(value: Any) -> str:
    """Write JSON as a person would: in order, with spaces, other scripts as they are."""
    if not isinstance(value, str | bool | int | float | None):
        check_data(value)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TemplateError(f"a value can't be printed as JSON: {error}") from None
