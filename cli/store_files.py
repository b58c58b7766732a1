"""`promptlib store import`, `export` and `sync`: JSONL in and out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import json_option, open_project, print_json, say

if TYPE_CHECKING:
    from promptlib.store.importing import ImportReport

_WORDS = {"kept": "left as edited here", "conflicts": "in conflict"}


@click.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--skip-bad", is_flag=True, help="Leave bad lines out instead of importing nothing.")
@click.option("--restore", is_flag=True, help="Let the file win over edits and deletions here.")
@json_option
@click.pass_context
def import_(
    ctx: click.Context, name: str, file: Path, skip_bad: bool, restore: bool, as_json: bool
) -> None:
    """Merge the JSONL FILE into store NAME, which is made if need be.

    Rows have `input` and `output`, and may have `label`, `id`, `status` and `metadata`; other keys
    become metadata. Importing a file twice changes nothing, and a row that was edited, rejected or
    deleted here stays so.

    \b
    promptlib store import tickets tickets.jsonl
    promptlib store import tickets tickets.jsonl --skip-bad
    """
    from promptlib.errors import BadExamplesError

    try:
        report = open_project(ctx).import_file(name, file, skip_bad=skip_bad, restore=restore)
    except BadExamplesError as error:
        raise click.ClickException(f"{error}; --skip-bad leaves them out") from None
    _tell(name, str(file), report, as_json)


@click.command()
@click.argument("name")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if the file isn't merged yet.")
@json_option
@click.pass_context
def sync(ctx: click.Context, name: str, check: bool, as_json: bool) -> None:
    """Merge the file of starter NAME, example_stores/NAME/examples.jsonl, into its store.

    Rows without an id are known by their content: one that was changed in the file is added as a
    new row, and the old one stays. Give rows an `id` to have them follow the file.

    \b
    promptlib store sync banking77
    promptlib store sync banking77 --check
    """
    project = open_project(ctx)
    if not check:
        report = project.sync(name)
        if report.gone:
            say(
                f"rows that came from a file and aren't in it any more (they stay): {report.gone:,}"
            )
        _tell(name, f"starter {name}", report, as_json)
        return
    existing, starter = project.find_store(name), project.starter(name)
    if starter is None:
        raise click.ClickException(f"store {name!r} has no starter file")
    seed = existing.state().seed if existing is not None else None
    in_sync = seed is not None and not starter.changed_since(seed)
    if as_json:
        print_json({"in_sync": in_sync})
    if not in_sync:
        say(f"{starter.file} was not merged yet; do it with: promptlib store sync {name}")
        ctx.exit(1)
    say(f"{name} is in sync with {starter.file}")


def _tell(name: str, source: str, report: ImportReport, as_json: bool) -> None:
    merge = report.merge
    counts = {
        "added": merge.added,
        "updated": merge.updated,
        "restored": merge.restored,
        "unchanged": merge.unchanged,
        "kept": merge.kept,
        "conflicts": len(merge.conflicts),
    }
    for line, reason in report.problems:
        say(f"{source}:{line}: left out: {reason}")
    if report.label_guess:
        say(f"the label of a row is its {report.label_guess}, since outputs repeat")
    for text, count in (
        ("rows that repeat another one exactly (they are kept)", report.repeats),
        ("rows without output (they are drafts, which prompts don't show)", report.drafts),
        ("rows edited, rejected or deleted here (they stay so; --restore undoes that)", merge.kept),
    ):
        if count:
            say(f"{text}: {count:,}")
    for id in merge.conflicts:
        say(f"conflict: {id} has changed in {source} and in {name}; it was left as it is here")
    if as_json:
        conflicts = list(merge.conflicts)
        print_json(counts | {"conflict_ids": conflicts, "revision": report.revision})
        return
    told = ", ".join(f"{n:,} {_WORDS.get(what, what)}" for what, n in counts.items() if n)
    say(f"{name}: {told} (revision {report.revision})")


@click.command()
@click.argument("name")
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@click.pass_context
def export(ctx: click.Context, name: str, file: Path) -> None:
    """Write store NAME to FILE, or to stdout: JSONL, sorted by id, for small diffs.

    \b
    promptlib store export banking77 banking77.jsonl
    """
    from promptlib.store.files import save_jsonl, write_jsonl

    opened = open_project(ctx).store(name)
    if str(file) == "-":
        write_jsonl(opened, sys.stdout)
        return
    written = save_jsonl(opened, file)
    say(f"wrote {written:,} examples to {file}")
