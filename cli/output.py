"""What commands share in speaking: data on stdout, talk on stderr, progress where someone looks."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from promptlib.config import ProjectProgress
    from promptlib.project import Project

QUIET = 30.0
"""Seconds after which a pipe gets a line of long work."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


def say(text: str, *, fg: str | None = None) -> None:
    """Tell the user something that isn't data."""
    click.secho(text, err=True, fg=fg)


def print_json(value: Any) -> None:
    """Print data for a program to read."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: 1 row, 2 rows."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Give a noun's plural: rows, queries."""
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, free: str = "", err: bool = False
) -> None:
    """Print a table: drawn on a terminal, tab-separated in a pipe. Numbers stand to the right.

    On a narrow terminal the column `free` is cut; all others are always shown whole.
    """
    stream = sys.stderr if err else sys.stdout
    cells = [["" if cell is None else _plain(cell) for cell in row] for row in rows]
    lines = [[" ".join(cell.split()) for cell in line] for line in [list(columns), *cells]]
    if not stream.isatty():
        for line in lines:
            click.echo("\t".join(line), err=err)
        return
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    between = 3 * len(widths)  # what rich puts between columns and at the edges
    console = Console(stderr=err)
    if free in columns:
        at = columns.index(free)
        room = max(16, console.width - sum(widths) + widths[at] - between)
        for line in lines:
            if cell_len(line[at]) > room:
                line[at] = set_cell_size(line[at], room - 1) + "…"
        widths[at] = min(widths[at], room)
    console.width = max(console.width, sum(widths) + between)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        right = bool(rows) and all(isinstance(row[number], int | float | None) for row in rows)
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    console.print(table)


def check_writable(file: str) -> None:
    """Refuse early a file that couldn't be written in the end."""
    if not Path(file).absolute().parent.is_dir() or Path(file).is_dir():
        raise click.ClickException(f"can't write {file}: no such folder, or it is one")


def write_text(file: str, text: str) -> None:
    """Write a UTF-8 file, whole or not at all."""
    from promptlib.files.writing import replacing

    with replacing(Path(file)) as out:
        out.write(text.encode())


def read_text(file: str) -> str:
    """Read a UTF-8 file, or stdin for "-"; says in one line why it can't."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise click.ClickException(f"can't read {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        name = "stdin" if file == "-" else file
        raise click.ClickException(f"{name} is not UTF-8 text (byte {error.start})") from None


def parse_json(text: str, what: str) -> Any:
    """Read JSON that a user wrote; says in one line why it can't."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise click.ClickException(f"{what} is not JSON: {error.msg} ({place})") from None
    except (ValueError, RecursionError):
        raise click.ClickException(f"{what} is JSON that can't be read") from None


def read_list(file: str, what: str) -> list[Any]:
    """Read a JSON list, of messages say; says in one line why it isn't one."""
    name = "stdin" if file == "-" else file
    items = parse_json(read_text(file), name)
    if not isinstance(items, list):
        raise click.ClickException(f"{name} must be a list of {what}")
    return items


def open_project(context: click.Context, *, start: bool = False) -> Project:
    """Open the project that --project names, with a progress bar for long work.

    With `start`, the embedding model is loaded while everything else is.
    """
    import promptlib

    progress, close = _progress()
    context.call_on_close(close)
    project: Project = promptlib.open(context.find_root().obj, progress=progress, start=start)
    context.call_on_close(project.close)
    return project


def _progress() -> tuple[ProjectProgress, Any]:
    """Make a progress bar that appears with the first report; a pipe gets a line now and then."""
    said = time.monotonic()
    first: tuple[str, int, float] = "", 0, 0.0
    """What goes on, how much of it was done when it was first told, and when that was."""

    def one_line(what: str, done: int, total: int) -> None:
        nonlocal said, first
        now = time.monotonic()
        if first[0] != what:
            first = what, done, now
        if done == total:
            say(f"{what}: {counted(total, _unit(what))}")
        elif now - said > QUIET:
            rate = (done - first[1]) / (now - first[2]) if now > first[2] else 0.0
            told = f", {rate:,.0f} a second, {(total - done) / rate:,.0f} s left" if rate else ""
            say(f"{what}: {done:,} of {counted(total, _unit(what))}{told}")
        else:
            return
        said = now

    if not sys.stderr.isatty():
        return one_line, lambda: None
    shown: list[Any] = []

    def close() -> None:
        while shown:
            shown.pop().stop()

    def report(what: str, done: int, total: int) -> None:
        if not shown:
            shown.append(_bar())
            shown[0].start()
            shown[0].add_task(what, total=total, units="")
        shown[0].update(
            shown[0].task_ids[0],
            description=what,
            completed=done,
            total=total,
            units=plural(_unit(what)),
        )
        if done >= total:  # what is printed next comes below the bar
            close()

    return report, close


def _unit(what: str) -> str:
    """Say what is counted while something is going on."""
    if what.startswith("asking"):
        return "call"
    if what.startswith("auditing"):
        return "check"
    rows = ("importing", "embedding", "rendering", "comparing")
    return "row" if what.startswith(rows) else "query"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[units]}"), Rate(), TimeRemainingColumn(),
        console=Console(stderr=True),
    )  # fmt: skip


def _plain(cell: Any) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.4f}" if not cell or abs(cell) >= 0.001 else f"{cell:.1e}"


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Show the library's warnings as talk."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("promptlib")
    logger.addHandler(handler)
    logging.getLogger("promptlib.embedding.compile").setLevel(logging.INFO)  # takes a while
    try:
        yield
    finally:
        logger.removeHandler(handler)
