"""`promptlib template`: look at templates and try them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import json_option, open_project, print_json, print_table
from .prompting import read_inputs
from .template_check import check
from .template_import import import_
from .template_versions import diff, history, label, publish, rollback

if TYPE_CHECKING:
    from promptlib.templating.registry import TemplateRegistry


@click.group()
def template() -> None:
    """List, show, try, check and publish templates.

    NAME is the working file, NAME@3 a published version, NAME@production where a label points.

    \b
    promptlib template list
    promptlib template show banking/intent
    promptlib template render banking/intent -i query="Where is my card?"
    promptlib template check
    promptlib template publish banking/intent -m "first version" --label production
    """


@template.command("list")
@json_option
@click.pass_context
def list_templates(ctx: click.Context, as_json: bool) -> None:
    """List the templates of the project, with their versions and labels.

    \b
    promptlib template list --json
    """
    registry = open_project(ctx).registry
    labels = registry.versions.all_labels()
    names = sorted({*registry.files.list(), *labels})
    rows = [_row(registry, name, labels.get(name, {})) for name in names]
    if as_json:
        print_json(rows)
        return
    columns = ["name", "kind", "state", "version", "labels", "inputs", "description"]
    table = [[row[column] for column in columns] for row in rows]
    for line in table:
        moved = ", ".join(f"{name} {number}" for name, number in line[4].items())
        line[4:6] = [moved, ", ".join(line[5])]
    print_table(columns, table, free="description")


def _row(registry: TemplateRegistry, name: str, labels: dict[str, int]) -> dict[str, Any]:
    """Describe a template: its working file, or its newest version where there is none."""
    from promptlib.errors import TemplateError, TemplateNotFoundError
    from promptlib.templating.naming import LATEST

    newest = labels.get(LATEST)
    row: dict[str, Any] = {
        "name": name, "kind": "broken", "state": "not published", "version": newest,
        "labels": {label: at for label, at in sorted(labels.items()) if label != LATEST},
        "inputs": [], "description": "",
    }  # fmt: skip
    try:
        found = registry.working(name)
        if newest is not None:
            same = registry.versions.with_hash(name, found.hash)
            row["state"] = (
                "edited since" if same is None
                else "published" if same.number == newest
                else f"as version {same.number}"
            )  # fmt: skip
    except TemplateNotFoundError:
        found = registry.get(f"{name}@{LATEST}")
        row["state"] = "file is gone"
    except TemplateError as error:
        return {**row, "description": str(error)}
    kind = "chat" if found.is_chat else "text"
    return {**row, "kind": kind, "inputs": [*found.inputs], "description": found.front.description}


@template.command()
@click.argument("name")
@click.pass_context
def show(ctx: click.Context, name: str) -> None:
    """Print the file of template NAME, or of a version of it.

    \b
    promptlib template show banking/intent
    promptlib template show banking/intent@3
    """
    click.echo(open_project(ctx).registry.source(name), nl=False)


@template.command()
@click.argument("name")
@click.option(
    "-i",
    "-p",
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fill an input; NAME=@FILE reads it from a file.",
)
@click.option(
    "--examples",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Show the examples of this JSONL file, in its order.",
)
@click.option(
    "--without", multiple=True, metavar="SECTION", help="Leave out a section, as if for room."
)
@json_option
@click.pass_context
def render(
    ctx: click.Context, name: str, inputs: tuple[str, ...], examples: Path | None,
    without: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Render template NAME as it is: no store, no choosing, no budget.

    \b
    promptlib template render banking/intent -i query="Where is my card?"
    promptlib template render banking/intent@2 -i query=Hi --examples three.jsonl --json
    """
    from promptlib.errors import did_you_mean

    found = open_project(ctx).registry.get(name)
    known = [section.name for section in found.sections]
    for section in without:
        if section not in known:
            raise click.UsageError(f"no section {section!r}; {did_you_mean(section, known)}")
    values = found.checked_inputs(read_inputs(inputs, found))
    shown = []
    if examples is not None:
        from promptlib.files.reading import read_examples

        shown = read_examples(examples)
    texts = (example.label or example.output for example in shown)
    labels = sorted({text for text in texts if isinstance(text, str)})
    rendered = found.render(values, shown, labels=labels, candidate_labels=labels, without=without)
    if as_json:
        print_json({"text": rendered.text, "messages": rendered.messages})
    else:
        click.echo(rendered.text)


for command in (check, publish, history, diff, label, rollback, import_):
    template.add_command(command)
