"""`promptlib template`: look at templates and try them."""

from __future__ import annotations

from pathlib import Path

import click

from .build_command import read_inputs
from .output import json_option, open_project, print_json, print_table


@click.group()
def template() -> None:
    """List, show and try templates.

    \b
    promptlib template list
    promptlib template show banking/intent
    promptlib template render banking/intent -i query="Where is my card?"
    """


@template.command("list")
@json_option
@click.pass_context
def list_templates(ctx: click.Context, as_json: bool) -> None:
    """List the templates of the project.

    \b
    promptlib template list --json
    """
    from promptlib.errors import TemplateError

    registry = open_project(ctx).registry
    rows = []
    for name in registry.list():
        try:
            found = registry.get(name)
            kind = "chat" if found.is_chat else "text"
            rows.append([name, kind, ", ".join(found.inputs), found.front.description])
        except TemplateError as error:
            rows.append([name, "broken", "", str(error)])
    columns = ["name", "kind", "inputs", "description"]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows, free="description")


@template.command()
@click.argument("name")
@click.pass_context
def show(ctx: click.Context, name: str) -> None:
    """Print the file of template NAME.

    \b
    promptlib template show banking/intent
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
@json_option
@click.pass_context
def render(
    ctx: click.Context, name: str, inputs: tuple[str, ...], examples: Path | None, as_json: bool
) -> None:
    """Render template NAME as it is: no store, no choosing, no budget.

    \b
    promptlib template render banking/intent -i query="Where is my card?"
    promptlib template render banking/intent -i query=Hi --examples three.jsonl --json
    """
    found = open_project(ctx).registry.get(name)
    values = found.checked_inputs(read_inputs(inputs, found))
    shown = []
    if examples is not None:
        from promptlib.files.reading import read_examples

        shown = read_examples(examples)
    texts = (example.label or example.output for example in shown)
    labels = sorted({text for text in texts if isinstance(text, str)})
    rendered = found.render(values, shown, labels=labels, candidate_labels=labels)
    if as_json:
        print_json({"text": rendered.text, "messages": rendered.messages})
    else:
        click.echo(rendered.text)
