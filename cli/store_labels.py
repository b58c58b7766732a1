"""`promptlib store labels` and `annotators`: what rows are called, and by whom."""

from __future__ import annotations

from typing import Any

import click

from .output import counted, json_option, open_project, print_json, print_table, say
from .store_change import apply_edits, dry_option, who_options


@click.command()
@click.argument("name")
@click.option("--rename", nargs=2, metavar="OLD NEW", help="Give a label another name.")
@click.option("--merge", multiple=True, metavar="OLD", help="Make labels one, with --into.")
@click.option("--into", metavar="NEW", help="What the merged labels are called.")
@click.option("--define", nargs=2, metavar="LABEL TEXT", help='What it means; "" takes it back.')
@who_options
@json_option
@click.pass_context
def labels(
    ctx: click.Context, /, name: str, rename: tuple[str, str] | None, merge: tuple[str, ...],
    into: str | None, define: tuple[str, str] | None, as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Count the labels of store NAME; rename, merge or define them, each as one change.

    \b
    promptlib store labels banking77
    promptlib store labels banking77 --rename card_swallowed card_kept_by_machine
    promptlib store labels banking77 --merge pin_blocked --merge change_pin --into pin
    promptlib store labels banking77 --define age_limit "How old one must be for an account."
    """
    from promptlib.curation.labels import define_label, label_counts, rename_labels

    if bool(merge) != bool(into):
        raise click.UsageError("--merge and --into go together")
    if sum(map(bool, (rename, merge, define))) > 1:
        raise click.UsageError("one change at a time: --rename, --merge or --define")
    opened = open_project(ctx).store(name)
    before = opened.revision
    if rename:
        rename_labels(opened, dict([rename]), **how)
    elif merge and into:
        rename_labels(opened, {old: into for old in merge if old != into}, merge=True, **how)
    elif define:
        define_label(opened, *define, **how)
    if rename or merge or define:
        done = opened.revisions(1)[0]
        same = done.number == before
        changed = counted(done.edited, "row")
        say("nothing to change" if same else f"changed {changed} in {name}, revision {done.number}")
        return
    found = label_counts(opened)
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    rows = [
        [_shown(x.label), x.approved, x.draft or None, x.rejected or None, x.definition]
        for x in found
    ]
    print_table(["label", "approved", "draft", "rejected", "definition"], rows, free="definition")
    where = {"": "each row's own", None: "each row's own"}.get(opened.settings.label)
    say(f"{counted(len(found), 'label')}; a label is {where or opened.settings.label}")


def _shown(label: str) -> str:
    from promptlib.text import visible

    return label if label == " ".join(label.split()) else visible(label)


@click.command()
@click.argument("name")
@click.option("--field", default="annotations", show_default=True,
              help='The metadata field with {"ANNOTATOR": "LABEL"}.')  # fmt: skip
@click.option("--choose", metavar="WHO", help="Take the label of the majority, or of one of them.")
@dry_option
@who_options
@json_option
@click.pass_context
def annotators(
    ctx: click.Context, /, name: str, field: str, choose: str | None, dry_run: bool,
    as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Say how far the annotators of store NAME agree, or choose among their labels.

    \b
    promptlib store annotators tickets
    promptlib store annotators tickets --choose majority --dry-run
    promptlib store annotators tickets --choose ada
    """
    from promptlib.curation.annotators import choose_labels, measure_agreement

    opened = open_project(ctx).store(name)
    rows = list(opened)
    found = measure_agreement(rows, field)
    if choose is not None:
        edits = choose_labels(rows, opened.settings, choose, field)
        apply_edits(opened, edits, reason="choose labels", dry_run=dry_run, **how)
        return
    if as_json:
        print_json(found.to_dict())
        return
    table = [[each.name, each.rows, each.shared, each.agrees] for each in found.annotators]
    print_table(["annotator", "rows", "shared", "agrees with most"], table)
    alpha = "nothing is labelled twice" if found.alpha is None else f"alpha {found.alpha:.3f}"
    say(f"{counted(found.shared, 'row')} of {found.rows:,} labelled by several; {alpha}")
    if found.disputed:
        first = ", ".join(found.disputed[:5])
        say(f"they differ on {counted(len(found.disputed), 'row')}: {first} ...")
