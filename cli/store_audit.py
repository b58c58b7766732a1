"""`promptlib store audit`, `fix` and `dedupe`: what is wrong with the rows, and mending it."""

from __future__ import annotations

from shlex import quote
from typing import Any

import click

from .evaluating import listed
from .output import (
    check_writable,
    counted,
    json_option,
    open_project,
    print_json,
    print_table,
    say,
    write_text,
)
from .store_change import apply_edits, dry_option, who_options

near_option = click.option(
    "--near", type=click.FloatRange(0.5, 1), default=0.95, show_default=True,
    help="Rows at least so similar (cosine) are near copies.",
)  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--only", metavar="FINDING,...", multiple=True, callback=listed(str, "names"),
              help="Make these checks alone, and list their rows.")  # fmt: skip
@click.option("--queries", metavar="FILE", help="A log of what users ask: rows with an input.")
@near_option
@click.option("--html", metavar="FILE", help="Write everything as one page with pictures.")
@click.option("--csv", "table", metavar="FILE",
              help="Write the suspects for a spreadsheet; import it with --update.")  # fmt: skip
@click.option("--atlas", metavar="FILE", help="Write a Parquet table for embedding-atlas.")
@click.option("--umap", is_flag=True, help="Draw the map by UMAP, in place of PCA.")
@json_option
@click.pass_context
def audit(
    ctx: click.Context, /, name: str, only: list[str], queries: str | None, near: float,
    html: str | None, table: str | None, atlas: str | None, umap: bool, as_json: bool,
) -> None:  # fmt: skip
    """Look for what is wrong with the rows of store NAME; change nothing.

    Secrets, labels that are probably wrong, contradictions, odd outputs, broken texts, copies,
    outliers, small classes, rows that no query reaches or every query, and what rows cost: each
    with the rows, the reason, and the command that deals with it.

    \b
    promptlib store audit banking77
    promptlib store audit banking77 --only label-errors,conflicts
    promptlib store audit banking77 --html audit.html --csv suspects.csv
    promptlib store audit banking77 --atlas banking77.parquet
    promptlib store import banking77 suspects.csv --update --dry-run
    """
    from promptlib.audit.auditing import audit_store
    from promptlib.audit.showing import (
        audit_csv,
        audit_page,
        audit_table,
        criteria_table,
        economy_lines,
        item_table,
    )
    from promptlib.reporting.pictures import check_pictures

    for file in filter(None, (html, table, atlas)):
        check_writable(file)
    if html is not None:
        check_pictures()
    found = audit_store(open_project(ctx), name, only=only, near=near, queries=queries)
    if html is not None:
        write_text(html, audit_page(found, umap=umap))
        say(f"wrote {html}")
    if table is not None:
        write_text(table, audit_csv(found))
        say(f"wrote {table}; what you change in it comes back by: promptlib store import {name} "
            f"{quote(table)} --update")  # fmt: skip
    if atlas is not None:
        from promptlib.audit.atlas import write_atlas

        write_atlas(found, atlas, umap=umap)
        options = "--text text --x x --y y --neighbors neighbors"
        say(f"look at it with: embedding-atlas {atlas} {options}")
    if as_json:
        print_json(found.to_dict())
    elif only:
        for finding in found.findings:
            columns, rows = item_table(finding)
            print_table(columns, rows, free="why")
            if len(finding.items) > len(rows):
                say(f"the first {len(rows)} of {len(finding.items):,}; --json has all")
    else:
        columns, rows = audit_table(found)
        print_table(columns, rows, free="what")
        columns, rows = criteria_table(found)
        print_table(columns, rows, free="meaning")
        for line in economy_lines(found):
            say(line)
    for finding in found.findings if only else ():
        say(f"{finding.id}: {counted(len(finding.rows), 'row')}; {finding.why}; {finding.command}")
    clean = f"; nothing found: {', '.join(found.clean)}" if found.clean else ""
    say(f"{counted(found.rows, 'row')}{clean}")


@click.command()
@click.argument("name")
@click.option("--finding", required=True, metavar="ID", help="As promptlib store audit names it.")
@click.option("--row", "rows", multiple=True, metavar="ID", help="Only what concerns this row.")
@click.option("--most", type=click.IntRange(min=1), metavar="N", help="Only the N worst.")
@near_option
@dry_option
@who_options
@click.pass_context
def fix(
    ctx: click.Context, /, name: str, finding: str, rows: tuple[str, ...], most: int | None,
    near: float, dry_run: bool, **how: Any,
) -> None:  # fmt: skip
    """Mend a finding of store NAME, as one change that undo takes back.

    \b
    promptlib store fix banking77 --finding exact-duplicates --dry-run
    promptlib store fix banking77 --finding label-errors --most 20
    promptlib store undo banking77
    """
    from promptlib.audit.auditing import find
    from promptlib.audit.fixing import plan_fix

    project = open_project(ctx)
    found = find(project, name, finding, near=near)
    planned = plan_fix(found, rows=rows, most=most)
    if not planned.edits:
        say(f"{finding}: there is nothing to mend")
        return
    store = project.store(name)
    say(f"{finding}: {planned.what} ({len(planned.edits):,} of {len(store):,} rows)")
    note = how.pop("note") or f"{finding}: {planned.what}"
    apply_edits(store, planned.edits, reason="fix", dry_run=dry_run, note=note, **how)


@click.command()
@click.argument("name")
@near_option
@dry_option
@who_options
@click.pass_context
def dedupe(ctx: click.Context, /, name: str, near: float, dry_run: bool, **how: Any) -> None:
    """Keep one of the exact, normalised and near duplicates in store NAME.

    Rows count as copies if their inputs are alike, by meaning or letter by letter, and their
    labels and outputs are the same. Of a group the one that most are near to stays.

    \b
    promptlib store dedupe banking77 --dry-run
    promptlib store dedupe banking77 --near 0.98
    """
    from promptlib.audit.fixing import plan_dedupe

    project = open_project(ctx)
    planned = plan_dedupe(project, name, near=near)
    apply_edits(project.store(name), planned.edits, reason="dedupe", dry_run=dry_run, **how)
