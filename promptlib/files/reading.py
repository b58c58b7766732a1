"""From the rows of a file to examples: columns renamed, conditions met, problems told."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import BadExamplesError, ConfigError, ExampleError, StoreError, did_you_mean
from promptlib.example import ROW_KEYS, Example, Recipe, retrieval_text
from promptlib.files.raw import RawRow, raw_rows
from promptlib.files.source import Source, open_source
from promptlib.filtering import Matcher, Where
from promptlib.text import text_number

HELD, HELD_BYTES = 100_000, 64_000_000
"""Rows that are kept in memory, and what they may weigh; a longer file is read anew each time."""

SHORT = 100
"""Characters of the longest output that can be a label."""

NOTE_PREFIXES = ("audit:", "store:")
"""Columns so called say something of a row and aren't part of it."""

REVISION_COLUMN = "store:revision"
"""The store's revision when a row was read: what was changed since isn't written over by edits."""

LabelOf = Callable[[Example], str | None]


class ExamplesFile:
    """The examples of a file, with their final ids; it can be gone through again and again.

    A first pass is made at once: it finds every bad line, and what can be said of the file as a
    whole. `rename` maps keys of a row (`input`, or `input.question` for a field) to the file's
    own names; `where` and `limit` choose rows; `label_of` and `recipe` are the store's. Raises
    BadExamplesError with every bad line unless `skip_bad`, ConfigError for a name that the file
    doesn't have, and StoreError when the file can't be read or holds no rows.
    """

    def __init__(
        self,
        source: Source,
        *,
        rename: Mapping[str, str] | None = None,
        where: Where | None = None,
        limit: int | None = None,
        skip_bad: bool = False,
        label_of: LabelOf = lambda example: example.label,
        recipe: Recipe = Recipe(),  # noqa: B008  # frozen
    ) -> None:
        self.source = source
        self.rename = dict(rename or {})
        self.where = where or Where(())
        self.limit = limit
        self.label_of = label_of
        self.recipe = recipe
        for target in self.rename:
            if target.partition(".")[0] not in ROW_KEYS:
                raise ConfigError(
                    f"there is no {target!r} to map to; {did_you_mean(target, ROW_KEYS)}"
                )
        self.count = self.drafts = self.repeats = 0
        self.problems: tuple[tuple[int, str], ...] = ()
        self.fields: dict[str, None] = {}
        """Names that the file's rows have, as they stand there."""
        self._held: list[Example] | None = []
        self._repeated: frozenset[int] = frozenset()
        self._own: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._bad_lines: frozenset[int] = frozenset()
        self._survey(skip_bad)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Example]:
        if self._held is not None:
            return iter(self._held)
        return self._numbered(self._good_rows())

    # -- the first pass --------------------------------------------------------------------------

    def _survey(self, skip_bad: bool) -> None:
        own, contents, outputs = array("Q"), array("Q"), array("Q")
        own_lines = array("Q")
        problems: list[tuple[int, str]] = []
        self._labels_possible, weight = True, 0
        for line, example, problem in self._rows(Matcher(self.where)):
            if example is None:
                problems.append((line, problem))
                continue
            self.count += 1
            self.drafts += example.status == "draft"
            if example.id == example.content_hash[:16]:
                contents.append(int(example.id, 16))
            else:
                own.append(text_number(example.id))
                own_lines.append(line)
            self._note_output(example, outputs)
            weight += len(example.content)
            if self._held is not None:
                self._held.append(example)
                if len(self._held) > HELD or weight > HELD_BYTES:
                    self._held = None
        self._own = np.sort(np.array(own, np.uint64))
        twice = self._used_twice(own, own_lines)
        problems += twice
        self._check_names()
        self.problems = tuple(sorted(problems))
        self._bad_lines = frozenset(line for line, _ in problems)
        if problems and not (skip_bad and self.count):
            raise BadExamplesError(
                self.source.name,
                self.problems,
                f"bad {self.source.unit}s: {len(problems):,} of {self.count + len(problems):,}; "
                f"nothing was taken from the file{self._hint()}",
                self.source.unit,
            )
        if not self.count:
            raise StoreError(f"{self.source.name} holds no examples{self._hint()}")
        distinct, times = np.unique(np.array(contents, np.uint64), return_counts=True)
        self.repeats = int((times - 1).sum())
        self._repeated = frozenset(distinct[times > 1].tolist())
        kinds = len(np.unique(np.array(outputs, np.uint64)))
        labels = self._labels_possible and outputs and kinds * 2 <= len(outputs)
        self.label_guess = "output" if labels else ""
        if self._held is not None:
            self._held = list(self._numbered(self._good_rows() if twice else self._held))

    def _note_output(self, example: Example, outputs: array[int]) -> None:
        if example.output is None or example.label is not None:
            return
        if isinstance(example.output, str) and len(example.output) <= SHORT:
            outputs.append(_output_number(example.output))
        else:
            self._labels_possible = False

    def _used_twice(self, ids: array[int], lines: array[int]) -> list[tuple[int, str]]:
        """Find the rows whose own id an earlier row has used."""
        numbers, times = np.unique(np.array(ids, np.uint64), return_counts=True)
        if len(numbers) == len(ids):
            return []
        twice, first = set(numbers[times > 1].tolist()), dict[int, int]()
        suspects = {line for id, line in zip(ids, lines, strict=True) if id in twice}
        problems = []
        for line, example, _ in self._rows(Matcher(self.where)):
            if line in suspects and example is not None:
                before = first.setdefault(text_number(example.id), line)
                if before != line:
                    problems.append(
                        (line, f"id {example.id!r} was used on {self.source.unit} {before}")
                    )
                    self.count -= 1
        return problems

    def _check_names(self) -> None:
        for column in self.rename.values() if self.limit != 0 else ():
            if column not in self.fields:
                raise ConfigError(
                    f"{self.source.name} has no {column!r}; {did_you_mean(column, self.fields)}"
                )
        mapped = {target.partition(".")[0] for target in self.rename}
        if self.fields and "input" not in mapped and "input" not in self.fields:
            raise ConfigError(
                f"{self.source.name} has no 'input', it has {', '.join(self.fields)}; say which of "
                f"them it is, with --map input={next(iter(self.fields))} for example"
            )

    def _hint(self) -> str:
        if not self.problems and (self.where or self.limit == 0):
            return " that meet the conditions"
        return ""

    # -- every pass ------------------------------------------------------------------------------

    def _rows(self, matcher: Matcher) -> Iterator[tuple[int, Example | None, str]]:
        taken = 0
        for raw in raw_rows(self.source):
            if self.limit is not None and taken >= self.limit:
                break
            self.fields.update(dict.fromkeys(raw.fields))
            try:
                if raw.problem is not None:
                    raise ExampleError(raw.problem)
                example = Example.from_dict(self._renamed(raw))
                if self.recipe.fields:
                    retrieval_text(example.input, self.recipe)  # has it what it is found by?
            except ExampleError as error:
                yield raw.line, None, str(error)
                continue
            if not self.where or matcher.matches(example, self.label_of(example)):
                taken += 1
                yield raw.line, example, ""
        if self.where:
            matcher.check()

    def _good_rows(self) -> Iterator[Example]:
        for line, example, _ in self._rows(Matcher(self.where)):
            if example is not None and line not in self._bad_lines:
                yield example

    def _renamed(self, raw: RawRow) -> dict[str, Any]:
        return renamed(raw.fields, self.rename, as_text=self.source.format in ("csv", "tsv"))

    def _numbered(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Give the nth exact repeat of a row without an id of its own the id `hash-n`."""
        seen: Counter[int] = Counter()
        for example in examples:
            if self._repeated and example.id == example.content_hash[:16]:
                number = int(example.id, 16)
                if number in self._repeated:
                    seen[number] += 1
                    while seen[number] > 1 and self._is_own(f"{example.id}-{seen[number]}"):
                        seen[number] += 1
                    if seen[number] > 1:
                        example = replace(example, id=f"{example.id}-{seen[number]}")
            yield example

    def _is_own(self, id: str) -> bool:
        """Whether some row of the file has this id as its own."""
        return holds(self._own, text_number(id))


def read_examples(path: Path | str, **options: Any) -> list[Example]:
    """Read all examples of a file; takes the options of ExamplesFile."""
    with open_source(path) as source:
        return list(ExamplesFile(source, **options))


def bad_rows(source: Source, problems: Iterable[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """Give each row of a file that has a problem, with its line and what is wrong with it."""
    reasons = dict(problems)
    for raw in raw_rows(source):
        if raw.line in reasons:
            fields = raw.fields if raw.written is None else raw.written
            text = raw.text or json.dumps(fields, ensure_ascii=False, default=str)
            yield {"line": raw.line, "reason": reasons[raw.line], "row": text}


_output_number = lru_cache(4_096)(text_number)  # the same ones again and again


def holds(numbers: NDArray[np.uint64], number: int) -> bool:
    """Whether sorted numbers hold this one."""
    at = int(np.searchsorted(numbers, np.uint64(number)))
    return at < len(numbers) and int(numbers[at]) == number


def renamed(
    fields: Mapping[str, Any], rename: Mapping[str, str], *, as_text: bool
) -> dict[str, Any]:
    """Put the fields of a file's row where `rename` says; raises ExampleError.

    `as_text` is for tables: their metadata column is JSON.
    """
    taken = set(rename.values())
    row = {
        name: value
        for name, value in fields.items()
        if name not in taken and not name.startswith(NOTE_PREFIXES)
    }
    for target, column in rename.items():
        if column not in fields:
            continue
        value = fields[column]
        part, _, name = target.partition(".")
        if not name:
            row[part] = value
        elif isinstance(inner := row.setdefault(part, {}), dict):
            inner[name] = value
    if as_text and isinstance(row.get("metadata"), str):
        try:
            row["metadata"] = json.loads(row["metadata"])
        except ValueError:
            raise ExampleError("metadata must be a JSON object") from None
    return row
