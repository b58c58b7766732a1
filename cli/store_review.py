"""`promptlib store review`: rows one by one, a key for each decision."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from .output import counted, open_project, print_json, say
from .store_edit import edited

if TYPE_CHECKING:
    from promptlib.audit.reviewing import Doubt, Review

KEYS = {
    "a": "approve", "r": "reject", "l": "label", "f": "do as suggested", "e": "edit",
    "s": "skip", "u": "undo", "q": "quit",
}  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--finding", metavar="ID", help="Rows of this finding of promptlib store audit.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Rows that meet this.")
@click.option("-n", "most", type=click.IntRange(min=1), default=500, show_default=True,
              help="At most so many rows.")  # fmt: skip
@click.option("--by", help="Who reviews; PROMPTLIB_USER or git's user by default.")
@click.option("--list", "only_list", is_flag=True, help="Print the queue as JSON.")
@click.pass_context
def review(
    ctx: click.Context, name: str, finding: str | None, where: tuple[str, ...], most: int,
    by: str | None, only_list: bool,
) -> None:  # fmt: skip
    """Go through rows of store NAME that need a decision, what matters most first.

    One key decides: a approves, r rejects (and asks why), l gives another label, f does as
    suggested, e opens the row in $EDITOR, s skips, u takes the last decision back, q ends. Each
    decision is kept at once; a row that was looked at isn't asked about again.

    \b
    promptlib store review tickets
    promptlib store review tickets --finding label-errors
    promptlib store review tickets --where status=draft --where source=bootstrap
    """
    from promptlib.audit.reviewing import Review, review_queue

    if not only_list and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal; --list prints the queue")
    project = open_project(ctx)
    queue = review_queue(project, name, finding=finding, where=where, most=most)
    if only_list:
        print_json([
            {"id": doubt.example.id, "reasons": list(doubt.reasons), "suggestion": doubt.suggestion}
            for doubt in queue
        ])  # fmt: skip
        return
    if not queue:
        say("there is nothing to look at")
        return
    session = Review(project.store(name), by=by)
    _walk(session, queue)
    say(f"{counted(len(session.done), 'decision')}; promptlib store log {name} lists them")


def _walk(session: Review, queue: list[Doubt]) -> None:
    """Show one row after the other; an undo goes back to the row that it was about."""
    from promptlib.errors import PromptlibError

    at, decided = 0, list[tuple[int, str]]()
    while True:
        if at < len(queue):
            _show(queue[at], f"{at + 1:,} of {len(queue):,}")
        else:
            say("that was the last one  [u] undo  [q] quit")
        key = click.getchar().lower()
        if key in ("q", "\x03", "\x04"):
            return
        if key == "u":
            if session.undo() is None:
                say("there is nothing to take back")
                continue
            at, done = decided.pop()
            say(f"took back: {done}")
        elif at == len(queue):
            return
        elif key == "s":
            at += 1
        else:
            try:
                done = _decide(session, queue[at], key)
            except (PromptlibError, click.ClickException) as error:
                say(f"Error: {getattr(error, 'message', error)}", fg="red")
                continue
            except click.Abort:
                say("\nnothing was decided")
                continue
            if done:
                say(f"{queue[at].example.id}: {done}", fg="green")
                decided.append((at, done))
                at += 1


def _decide(session: Review, doubt: Doubt, key: str) -> str:
    """Carry out what a key says; returns what was decided, nothing if it was no decision."""
    row = doubt.example
    if key == "a":
        session.approve(row)
        return "approved"
    if key == "r":
        session.reject(row, click.prompt("Why", default="", show_default=False, err=True))
        return "rejected"
    if key == "l":
        label = click.prompt("Label", default=doubt.label or "", err=True)
        if not _is_meant(session, label):
            return ""
        session.relabel(row, label)
        return f"labelled {label}"
    if key == "f":
        session.follow(doubt)
        return doubt.suggestion
    if key == "e":
        after = edited(row)
        if after != row:
            session.correct(row, after)
            return "corrected"
        say("nothing was changed")
        return ""
    say(_keys(doubt))
    return ""


def _keys(doubt: Doubt) -> str:
    shown = (each for each in KEYS if each != "f" or doubt.suggestion)
    return "  ".join(f"[{key}] {KEYS[key]}" for key in shown)


def _is_meant(session: Review, label: str) -> bool:
    """Ask before a slip of the keys becomes a class of its own."""
    from promptlib.errors import did_you_mean

    known = session.store.stats().volume.classes
    if label in known or not known:
        return True
    near = did_you_mean(label, known)
    return click.confirm(f"No row has the label {label!r} ({near}). Make it?", err=True)


def _show(doubt: Doubt, place: str) -> None:
    row = doubt.example
    click.secho(f"\n{place}  {row.id}  {row.status}", bold=True)
    for reason in doubt.reasons:
        click.secho(f"  {reason}", fg="yellow")
    _field("input", row.input)
    _field("output", row.output)
    if doubt.label is not None and doubt.label != row.output:
        _field("label", doubt.label)
    if row.metadata:
        _field("metadata", dict(row.metadata))
    for other in doubt.others[:3]:
        status = "" if other.status == "approved" else f" ({other.status})"
        click.echo(f"  beside {other.id}{status}: {_text(other.input)} -> {_text(other.output)}")
    if doubt.suggestion:
        click.secho(f"  suggested: {doubt.suggestion}", fg="green")
    say(_keys(doubt))


def _field(name: str, value: Any) -> None:
    for line in _text(value).splitlines() or [""]:
        click.echo(f"  {name}: {line}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
