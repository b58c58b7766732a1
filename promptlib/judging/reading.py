"""Find in an answer what was asked for: a label, JSON, a number. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any

from promptlib.text import first_line

MOST_STARTS = 100
"""Places in a talk at which JSON is looked for."""

_WRAPPING = "\"'`*“”‘’«»"
_FENCE = re.compile(r"```[\w-]*\s*\n(.*?)```", re.DOTALL)
_DIGITS = r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(_DIGITS)
_MARKS = [
    re.compile(rf"{mark}[\s$€£:=*]*({_DIGITS})", re.IGNORECASE)
    for mark in (r"####", r"\\boxed\{", r"\banswer(?:\s+is|\s*:|\s+is\s*:)")
]


def normal_label(text: str) -> str:
    """Bring a label into the form that labels are compared in.

    The first line that isn't empty, in Unicode's NFKC form and lower case, white space folded,
    without quotes, asterisks or backticks around it nor a full stop at its end.
    """
    line = unicodedata.normalize("NFKC", first_line(text)).casefold()
    line = " ".join(line.split()).strip(_WRAPPING)
    return line.removesuffix(".").strip(_WRAPPING).strip()


def read_json(text: str, *, in_talk: bool = True) -> Any:
    """Read an answer as JSON: all of it, what stands in a ``` fence, or its first object or list.

    Raises ValueError where there is none. Without `in_talk`, JSON between other words is none.
    """
    fence = _FENCE.search(text)
    for part in (text, fence[1] if fence else ""):
        try:
            return json.loads(part, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder(parse_constant=_refuse)
    starts = list(re.finditer(r"[{\[]", text))[:MOST_STARTS] if in_talk else []
    for match in starts:
        try:
            return decoder.raw_decode(text, match.start())[0]
        except (ValueError, RecursionError):
            continue
    raise ValueError("it holds no JSON")


def read_number(text: str) -> Decimal | None:
    """Find the number that an answer comes to; None where it has none.

    The one right behind the last "####", \\boxed{, "answer is" or "answer:"; else the last one.
    """
    for mark in _MARKS:
        if found := mark.findall(text):
            return _decimal(found[-1])
    numbers = _NUMBER.findall(text)
    return _decimal(numbers[-1]) if numbers else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", "").replace("−", "-"))
    except InvalidOperation:
        return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} isn't JSON")
