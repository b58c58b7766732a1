"""`promptlib store`: make, fill, look at and change example stores."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import json_option, open_project, print_json, print_table, say

if TYPE_CHECKING:
    from promptlib.example import Example, Status
    from promptlib.store.importing import ImportReport

file_path = click.Path(path_type=Path, dir_okay=False)


@click.group()
def store() -> None:
    """Make, fill, look at and change example stores.

    \b
    promptlib store import tickets tickets.jsonl
    promptlib store stats tickets
    promptlib store export tickets tickets.jsonl
    """


@store.command()
@click.argument("name")
@click.option("--label", help='Where labels are: "output", or a metadata field.')
@click.option("--description", default="", help="What the examples are.")
@click.pass_context
def create(ctx: click.Context, name: str, label: str | None, description: str) -> None:
    """Make an empty store called NAME.

    \b
    promptlib store create tickets --label output
    """
    from promptlib.store.settings import StoreSettings

    open_project(ctx).create_store(name, StoreSettings(description=description, label=label))
    say(f"made store {name}")


@store.command("list")
@json_option
@click.pass_context
def list_stores(ctx: click.Context, as_json: bool) -> None:
    """List the stores of the project, starters that wait for their first use too.

    \b
    promptlib store list --json
    """
    project = open_project(ctx)
    rows: list[list[Any]] = []
    for name in project.store_names():
        existing = project.find_store(name)
        if existing is None:
            rows.append([name, None, None, None, "starter, imported on first use"])
            continue
        stats = existing.stats()
        text = existing.state().settings.description
        count = sum(stats.statuses.values())
        rows.append([name, count, len(stats.volume.classes), stats.revision, text])
    columns = ["name", "rows", "labels", "revision", "description"]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)


@store.command("show")
@click.argument("name")
@click.argument("id", required=False)
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many rows to list.",
)
@click.option("--label", help="List rows with this label only.")
@json_option
@click.pass_context
def show_examples(
    ctx: click.Context, name: str, id: str | None, limit: int, label: str | None, as_json: bool
) -> None:
    """Show the example ID of store NAME, or list the store's first rows.

    \b
    promptlib store show banking77 -n 5
    promptlib store show banking77 f218b70e7f4ee1a1
    """
    from promptlib.example import retrieval_text

    opened = open_project(ctx).store(name)
    if id is not None:
        row = opened.get(id).to_dict()
        click.echo(json.dumps(row, ensure_ascii=False, indent=None if as_json else 2))
        return
    rows = [row for row in opened.rows() if label is None or row.label == label]
    examples = [row.example for row in rows[:limit]]
    if as_json:
        print_json([example.to_dict() for example in examples])
        return
    table = [
        [row.id, row.status, row.label, retrieval_text(example.input)]
        for row, example in zip(rows, examples, strict=False)
    ]
    print_table(["id", "status", "label", "input"], table)
    if len(rows) > limit:
        say(f"{limit} of {len(rows):,} rows; -n shows more")


@store.command()
@click.argument("name")
@click.option("--input", "input_", metavar="TEXT", help="What goes in.")
@click.option("--output", metavar="TEXT", help="What should come out.")
@click.option("--label", help="Its label, if that isn't the output.")
@click.option("--id", default="", help="Its id; a hash of the content if not given.")
@click.option("--draft", is_flag=True, help="Keep it out of prompts until it is approved.")
@click.option("--by", help="Who adds it.")
@click.pass_context
def add(
    ctx: click.Context, name: str, input_: str | None, output: str | None, label: str | None,
    id: str, draft: bool, by: str | None,
) -> None:  # fmt: skip
    """Add an example to store NAME; without --input, a JSON object is read from stdin.

    \b
    promptlib store add banking77 --input "Someone cloned my card" --output compromised_card
    echo '{"input": "Hi", "output": "greeting"}' | promptlib store add banking77
    """
    from promptlib.example import Example

    if input_ is None:
        if sys.stdin.isatty():
            raise click.UsageError("give --input, or a JSON object on stdin")
        example = Example.from_dict(_json(sys.stdin.read(), "stdin"))
    else:
        status: Status = "draft" if draft or output is None else "approved"
        example = Example(input_, output, label, id=id, status=status)
    opened = open_project(ctx).store(name)
    revision = opened.add(example, by=by)
    say(f"added to {name}, revision {revision}")
    click.echo(example.id)


@store.command()
@click.argument("name")
@click.argument("id")
@click.option("--input", "input_", metavar="TEXT", help="The new input.")
@click.option("--output", metavar="TEXT", help="The new output.")
@click.option("--label", help='The new label; "" removes it.')
@click.option("--status", type=click.Choice(["approved", "draft", "rejected"]))
@click.option("--by", help="Who edits.")
@click.pass_context
def edit(
    ctx: click.Context, name: str, id: str, input_: str | None, output: str | None,
    label: str | None, status: str | None, by: str | None,
) -> None:  # fmt: skip
    """Change the example ID of store NAME; without options, in $EDITOR.

    \b
    promptlib store edit banking77 f218b70e7f4ee1a1 --output card_swallowed
    promptlib store edit banking77 f218b70e7f4ee1a1 --status rejected
    """
    opened = open_project(ctx).store(name)
    before = opened.get(id)
    options = {"input": input_, "output": output, "label": label, "status": status}
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if "label" in given:
        given["label"] = given["label"] or None
    after = replace(before, **given) if given else _edited(before)
    revision = opened.revision
    if opened.update(after, by=by) == revision:
        say("nothing to change")
    else:
        say(f"changed {id} in {name}, revision {revision + 1}")


@store.command()
@click.argument("name")
@click.argument("ids", nargs=-1, required=True)
@click.option("--by", help="Who removes them.")
@click.pass_context
def rm(ctx: click.Context, name: str, ids: tuple[str, ...], by: str | None) -> None:
    """Take the examples IDS out of store NAME. The change log keeps them.

    \b
    promptlib store rm banking77 f218b70e7f4ee1a1
    """
    revision = open_project(ctx).store(name).delete(*ids, by=by)
    say(f"removed {len(set(ids))} from {name}, revision {revision}")


@store.command()
@click.argument("name")
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="How many examples a prompt shows.",
)
@json_option
@click.pass_context
def stats(ctx: click.Context, name: str, k: int, as_json: bool) -> None:
    """Count what store NAME holds, and say what its volume suggests.

    \b
    promptlib store stats banking77
    """
    from promptlib.hint import volume_hint

    found = open_project(ctx).store(name).stats()
    hint = volume_hint(found.volume, min(k, found.volume.rows))
    if as_json:
        print_json(
            {
                "name": name,
                "revision": found.revision,
                "label": found.label,
                "statuses": found.statuses,
                "deleted": found.deleted,
                "distinct": found.volume.distinct,
                "classes": found.volume.classes,
                "hint": hint.to_dict() if hint else None,
            }
        )
        return
    sizes = sorted(found.volume.classes.items(), key=lambda item: (-item[1], item[0]))
    facts: list[list[Any]] = [[status, n] for status, n in sorted(found.statuses.items())]
    facts += [["deleted", found.deleted], ["distinct inputs", found.volume.distinct]]
    facts += [["labels", len(sizes)], ["revision", found.revision]]
    print_table(["", "count"], facts)
    if sizes:
        shown = sizes if len(sizes) <= 10 else [*sizes[:5], ("…", None), *sizes[-5:]]
        print_table(["label", "rows"], shown)
    if hint is not None:
        say(f"hint: {hint}")


@store.command()
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


@store.command("import")
@click.argument("name")
@click.argument("file", type=file_path)
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
    report = open_project(ctx).import_file(name, file, skip_bad=skip_bad, restore=restore)
    _tell(name, str(file), report, as_json)


@store.command()
@click.argument("name")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if the file isn't merged yet.")
@json_option
@click.pass_context
def sync(ctx: click.Context, name: str, check: bool, as_json: bool) -> None:
    """Merge the file of starter NAME, example_stores/NAME/examples.jsonl, into its store.

    \b
    promptlib store sync banking77
    promptlib store sync banking77 --check
    """
    project = open_project(ctx)
    if not check:
        _tell(name, f"starter {name}", project.sync(name), as_json)
        return
    existing, starter = project.find_store(name), project.starter(name)
    if starter is None:
        raise click.ClickException(f"store {name!r} has no starter file")
    seed = existing.state().seed if existing is not None else None
    if seed is None or starter.changed_since(seed):
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


_WORDS = {"kept": "left as edited here", "conflicts": "in conflict"}


def _edited(example: Example) -> Example:
    text = json.dumps(example.to_dict(), ensure_ascii=False, indent=2)
    changed = click.edit(text, extension=".json")
    if changed is None:
        return example
    return replace(type(example).from_dict(_json(changed, "the edited text")), id=example.id)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.ClickException(f"{what} is not JSON: {error}") from None
