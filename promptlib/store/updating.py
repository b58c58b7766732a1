"""Edits by id, as a spreadsheet brings them: what a row says replaces what its example had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from promptlib.errors import BadExamplesError, ExampleError, StoreError
from promptlib.example import Example
from promptlib.files.raw import RawRow, raw_rows
from promptlib.files.reading import REVISION_COLUMN, renamed
from promptlib.files.source import Source
from promptlib.store.history import rows_as_of
from promptlib.store.importing import SAMPLE, ImportReport
from promptlib.store.planning import latest_changes
from promptlib.store.reports import StoreState
from promptlib.store.rows import Change, RevisionWriter, StoredRow, row_of, rows_by_id
from promptlib.store.settings import StoreSettings
from promptlib.text import kind_of

if TYPE_CHECKING:
    from promptlib.store.store import ExampleStore

Problem = tuple[int, str]


@dataclass(frozen=True)
class Edits:
    """The rows of a file of edits: (line, what it says), and what is wrong with others."""

    source: Source
    rows: tuple[tuple[int, dict[str, Any]], ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Planned:
    changes: list[Change]
    unchanged: int
    problems: list[Problem]


def read_edits(source: Source, rename: Mapping[str, str]) -> Edits:
    """Read a file of edits; each names an `id` and the fields that change."""
    rows: list[tuple[int, dict[str, Any]]] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    names: dict[str, None] = {}
    for raw in raw_rows(source):
        names |= dict.fromkeys(raw.fields)
        try:
            fields = _fields(source, raw, rename)
            if fields["id"] in seen:
                raise ExampleError(f"id {fields['id']!r} stands twice")
            seen.add(fields["id"])
            rows.append((raw.line, fields))
        except ExampleError as error:
            problems.append((raw.line, str(error)))
    if names and not {"id", rename.get("id")} & names.keys():
        raise StoreError(
            f"{source.name} has no 'id', it has {', '.join(names)}; an update needs to know which "
            "row each is for: --map id=NAME says where it stands"
        )
    if not rows and not problems:
        raise StoreError(f"{source.name} holds no rows to update by")
    return Edits(source, tuple(rows), tuple(problems))


def update_examples(
    store: ExampleStore, edits: Edits, *, skip_bad: bool, dry_run: bool, by: str | None,
    force: bool = False, note: str = "",
) -> ImportReport:  # fmt: skip
    """Apply edits in one transaction; raises BadExamplesError if rows are bad, unless `skip_bad`.

    What is edited here meanwhile is kept, field by field, where the file says nothing of it. A row
    that was changed after the revision which the file names for it is bad, unless `force`.
    """
    with store.database.read() as connection:
        planned = _plan(connection, store.state(connection), edits, force)
    problems = (*edits.problems, *planned.problems)
    if problems and not skip_bad:
        hint = f"bad rows: {len(problems):,}; nothing was changed"
        raise BadExamplesError(edits.source.name, sorted(problems), hint, edits.source.unit)
    revision = store.revision
    if planned.changes and not dry_run:
        store.embed(after.example for _, after in planned.changes)
        with store.database.write() as connection:
            state = store.state(connection)
            planned = _plan(connection, state, edits, force)
            writer = RevisionWriter(connection, state.key, reason="edit", by=by, note=note)
            writer.put(planned.changes)
            revision = writer.revision or state.revision
    return ImportReport(
        updated=len(planned.changes),
        unchanged=planned.unchanged,
        problems=tuple(sorted((*edits.problems, *planned.problems))),
        samples={"updated": [after.id for _, after in planned.changes[:SAMPLE]]},
        revision=revision,
        dry_run=dry_run,
    )


def _fields(source: Source, raw: RawRow, rename: Mapping[str, str]) -> dict[str, Any]:
    if raw.problem is not None:
        raise ExampleError(raw.problem)
    fields = renamed(raw.fields, rename, as_text=source.format in ("csv", "tsv"))
    if REVISION_COLUMN in raw.fields:
        fields[REVISION_COLUMN] = raw.fields[REVISION_COLUMN]
    if not isinstance(fields.get("id"), str):
        raise ExampleError("id is missing: an update needs to know which row it is for")
    return fields


def _like(cell: Any, stored: Any) -> Any:
    """Read a table's cell as the kind of value that stands in its place."""
    if not isinstance(cell, str) or isinstance(stored, str) or stored is None:
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        raise ExampleError(f"a cell must be JSON, as {kind_of(stored)} stands there") from None


def _plan(connection: Connection, state: StoreState, edits: Edits, force: bool) -> _Planned:
    rows, as_text = edits.rows, edits.source.format in ("csv", "tsv")
    existing = rows_by_id(connection, state.key, (fields["id"] for _, fields in rows))
    read_at = {fields["id"]: _read_at(fields, state.revision) for _, fields in rows}
    seen = rows_as_of(connection, state, {id: n for id, n in read_at.items() if n is not None})
    late = {id: (n, by) for id, n, by, _ in latest_changes(connection, state, seen)}
    planned = _Planned([], 0, [])
    unchanged = 0
    for line, fields in rows:
        before = existing.get(fields["id"])
        try:
            if before is None or before.deleted:
                raise ExampleError(f"there is no example {fields['id']!r} in the store")
            if read_at[before.id] == UNREADABLE:
                raise ExampleError(
                    f"{REVISION_COLUMN} is {fields[REVISION_COLUMN]!r}, not a revision of the "
                    f"store (0 to {state.revision})"
                )
            fields = {name: fields[name] for name in fields if name != REVISION_COLUMN}
            base = seen.get(before.id) or before
            wanted = _edited(base, fields, state.settings, as_text=as_text)
            example = _merged(before.example, base.example, wanted)
            after = row_of(example, state.settings, source_hash=before.source_hash)
            if not force and after != before and _differ(before, base):
                number, by = late[before.id]
                raise ExampleError(
                    f"changed at revision {number} by {by}, after {read_at[before.id]}: look "
                    "again, or --force"
                )
        except ExampleError as error:
            planned.problems.append((line, str(error)))
            continue
        if after == before:
            unchanged += 1
        else:
            planned.changes.append((before, after))
    return _Planned(planned.changes, unchanged, planned.problems)


UNREADABLE = -1
"""Stands for what a file gives for a revision and can't be one."""


def _differ(one: StoredRow, other: StoredRow) -> bool:
    return (one.content, one.status) != (other.content, other.status)


def _read_at(fields: Mapping[str, Any], newest: int) -> int | None:
    """Read the revision at which a row was read: None where it isn't said."""
    said = fields.get(REVISION_COLUMN)
    if said is None or said == "":
        return None
    try:
        number = float(said)  # spreadsheets write 3.0
    except (TypeError, ValueError):
        return UNREADABLE
    return int(number) if number.is_integer() and 0 <= number <= newest else UNREADABLE


def _merged(now: Example, base: Example, wanted: Example) -> Example:
    """Apply to a row what a file changes of the row that it was made of."""
    names = ("input", "output", "label", "status")
    values = {
        name: getattr(wanted, name)
        for name in names
        if getattr(wanted, name) != getattr(base, name)
    }
    said = {k: v for k, v in wanted.metadata.items() if (k, v) not in base.metadata.items()}
    return replace(now, **values, metadata={**now.metadata, **said})


def _edited(
    before: StoredRow, fields: Mapping[str, Any], settings: StoreSettings, *, as_text: bool
) -> Example:
    """Put what a row says over what an example has; metadata is merged.

    A table has texts alone: where the example has an object or a conversation, they are its JSON. A
    label that isn't the one in effect is put where the store looks for it.
    """
    example, label = before.example, fields.get("label")
    if example.label is None and before.label is not None and isinstance(label, str):
        fields = {name: value for name, value in fields.items() if name != "label"}
        if label != before.label:
            example = settings.with_label(example, label)
            fields = {name: value for name, value in fields.items() if name != "output"}
    if as_text:
        fields = {name: _like(value, getattr(example, name, "")) for name, value in fields.items()}
    incoming = Example.from_dict({"input": "-", "output": "-", **fields})
    said = {key: fields[key] for key in ("input", "output", "label", "status") if key in fields}
    row = example.to_dict() | {k: v for k, v in said.items() if v is not None or k == "label"}
    row["metadata"] = {**example.metadata, **incoming.metadata}
    return Example.from_dict(row)
