"""Rows whose text is broken: nothing in it, cut off, of the wrong encoding, in another language."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from promptlib.audit.finding import Finding, Item, Severity, ranked
from promptlib.audit.rows import AuditRows
from promptlib.errors import ExampleError, MissingDependencyError
from promptlib.example import Content, Example
from promptlib.store.planning import Edit

NOTHING = frozenset(
    {"", "na", "n a", "nan", "null", "none", "nil", "unknown", "tbd", "todo", "test"}
)
MARKED = re.compile(r"\[(?:truncated|cut off|snip)[^\]]*\]$", re.IGNORECASE)
DOTS = re.compile(r"\w(?:\.\.\.|…)\s*$")
CUT_LENGTH, CUT_ROWS = 50, 3
"""Texts at least so long, of which so many end at one length, were cut there."""
LETTERS, SURE, MOST = 25, 0.95, 0.8
"""Letters a text needs for its language to be told; how sure one must be; and the share of rows
from which a language is the store's."""


def empty_texts(rows: AuditRows) -> Finding:
    """Find inputs without a word in them, or with one that stands for nothing."""
    items = [
        Item(
            [example.id],
            f"the input is {rows.inputs[row]!r:.60}",
            1,
            rows.aside(row),
            "set aside",
        )
        for row, example in enumerate(rows.examples)
        if rows.normal[row] in NOTHING and not _has_symbols(rows.inputs[row])
    ]
    return _finding(rows, "empty-texts", "Inputs that say nothing", "warning", items)


def truncated_texts(rows: AuditRows) -> Finding:
    """Find texts that end in the middle: by a mark, or several at one length."""
    items = []
    sides = {"input": rows.inputs, "output": rows.outputs}
    limits = {name: _limits(texts) for name, texts in sides.items()}
    for row, example in enumerate(rows.examples):
        for name, texts in sides.items():
            text = texts[row].rstrip()
            if (mark := MARKED.search(text)) is not None:
                reason = f"the {name} ends in {mark[0]}"
            elif len(text) in limits[name] and _is_open(text):
                reason = f"the {name} ends at {len(text):,} characters in {text[-20:]!r}"
            else:
                continue
            items.append(Item([example.id], reason, len(text), rows.aside(row), "set aside"))
            break
    return _finding(rows, "truncated-texts", "Texts that are cut off", "warning", items)


def mojibake(rows: AuditRows) -> Finding:
    """Find texts that were read in the wrong encoding, such as "cafÃ©" (by ftfy)."""
    try:
        from ftfy import fix_encoding
        from ftfy.badness import is_bad
    except ImportError:
        raise MissingDependencyError("texts in the wrong encoding", "audit") from None
    items = []
    for row, example in enumerate(rows.examples):
        if not (is_bad(rows.inputs[row]) or is_bad(rows.outputs[row])):
            continue
        edits = _rewritten(example, fix_encoding)
        bad = rows.inputs[row] if is_bad(rows.inputs[row]) else rows.outputs[row]
        items.append(Item([example.id], _around(bad), 1, edits, "read it in the right encoding"))
    return Finding(
        "mojibake", "Texts in the wrong encoding",
        "neither the embedder nor the model can read them", "error", ranked(items),
        "repairs what can be repaired", _fix(rows, "mojibake"),
    )  # fmt: skip


def control_characters(rows: AuditRows) -> Finding:
    """Find characters that nobody sees: controls, zero-width marks, replacement characters."""
    items = []
    for row, example in enumerate(rows.examples):
        for text in (rows.inputs[row], rows.outputs[row]):
            if unseen := {char for char in text if _is_unseen(char)}:
                named = ", ".join(sorted(f"U+{ord(char):04X}" for char in unseen))
                edits = _rewritten(example, _seen)
                items.append(Item([example.id], f"has {named}", len(unseen), edits, "remove them"))
                break
    return Finding(
        "control-characters", "Characters that nobody sees",
        "they cost tokens and part words that belong together", "warning", ranked(items),
        "removes them", _fix(rows, "control-characters"),
    )  # fmt: skip


def foreign_languages(rows: AuditRows) -> Finding:
    """Find rows in another language than the store's, or than most rows'."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingDependencyError("languages", "audit") from None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    told: dict[str, tuple[str, float]] = {}
    for text in rows.texts:
        if sum(map(str.isalpha, text)) >= LETTERS:
            told[text] = identifier.classify(text[:1000])
    items: list[Item] = []
    counts = Counter(language for language, _ in told.values())
    own = rows.settings.language.partition("-")[0].lower() or _most(counts)
    for row, example in enumerate(rows.examples):
        language, share = told.get(rows.texts[rows.text_of[row]], (own, 0.0))
        if own and language != own and share >= SURE:
            reason = f"{language} ({share:.0%} sure), where most are {own}: {rows.inputs[row]:.40}"
            items.append(Item([example.id], reason, float(share), rows.aside(row), "set aside"))
    return _finding(rows, "foreign-languages", "Rows in another language", "note", items)


def _finding(
    rows: AuditRows, id: str, title: str, severity: Severity, items: list[Item]
) -> Finding:
    return Finding(
        id, title, "they teach the model nothing, and cost tokens", severity, ranked(items),
        "sets them aside as drafts, out of prompts", _fix(rows, id),
    )  # fmt: skip


def _fix(rows: AuditRows, id: str) -> str:
    return f"promptlib store fix {rows.store} --finding {id}"


def _limits(texts: list[str]) -> set[int]:
    """Say at which lengths texts were cut: the greatest, or where several end in dots."""
    lengths = [len(text.rstrip()) for text in texts]
    longest, times = max(Counter(lengths).items())
    dotted = Counter(n for n, text in zip(lengths, texts, strict=True) if DOTS.search(text))
    often = max(CUT_ROWS, dotted.total() / 2)
    found = {n for n, times in dotted.items() if times >= often and n >= CUT_LENGTH}
    return found | ({longest} if longest >= CUT_LENGTH and times >= CUT_ROWS else set())


def _is_open(text: str) -> bool:
    """Whether a text may end in the middle."""
    return text[-1:].isalnum() or DOTS.search(text) is not None


def _has_symbols(text: str) -> bool:
    """Whether a text without words still says something: an emoji, a formula."""
    return any(unicodedata.category(char) in ("So", "Sm", "Sk") for char in text)


def _most(counts: Counter[str]) -> str:
    if not counts:
        return ""
    language, times = counts.most_common(1)[0]
    return language if times >= MOST * counts.total() else ""


def _is_unseen(char: str) -> bool:
    # A joiner is part of emoji and of several scripts: that it is there means nothing.
    if char in "\n\t\r\u200d\u200c":
        return False
    return unicodedata.category(char) in ("Cc", "Cs", "Co") or char in "\ufffd\ufeff\u200b\u2060"


def _seen(text: str) -> str:
    return "".join(char for char in text if not _is_unseen(char))


def _rewritten(example: Example, change: Callable[[str], str]) -> list[Edit]:
    """Plan to rewrite all text of a row; nothing where that leaves no row."""
    row = example.to_dict() | {"status": example.status}
    changed = {key: _each(row[key], change) for key in ("input", "output", "label") if key in row}
    try:
        after = Example.from_dict(row | changed)
    except ExampleError:
        return []
    return [Edit(example, after)] if after != example else []


def _each(value: Content | Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each(item, change) for key, item in value.items()}
    return [_each(item, change) for item in value] if isinstance(value, list) else value


def _around(text: str) -> str:
    at = next((place for place, char in enumerate(text) if ord(char) > 127), 0)
    return f"reads {text[max(0, at - 20) : at + 30]!r}"
