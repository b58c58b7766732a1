"""Rows that say the same twice, and rows that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Literal

from promptlib.audit.copies import LETTERS, stars
from promptlib.audit.finding import Finding, Item, ranked
from promptlib.audit.rows import AuditRows
from promptlib.store.planning import Edit
from promptlib.text import canonical_json

SURE = 0.97
"""Likeness from which two inputs are one question: only then can answers contradict."""

SHOWN = 60


def exact_duplicates(rows: AuditRows) -> Finding:
    """Find rows with the same input, output and label."""
    groups = _groups(rows, lambda row: (_input(rows, row), rows.labels[row], rows.outputs[row]))
    items = [_cluster(rows, group, "the same input and output") for group in groups]
    return _finding("exact-duplicates", "Rows that stand twice", items, rows)


def normalised_duplicates(rows: AuditRows) -> Finding:
    """Find rows that differ in case, punctuation or space alone."""
    groups = _groups(rows, lambda row: (rows.normal[row], _answer(rows, row)), of_words=True)
    different = [
        group for group in groups
        if len({(_input(rows, row), rows.outputs[row]) for row in group}) > 1
    ]  # fmt: skip
    items = [
        _cluster(rows, _first_of_each(rows, group), "but for case, punctuation and space")
        for group in different
    ]
    return _finding("normalised-duplicates", "Rows that differ in writing alone", items, rows)


def near_duplicates(rows: AuditRows) -> Finding:
    """Find rows that say nearly the same and have the same answer."""
    likeness: dict[tuple[int, int], float] = {}
    for one, other, cosine, letters in _twins(rows):
        if _answer(rows, one) == _answer(rows, other) and rows.normal[one] != rows.normal[other]:
            likeness[one, other] = likeness[other, one] = max(cosine, letters)
    items = []
    for centre, members in stars(likeness):
        kept, least = _survivor(rows, centre, members, likeness)
        others = [row for row in (centre, *members) if row != kept]
        same = [row for row in others if (kept, row) in likeness]
        reason = f"nearly the same ({least:.2f}): {_short(rows.inputs[same[0]])}"
        items.append(_item(rows, kept, same, reason, len(same) + least))
    return _finding("near-duplicates", "Rows that say nearly the same", items, rows)


def conflicts(rows: AuditRows) -> Finding:
    """Find rows that ask the same and answer otherwise."""
    pairs = {
        (one, other): f"{max(cosine, letters):.2f} alike"
        for one, other, cosine, letters in _twins(rows)
        if cosine >= max(SURE, rows.near) or letters >= SURE
        if _disagree(rows, one, other, same_text=rows.normal[one] == rows.normal[other])
    }
    for group in _groups(rows, lambda row: rows.normal[row], of_words=True):
        first = group[0]
        for other in group[1:]:
            if _disagree(rows, first, other, same_text=True):
                pairs[first, other] = "the same but for case, punctuation and space"
    items = []
    for centre, members in stars(pairs):
        cluster = [centre, *members]
        first = members[0]
        alike = pairs.get((centre, first)) or pairs.get((first, centre), "nearly the same")
        answers = " or ".join(dict.fromkeys(_named(rows, row) for row in cluster))
        edits = rows.aside(*cluster)
        reason = f"{alike}, answered {answers}: {_short(rows.inputs[centre])}"
        items.append(Item(rows.ids(cluster), reason, len(cluster), edits, "set aside for now"))
    return Finding(
        "conflicts", "The same question, answered otherwise",
        "a prompt that shows both teaches the model to guess", "error", ranked(items),
        "sets them aside as drafts until somebody decides",
        f"promptlib store review {rows.store} --finding conflicts",
    )  # fmt: skip


def _finding(
    id: Literal["exact-duplicates", "normalised-duplicates", "near-duplicates"], title: str,
    items: Sequence[Item], rows: AuditRows,
) -> Finding:  # fmt: skip
    severity: Literal["warning", "note"] = "note" if id == "near-duplicates" else "warning"
    return Finding(
        id, title, "copies crowd other examples out of prompts and cost tokens", severity,
        ranked(items), "keeps one of each and takes the others out",
        f"promptlib store fix {rows.store} --finding {id}",
    )  # fmt: skip


def _twins(rows: AuditRows) -> Iterator[tuple[int, int, float, float]]:
    """Go through pairs of rows whose texts are twins; of rows with one text the first stands."""
    twins = rows.twins
    limited = bool(rows.settings.embed.fields or rows.settings.embed.turns)
    for (one, other), cosine, letters in zip(
        twins.pairs.tolist(), twins.cosine.tolist(), twins.letters.tolist(), strict=True
    ):
        for first in rows.distinct_rows(one):
            for second in rows.distinct_rows(other):
                if limited and not _alike(rows, first, second):
                    continue  # they are found by a part of their inputs alone
                yield first, second, cosine, letters


def _alike(rows: AuditRows, one: int, other: int) -> bool:
    from rapidfuzz import fuzz

    return bool(fuzz.ratio(rows.normal[one], rows.normal[other]) >= 100 * LETTERS)


def _answer(rows: AuditRows, row: int) -> Hashable:
    # Signs within an answer matter: -5 isn't 5.
    return rows.labels[row], " ".join(rows.outputs[row].casefold().rstrip(" .!").split())


def _disagree(rows: AuditRows, one: int, other: int, *, same_text: bool) -> bool:
    """Whether two rows contradict each other.

    Outputs that are written freely differ without being wrong; those of one text twice shouldn't.
    """
    first, second = rows.labels[one], rows.labels[other]
    if first is not None and second is not None and first != second:
        return True
    outputs = rows.outputs[one], rows.outputs[other]
    return same_text and all(outputs) and _answer(rows, one) != _answer(rows, other)


def _groups(
    rows: AuditRows, key: Callable[[int], Hashable], *, of_words: bool = False
) -> list[list[int]]:
    """Group rows by a key; with `of_words` those that have no word at all are left out."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for row in range(len(rows)):
        if rows.normal[row] or not of_words:
            found[key(row)].append(row)
    return [group for group in found.values() if len(group) > 1]


def _input(rows: AuditRows, row: int) -> str:
    return canonical_json(rows.examples[row].input)


def _first_of_each(rows: AuditRows, group: Iterable[int]) -> list[int]:
    """Keep one of those that are exactly the same: they are another finding."""
    kept: dict[Hashable, int] = {}
    for row in group:
        kept.setdefault((_input(rows, row), rows.outputs[row]), row)
    return list(kept.values())


def _cluster(rows: AuditRows, group: Sequence[int], reason: str) -> Item:
    kept = min(group, key=lambda row: _worth(rows, row))
    others = [row for row in group if row != kept]
    told = f"{len(group)} rows, {reason}: {_short(rows.inputs[kept])}"
    return _item(rows, kept, others, told, len(group))


def _item(rows: AuditRows, kept: int, others: Sequence[int], reason: str, score: float) -> Item:
    edits = [Edit(rows.examples[row], None) for row in others]
    ids = rows.ids([kept, *others])
    return Item(ids, reason, score, edits, f"keep {ids[0]}")


def _survivor(
    rows: AuditRows, centre: int, members: Sequence[int], likeness: dict[tuple[int, int], float]
) -> tuple[int, float]:
    """Keep the one that most are near to; of a pair, the one with more behind it."""
    kept = centre
    if len(members) == 1:
        kept = min((centre, members[0]), key=lambda row: _worth(rows, row))
    least = min(
        likeness[kept, row] for row in (centre, *members) if row != kept and (kept, row) in likeness
    )
    return kept, least


def _worth(rows: AuditRows, row: int) -> tuple[bool, bool, int, int, str]:
    """Order rows by what would be lost with them, the most valuable first."""
    example = rows.examples[row]
    return (
        example.status != "approved",
        example.id not in rows.reviewed,
        -len(example.metadata),
        -len(rows.inputs[row]),
        example.id,
    )


def _named(rows: AuditRows, row: int) -> str:
    return rows.labels[row] or _short(rows.outputs[row]) or "nothing"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
