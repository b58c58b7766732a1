"""`promptlib store reduce`, `label-next`, `split` and `merge`: what is in a store, and how much."""

from __future__ import annotations

import json
from typing import Any

import click

from .output import counted, json_option, open_project, print_json, print_table, say
from .selecting import read_pair
from .store_audit import near_option
from .store_change import apply_edits, dry_option, who_options


@click.command()
@click.argument("name")
@click.option("--to", "size", type=click.IntRange(min=1), required=True, help="Rows that stay.")
@near_option
@dry_option
@json_option
@who_options
@click.pass_context
def reduce(
    ctx: click.Context, /, name: str, size: int, near: float, dry_run: bool, as_json: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Keep the rows of store NAME that stand for all, class by class; take the others out.

    Says how well a vote of each row's nearest others finds its label, before and after.

    \b
    promptlib store reduce banking77 --to 2500 --dry-run
    promptlib store reduce banking77 --to 2500
    """
    from promptlib.audit.auditing import look_at
    from promptlib.audit.reducing import plan_reduction

    project = open_project(ctx)
    rows = look_at(project, name, near=near).rows
    planned = plan_reduction(rows, size)
    accuracy = [planned.before, planned.after]
    facts: dict[str, list[Any]] = {
        "rows": [len(planned.kept) + len(planned.edits), len(planned.kept)],
        "smallest class": list(planned.classes),
        "accuracy of a vote": [each.value if each else None for each in accuracy],
        "from": [each.low if each else None for each in accuracy],
        "to": [each.high if each else None for each in accuracy],
    }
    if as_json:
        print_json({"kept": list(planned.kept), "before_after": facts})
    else:
        table = [[what, *values] for what, values in facts.items()]
        print_table(["what", "before", "after"], table)
    if dry_run:
        say(f"{counted(len(planned.edits), 'row')} would go; a dry run: nothing was changed")
        return
    apply_edits(project.store(name), planned.edits, reason="reduce", **how)


@click.command("label-next")
@click.argument("name")
@click.argument("count", type=click.IntRange(min=1))
@click.option(
    "--from", "file", required=True, metavar="FILE", help="Rows with an input, unlabelled."
)
@click.option("--map", "pairs", multiple=True, metavar="KEY=NAME",
              help="Take input from the file's NAME.")  # fmt: skip
@click.option("--add", is_flag=True, help="Add them to the store as drafts.")
@who_options
@click.pass_context
def label_next(
    ctx: click.Context, /, name: str, count: int, file: str, pairs: tuple[str, ...], add: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Choose the COUNT rows of a file whose labels would tell most, beside those of store NAME.

    They stand for many others of the file that no example is near to (vote-k). Rows go to stdout,
    the most telling first.

    \b
    promptlib store label-next banking77 50 --from unlabelled.jsonl > to_label.jsonl
    promptlib store label-next banking77 20 --from log.csv --map input=text --add
    """
    from dataclasses import replace

    from promptlib.audit.labelling import label_next as choose
    from promptlib.audit.rows import read_rows
    from promptlib.files.reading import read_examples

    project = open_project(ctx)
    opened = project.store(name)
    found = read_examples(file, rename=dict(map(read_pair, pairs)))
    rows = (
        read_rows(opened, progress=project.reporting(f"embedding {name}")) if len(opened) else None
    )
    chosen = choose(found, rows, project.embedder, count)
    if add:
        drafts = [replace(each.example, status="draft") for each in chosen]
        new = [draft for draft in drafts if draft.id not in opened]
        revision = opened.add(*new, **how) if new else opened.revision
        say(f"added {counted(len(new), 'draft')} to {name}, revision {revision}")
    if len(chosen) < count:
        say(f"{len(chosen):,} of {count:,}: {file} has no more that the store doesn't have")
    for each in chosen:
        row = each.example.to_dict() | {"votes": float(f"{each.votes:.3g}")}
        click.echo(json.dumps(row, ensure_ascii=False))


@click.command()
@click.argument("name")
@click.option("--into", default="train=0.8,test=0.2", show_default=True, metavar="PART=SHARE,...",
              help="The parts and their shares.")  # fmt: skip
@click.option("--field", default="split", show_default=True, help="The metadata field to write.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Another one divides the rows in another way.")  # fmt: skip
@near_option
@dry_option
@who_options
@click.pass_context
def split(
    ctx: click.Context, /, name: str, into: str, field: str, seed: int, near: float,
    dry_run: bool, **how: Any,
) -> None:  # fmt: skip
    """Divide the rows of store NAME, writing into each row's metadata which part it is of.

    Each part has its share of each label, as near as can be when near copies stay together.

    \b
    promptlib store split banking77 --into train=0.8,validation=0.1,test=0.1
    promptlib store export banking77 test.jsonl --where split=test
    """
    from promptlib.audit.auditing import look_at
    from promptlib.audit.splitting import plan_split

    shares: dict[str, float] = {}
    for part in into.split(","):
        what, _, share = part.partition("=")
        try:
            new = {what.strip(): float(share)}
        except ValueError:
            raise click.BadParameter(f"{part!r} is not PART=SHARE", param_hint="--into") from None
        if new.keys() & shares.keys():
            raise click.BadParameter(f"{what.strip()!r} stands twice", param_hint="--into")
        shares |= new
    project = open_project(ctx)
    rows = look_at(project, name, near=near).rows
    planned = plan_split(rows, shares, field=field, seed=seed)
    table = [
        [p.part, p.share, p.rows, f"{p.label or 'no label'}: {p.label_rows:,} of {p.label_all:,}"]
        for p in planned.parts
    ]
    print_table(["part", "share", "rows", "furthest from its share"], table)
    apply_edits(project.store(name), planned.edits, reason="split", dry_run=dry_run, **how)


@click.command()
@click.argument("name")
@click.argument("other")
@click.option("--from", "folder", metavar="DIR", help="The project of OTHER, if it isn't this one.")
@dry_option
@click.option("--by", help="Who merges.")
@json_option
@click.pass_context
def merge(
    ctx: click.Context, name: str, other: str, folder: str | None, dry_run: bool, by: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Merge the rows of store OTHER into store NAME, by id, as an import would.

    \b
    promptlib store merge tickets tickets_2024
    promptlib store merge tickets tickets --from ../colleague
    """
    import tempfile

    import promptlib
    from promptlib.files.writing import save_examples

    from .store_files import tell_import

    project = open_project(ctx)
    if folder is None and name == other:
        raise click.UsageError(
            "a store can't be merged into itself; another project's, with --from"
        )
    source = promptlib.open(folder) if folder is not None else project
    theirs = source.store(other)
    with tempfile.TemporaryDirectory(prefix="promptlib-") as place:
        file = f"{place}/{other}.jsonl"
        if not save_examples(theirs, file):
            raise click.ClickException(f"store {other!r} has no rows")
        known = project.find_store(name)
        label = theirs.settings.label if known is None else None
        report = project.import_file(name, file, dry_run=dry_run, by=by, label=label or None)
    if source is not project:
        source.close()
    report.gone = 0  # what else is here came from elsewhere
    if report.updated:
        say(
            f"rows of {name} that {other} has otherwise: {', '.join(report.samples['updated'])} ..."
        )
    tell_import(name, f"store {other}", report, as_json)
