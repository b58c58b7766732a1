"""What commands share that change rows of a store: which rows, who, why, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .output import counted, print_table, say

if TYPE_CHECKING:
    from promptlib.example import Example
    from promptlib.store.planning import Edit
    from promptlib.store.settings import StoreSettings
    from promptlib.store.store import ExampleStore

Command = TypeVar("Command", bound=Callable[..., Any])

DONE = {"edit": "changed", "delete": "removed", "fix": "mended", "review": "reviewed"}
"""What was done, in the words for who has done it."""

SHOWN = 20
"""Rows that a dry run lists."""

where_option = click.option(
    "--where", multiple=True, metavar="FIELD=VALUE",
    help="All rows that meet this; FIELD!=VALUE too. The same field again is an alternative.",
)  # fmt: skip
dry_option = click.option("--dry-run", is_flag=True, help="Say what would change, change nothing.")
force_option = click.option(
    "--force", is_flag=True, help="Even if somebody else has changed them meanwhile."
)


def who_options(command: Command) -> Command:
    """Take who does it and why, for the log."""
    command = click.option("--why", "note", default="", metavar="TEXT", help="Why, for the log.")(
        command
    )
    return click.option("--by", help="Who does it; PROMPTLIB_USER or git's user by default.")(
        command
    )


def chosen_rows(opened: ExampleStore, ids: Sequence[str], where: Sequence[str]) -> list[Example]:
    """Read the rows that are meant, by id or by condition."""
    if bool(ids) == bool(where):
        raise click.UsageError("name rows: either by ID, or with --where FIELD=VALUE")
    if ids:
        return [opened.get(id) for id in dict.fromkeys(ids)]
    found = [row.example for row in opened.rows(where=where)]
    if not found:
        say(f"no row meets {' and '.join(where)}")
    return found


def changed(row: Example, values: Mapping[str, Any], settings: StoreSettings) -> Example:
    """Give a row other values, a label where the store looks for it; says which can't have them."""
    from promptlib.errors import ExampleError

    values = dict(values)
    try:
        if values.get("label") is not None:
            row = settings.with_label(row, values.pop("label"))
        return replace(row, **values)
    except ExampleError as error:
        raise click.ClickException(f"{row.id}: {error}") from None


def apply_edits(
    opened: ExampleStore, edits: Sequence[Edit], *, reason: str = "edit", by: str | None = None,
    note: str = "", force: bool = False, dry_run: bool = False,
) -> None:  # fmt: skip
    """Carry edits out as one revision, or list what they would do."""
    edits = [edit for edit in edits if edit.before != edit.after]
    if not edits:
        say("nothing to change")
        return
    if dry_run:
        tell_edits(edits)
        return
    number = opened.edit(edits, reason=reason, by=by, note=note, force=force)
    one = edits[0].before.id if len(edits) == 1 else counted(len(edits), "row")
    say(f"{DONE.get(reason, reason)} {one} in {opened.name}, revision {number}")


def tell_edits(edits: Sequence[Edit]) -> None:
    """List what edits would do, field by field."""
    from promptlib.store.comparing import RowDifference

    rows = []
    for edit in edits[:SHOWN]:
        difference = RowDifference(edit.before, edit.after)
        if edit.after is None:
            rows.append([edit.before.id, "out", _short(edit.before.input), ""])
            continue
        rows += [
            [edit.before.id, name, _short(before), _short(after)]
            for name, (before, after) in difference.fields.items()
        ]
    print_table(["id", "what", "is", "would be"], rows, free="is")
    more = f", the first {SHOWN} above" if len(edits) > SHOWN else ""
    say(f"{counted(len(edits), 'row')}{more}; a dry run: nothing was changed")


def _short(value: Any) -> str:
    from promptlib.text import visible

    text = "" if value is None else str(value)
    hidden = len(text) < 80 and text != " ".join(text.split())
    return visible(text) if hidden else " ".join(text.split())[:80]
