"""Outputs of another form than most have, and outputs that give the prompt away."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from promptlib.audit.finding import Finding, Item, ranked
from promptlib.audit.rows import AuditRows, normalised

MOST = 0.9
"""Share of outputs from which their form is the rule."""
LEAST = 10
"""Outputs below which there is no rule."""
RARE, COMMON = 1, 5
"""An output of so few rows, where outputs have so many on average, is likely a slip."""
LONG = 40
"""Characters from which a repeated text is no chance."""

MARKERS = re.compile(
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>|\[/?INST\]"
    r"|<</?SYS>>|^\s*###\s*(?:Instruction|Response|Input)\s*:|^(?:Human|Assistant|User|System):\s"
    r"|As an AI (?:language )?model|I(?:'m| am) sorry, but I can(?:'|no)t",
    re.MULTILINE | re.IGNORECASE,
)
"""What chats and instructions are framed by, and what models say instead of an answer."""


def odd_outputs(rows: AuditRows) -> Finding:
    """Find outputs that aren't JSON, an object's usual fields, or a number, where most are."""
    there = [row for row in range(len(rows)) if rows.outputs[row]]
    items = [*_odd_forms(rows, there), *_odd_fields(rows, there), *_odd_labels(rows, there)]
    return Finding(
        "odd-outputs", "Outputs of another form than most",
        "the model learns the form of an answer from examples before anything else", "error",
        ranked(items), "sets them aside as drafts, out of prompts",
        f"promptlib store review {rows.store} --finding odd-outputs",
    )  # fmt: skip


def leaked_prompts(rows: AuditRows, templates: Sequence[str] = ()) -> Finding:
    """Find outputs that repeat their input, a template's own text, or the frame of a chat."""
    lines = {
        line.strip() for text in templates for line in text.splitlines()
        if len(line.strip()) >= LONG and not re.search(r"\{[{%#]", line)
    }  # fmt: skip
    items = []
    for row, output in enumerate(rows.outputs):
        if (found := MARKERS.search(output)) is not None:
            reason = f"the output has {' '.join(found[0].split())!r}"
        elif len(rows.inputs[row]) >= LONG and output.startswith(rows.inputs[row]):
            reason = "the output begins with the whole input"
        elif leaked := next((line for line in lines if line in output), None):
            reason = f"the output has the template's {leaked[:40]!r}"
        else:
            continue
        items.append(_item(rows, row, reason, 1))
    return Finding(
        "leaked-prompts", "Outputs that give the prompt away",
        "the model learns to repeat its instructions", "error", ranked(items),
        "sets them aside as drafts, out of prompts",
        f"promptlib store review {rows.store} --finding leaked-prompts",
    )  # fmt: skip


def _odd_forms(rows: AuditRows, there: Sequence[int]) -> list[Item]:
    texts = [row for row in there if isinstance(rows.examples[row].output, str)]
    if len(there) < LEAST:
        return []
    if len(texts) < (1 - MOST) * len(there):
        return [_item(rows, row, "a text, where most outputs are objects", 2) for row in texts]
    for form, fits in FORMS.items():
        odd = [row for row in texts if not fits(rows.outputs[row])]
        if odd and len(odd) <= (1 - MOST) * len(texts):
            share = 1 - len(odd) / len(texts)
            return [
                _item(rows, row, f"{rows.outputs[row]!r:.40} isn't {form}, as {share:.1%} are", 2)
                for row in odd
            ]
    return []


def _odd_fields(rows: AuditRows, there: Sequence[int]) -> list[Item]:
    """Find objects without a field that most have, or with another kind of value in it."""
    objects = {row: value for row in there if (value := _object(rows, row)) is not None}
    if len(objects) < LEAST:
        return []
    kinds = Counter(
        (name, type(value).__name__) for each in objects.values() for name, value in each.items()
    )
    usual = {name: kind for (name, kind), n in kinds.items() if n >= MOST * len(objects)}
    items = []
    for row, value in objects.items():
        for name, kind in usual.items():
            if name not in value:
                items.append(_item(rows, row, f"the output has no {name!r}, as most have", 2))
            elif type(value[name]).__name__ != kind:
                items.append(_item(rows, row, f"{name!r} isn't of the kind that most have", 2))
    return items


def _odd_labels(rows: AuditRows, there: Sequence[int]) -> list[Item]:
    """Find outputs that nobody else has, where outputs are labels."""
    sizes = Counter(rows.outputs[row] for row in there)
    if len(sizes) < 2 or sizes.total() < COMMON * len(sizes):
        return []
    known = {normalised(output) for output, size in sizes.items() if size > RARE}
    return [
        _item(rows, row, f"nobody else answers {rows.outputs[row]!r:.40}", 1)
        for row in there
        if sizes[rows.outputs[row]] == RARE and normalised(rows.outputs[row]) not in known
    ]


def _object(rows: AuditRows, row: int) -> Mapping[str, object] | None:
    output = rows.examples[row].output
    if isinstance(output, Mapping):
        return output
    if isinstance(output, str) and output.lstrip().startswith("{"):
        try:
            value = json.loads(output)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None
    return None


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?[$€£]?\d[\d,]*(?:\.\d+)?%?\s*", text) is not None


def _ends_in_number(text: str) -> bool:
    return re.search(r"####\s*[-+]?[$]?\d[\d,.]*\s*$", text) is not None


FORMS: Mapping[str, Callable[[str], bool]] = {
    "JSON": _is_json, "a number": _is_number, "a text with a number at its end": _ends_in_number,
}  # fmt: skip
"""What outputs may all be, and how it is told."""


def _item(rows: AuditRows, row: int, reason: str, score: float) -> Item:
    return Item(rows.ids([row]), reason, score, rows.aside(row), "set aside")
