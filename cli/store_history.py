"""`promptlib store log`, `undo` and `diff`: what was done to a store, and taking it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import counted, json_option, open_project, print_json, print_table, say

if TYPE_CHECKING:
    from promptlib.example import Example
    from promptlib.store.comparing import RowDifference
    from promptlib.store.reports import LoggedChange
    from promptlib.store.store import ExampleStore


class RevisionNumber(click.IntRange):
    """The number of a revision; says where they are listed."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read the number."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no revision: promptlib store log NAME has their numbers")


at_option = click.option(
    "--at", type=RevisionNumber(min=0), metavar="REVISION", help="As the store stood then."
)


@click.command()
@click.argument("name")
@click.option("-n", "most", type=click.IntRange(min=1), default=20, show_default=True,
              help="How many revisions to list, the newest first.")  # fmt: skip
@json_option
@click.pass_context
def log(ctx: click.Context, name: str, most: int, as_json: bool) -> None:
    """List what was done to store NAME: who, when, how many rows, and why.

    \b
    promptlib store log banking77
    promptlib store show banking77 f218b70e7f4ee1a1 --history
    """
    opened = open_project(ctx).store(name)
    found = opened.revisions(most)
    if as_json:
        print_json([revision.to_dict() for revision in found])
        return
    rows = [
        [r.number, r.at[:19], r.by, r.reason, r.added or None, r.edited or None,
         r.removed or None, r.note or ("settings" if r.settings else "")]
        for r in found
    ]  # fmt: skip
    columns = ["revision", "at (UTC)", "by", "what", "added", "edited", "removed", "why"]
    print_table(columns, rows, free="why")
    if found and found[-1].number:
        say(f"{found[-1].number:,} older revisions; -n shows more")


@click.command()
@click.argument("name")
@click.argument("revision", required=False, type=RevisionNumber(min=0))
@click.option("--by", help="Who takes it back.")
@click.option("--why", "note", default="", help="Why, for the log.")
@click.pass_context
def undo(ctx: click.Context, name: str, revision: int | None, by: str | None, note: str) -> None:
    """Take a REVISION of store NAME back, the last one by default, as a new revision.

    Refused, with the list, when later revisions have changed its rows. An undo can be undone.

    \b
    promptlib store undo banking77
    promptlib store undo banking77 12
    """
    opened = open_project(ctx).store(name)
    taken = opened.revision if revision is None else revision
    number = opened.undo(taken, by=by, note=note)
    done = opened.revisions(1)[0]
    parts = [(done.added, "back"), (done.edited, "as before"), (done.removed, "out")]
    told = ", ".join(f"{counted(n, 'row')} {what}" for n, what in parts if n) or "settings"
    say(f"{name}: took revision {taken} back ({told}); revision {number}")


@click.command()
@click.argument("name")
@click.argument("before")
@click.argument("after", required=False)
@click.option("--only", type=click.Choice(["added", "edited", "removed"]), help="One kind alone.")
@json_option
@click.pass_context
def diff(
    ctx: click.Context, name: str, before: str, after: str | None, only: str | None, as_json: bool
) -> None:
    """Show what differs in store NAME between BEFORE and AFTER, by row and field.

    Each is a revision or a file of examples; AFTER is the store as it is now by default.

    \b
    promptlib store diff banking77 3
    promptlib store diff banking77 3 5 --json
    promptlib store diff banking77 example_stores/banking77/examples.jsonl
    """
    from promptlib.store.comparing import compare_rows

    opened = open_project(ctx).store(name)
    sides = _side(opened, before), _side(opened, after)
    found = [each for each in compare_rows(*sides) if only in (None, each.kind)]
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    for each in found:
        _print_difference(each)
    kinds = [each.kind for each in found]
    counts = [(kinds.count(kind), kind) for kind in ("added", "edited", "removed")]
    say(", ".join(f"{count:,} {kind}" for count, kind in counts if count) or "nothing differs")


def print_history(opened: ExampleStore, id: str, as_json: bool) -> None:
    """Print what was done to one row, the oldest first."""
    from promptlib.store.comparing import RowDifference
    from promptlib.store.history import logged_row

    def shown(text: str | None) -> Example | None:
        row = logged_row(text)
        return row.example if row is not None and not row.deleted else None

    changes = opened.log(id)
    if not changes:
        opened.get(id)  # says so where there is no such row
    if as_json:
        print_json([
            {"revision": c.revision, "at": c.at, "by": c.by, "what": c.reason, "why": c.note}
            | RowDifference(shown(c.before), shown(c.after)).to_dict()
            for c in changes if c.before or c.after
        ])  # fmt: skip
        return
    for change in changes:
        _print_change(change, RowDifference(shown(change.before), shown(change.after)))


def _print_change(change: LoggedChange, difference: RowDifference) -> None:
    told = [f"revision {change.revision}", change.at[:19], change.by, change.reason]
    click.secho(", ".join(told) + (f": {change.note}" if change.note else ""), bold=True)
    for name, (one, two) in difference.fields.items():
        _print_field(name, one, two)


def _print_difference(difference: RowDifference) -> None:
    signs = {"added": ("+", "green"), "removed": ("-", "red"), "edited": ("~", "yellow")}
    sign, colour = signs[difference.kind]
    click.secho(f"{sign} {difference.id}", fg=colour, bold=True)
    for name, (one, two) in difference.fields.items():
        _print_field(name, one, two)


def _print_field(name: str, before: Any, after: Any) -> None:
    for sign, value, colour in (("-", before, "red"), ("+", after, "green")):
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for line in text.splitlines() or [""]:
                click.secho(f"  {sign} {name}: {line}", fg=colour)


def _side(opened: ExampleStore, named: str | None) -> Iterator[Example]:
    if named is None:
        return iter(opened)
    if named.isdecimal():
        return (row.example for row in opened.rows(at=int(named)))
    from promptlib.files.reading import read_examples

    if not Path(named).exists():
        raise click.ClickException(
            f"{named!r} is neither a revision of {opened.name}, which is at {opened.revision}, "
            "nor a file"
        )
    return iter(sorted(read_examples(named), key=lambda example: example.id))
