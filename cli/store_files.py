"""`promptlib store import`, `export` and `sync`: files in and out."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import json_option, open_project, print_json, print_table, say
from .selecting import read_pair
from .store_history import at_option

if TYPE_CHECKING:
    from promptlib.project import Project
    from promptlib.store.importing import ImportReport

FORMATS = click.Choice(["jsonl", "json", "csv", "tsv", "parquet"])
SHAPES = click.Choice(["plain", "openai", "sharegpt", "alpaca", "argilla", "label-studio"])

OUTCOMES = ("added", "updated", "restored", "removed", "unchanged", "kept", "conflicts")
_WORDS = {"kept": "left as edited here", "conflicts": "in conflict"}


@click.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "format", type=FORMATS, help="What FILE is, if its name doesn't say.")
@click.option("--as", "shape", type=SHAPES, help="How rows are written, if the first doesn't say.")
@click.option("--charset", help="Of FILE: cp1252, latin-1, utf-16 ...  [default: utf-8]")
@click.option(
    "--map", "pairs", multiple=True, metavar="KEY=NAME",
    help="Take input, output, label, id ... from the file's NAME; input.KEY makes objects.",
)  # fmt: skip
@click.option("--label", metavar="FIELD", help="Where labels are: output, output.KEY, or a field.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Take the first N rows.")
@click.option(
    "--where", multiple=True, metavar="FIELD=VALUE",
    help="Take rows that meet this; FIELD!=VALUE too. The same field again is an alternative.",
)  # fmt: skip
@click.option("--skip-bad", is_flag=True, help="Leave bad rows out instead of importing nothing.")
@click.option(
    "--bad-rows", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where --skip-bad writes them, with reasons.  [default: beside FILE, NAME.bad.jsonl]",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--mirror", is_flag=True, help="Remove rows that came from a file and aren't in it.")
@click.option("--restore", is_flag=True, help="Let the file win over edits and deletions here.")
@click.option("--update", is_flag=True, help="Take the rows as edits of those with their ids.")
@click.option("--force", is_flag=True, help="With --update: also rows changed since FILE was made.")
@click.option("--tune", is_flag=True, help="Then measure on a sample which strategy is best.")
@click.option("--by", help="Who imports.")
@click.option("--why", "note", default="", metavar="TEXT", help="Why, for the log.")
@json_option
@click.pass_context
def import_(
    ctx: click.Context, /, name: str, file: Path, pairs: tuple[str, ...], as_json: bool,
    skip_bad: bool, bad_rows: Path | None, tune: bool, **options: Any,
) -> None:  # fmt: skip
    """Merge FILE into store NAME, which is made if need be; "-" reads stdin.

    FILE is JSONL, JSON, CSV, TSV or Parquet, compressed with gzip or not, or the folder of a
    Hugging Face dataset. Rows have `input` and `output`, and may have `label`, `id`, `status` and
    `metadata`; other keys become metadata. Rows as OpenAI, ShareGPT, Alpaca, Argilla and Label
    Studio write them are known by their first. Importing a file twice changes nothing, and a row
    that was edited, rejected or deleted here stays so.

    \b
    promptlib store import tickets tickets.jsonl
    promptlib store import tickets export.csv --map input=text --map output=category --dry-run
    promptlib store import turns sgd.jsonl.gz --where speaker=user --limit 1000
    promptlib store import tickets label-studio-export.json
    promptlib store import tickets corrected.csv --update
    """
    from promptlib.errors import BadExamplesError

    if skip_bad and bad_rows is None:
        bad_rows = _beside(file)
    if bad_rows is not None and not skip_bad:
        raise click.UsageError("--bad-rows goes with --skip-bad")
    if tune and options["dry_run"]:
        raise click.UsageError("--tune needs the rows that --dry-run doesn't import")
    source = sys.stdin.buffer if str(file) == "-" else file
    rename = dict(map(read_pair, pairs))
    if len(rename) < len(pairs):
        raise click.UsageError("--map gives one KEY twice")
    options |= {"rename": rename, "skip_bad": skip_bad, "bad_rows": bad_rows}
    project = open_project(ctx)
    try:
        report = project.import_file(name, source, **options)
    except BadExamplesError as error:
        raise click.ClickException(f"{error}; --skip-bad leaves them out") from None
    if report.problems and not report.dry_run:
        say(f"bad rows left out: {len(report.problems):,}; they are in {bad_rows}, with reasons")
    tell_import(name, str(file), report, as_json)
    if tune and not report.dry_run:
        _tune(project, name)


def _tune(project: Project, name: str) -> None:
    """Search for the store's best strategy at the default k, on rows left out one at a time."""
    from promptlib.errors import ConfigError
    from promptlib.evaluation.recording import record
    from promptlib.evaluation.tuning import tune as search
    from promptlib.settings import DEFAULT_K

    from .evaluating import tell_auto

    try:
        found = search(project, store=name, ks=[DEFAULT_K])
    except ConfigError as error:  # the rows are in all the same
        say(f"not tuned: {error}")
        return
    tell_auto(found, record(project, found))


@click.command()
@click.argument("name")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if the file isn't merged yet.")
@json_option
@click.pass_context
def sync(ctx: click.Context, name: str, check: bool, as_json: bool) -> None:
    """Merge the files of starter NAME, in example_stores/NAME, into its store.

    Rows without an id are known by their content: one that was changed in the file is added as a
    new row, and the old one stays. Give rows an `id` to have them follow the file.

    \b
    promptlib store sync banking77
    promptlib store sync banking77 --check
    """
    project = open_project(ctx)
    if not check:
        tell_import(name, f"starter {name}", project.sync(name), as_json)
        return
    existing, starter = project.find_store(name), project.starter(name)
    if starter is None:
        raise click.ClickException(f"store {name!r} has no starter file")
    seed = existing.state().seed if existing is not None else None
    in_sync = seed is not None and not starter.changed_since(seed)
    if as_json:
        print_json({"in_sync": in_sync})
    if not in_sync:
        say(f"{starter.folder} was not merged yet; do it with: promptlib store sync {name}")
        ctx.exit(1)
    say(f"{name} is in sync with {starter.folder}")


@click.command()
@click.argument("name")
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format", "format", type=FORMATS, help="By default what FILE's name says, or JSONL."
)
@click.option("--as", "shape", type=SHAPES, help="Write rows as another tool reads them.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Write rows that meet this.")
@click.option(
    "--revision", is_flag=True,
    help="Put the store's revision into a table: import --update then tells later changes.",
)  # fmt: skip
@at_option
@click.pass_context
def export(
    ctx: click.Context, name: str, file: Path, format: str | None, shape: str | None,
    where: tuple[str, ...], at: int | None, revision: bool,
) -> None:  # fmt: skip
    """Write store NAME to FILE, or to stdout: sorted by id, for small diffs.

    FILE's name says how: .jsonl, .csv, .tsv or .parquet, and .gz after it. Tables hold texts: what
    isn't one is written as JSON, and CSV brings it back as text.

    \b
    promptlib store export banking77 banking77.jsonl
    promptlib store export banking77 lost.csv --where label=lost_or_stolen_card
    promptlib store export banking77 tasks.json --as label-studio --where status=draft
    """
    from promptlib.files.writing import format_of, save_examples, write_examples

    opened = open_project(ctx).store(name)
    chosen: Any = format or format_of(file)
    if shape not in (None, "plain") and chosen not in ("jsonl", "json"):
        raise click.UsageError(f"--as {shape} is written as JSON or JSONL, not {chosen}")
    number = (opened.revision if at is None else at) if revision else None
    rows = (row.example for row in opened.rows(where=where, at=at))
    if str(file) == "-":
        write_examples(rows, sys.stdout.buffer, chosen, shape or "plain", number)
        return
    written = save_examples(rows, file, chosen, shape or "plain", number)
    say(f"wrote {written:,} examples to {file}")


def _beside(file: Path) -> Path:
    """Find a free name for bad rows: what is there already may be somebody's."""
    stem = Path(file.name.removesuffix(".gz")).stem if str(file) != "-" else "stdin"
    names = (f"{stem}.bad{'' if n == 1 else f'-{n}'}.jsonl" for n in count(1))
    return next(path for name in names if not (path := file.with_name(name)).exists())


def tell_import(name: str, source: str, report: ImportReport, as_json: bool) -> None:
    """Say what an import did, or would do."""
    counts = {what: getattr(report, what) for what in OUTCOMES}
    counts["conflicts"] = len(report.conflicts)
    for line, reason in report.problems[:20]:
        say(f"{source}:{line}: left out: {reason}")
    if len(report.problems) > 20:
        say(f"and {len(report.problems) - 20:,} more bad rows")
    if report.label_guess:
        say(f"the label of a row is its {report.label_guess}, since outputs repeat")
    for text, number in (
        ("rows that repeat another one exactly (they are kept)", report.repeats),
        ("rows without output (they are drafts, which prompts don't show)", report.drafts),
        ("rows edited, rejected or deleted here (they stay so; --restore undoes that)",
         report.kept),
        ("rows that came from a file and aren't in this one (they stay; import --mirror removes "
         "them)", report.gone),
    ):  # fmt: skip
        if number:
            say(f"{text}: {number:,}")
    for finding in report.coverage.findings():
        say(finding)
    for id in report.conflicts:
        say(f"conflict: {id} has changed in {source} and in {name}; it was left as it is here")
    if as_json:
        facts = {"conflict_ids": report.conflicts, "samples": report.samples, "gone": report.gone}
        facts |= {"repeats": report.repeats, "drafts": report.drafts, "bad": len(report.problems)}
        print_json(counts | facts | {"dry_run": report.dry_run, "revision": report.revision})
        return
    told = ", ".join(f"{n:,} {_WORDS.get(what, what)}" for what, n in counts.items() if n)
    if not report.dry_run:
        say(f"{name}: {told or 'nothing to do'} (revision {report.revision})")
        return
    rows = [[what, n, ", ".join(report.samples.get(what, ()))] for what, n in counts.items() if n]
    print_table(["what", "rows", "the first of them"], rows, free="the first of them")
    say("a dry run: nothing was changed")
