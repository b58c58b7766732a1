"""`promptlib replay`: a prompt again, from its manifest."""

from __future__ import annotations

from typing import Any

import click

from .build_command import format_option, formatted
from .output import (
    json_option,
    open_project,
    parse_json,
    print_json,
    read_list,
    read_text,
    say,
)
from .prompting import read_inputs


@click.command()
@click.argument("manifest")
@click.option(
    "-i", "-p", "--input", "inputs", multiple=True, metavar="NAME=VALUE",
    help="Fill an input that the manifest leaves out; NAME=@FILE reads it from a file.",
)  # fmt: skip
@click.option("--history", metavar="FILE", help="The conversation, if the manifest leaves it out.")
@format_option
@json_option
@click.pass_context
def replay(
    ctx: click.Context, manifest: str, inputs: tuple[str, ...], history: str | None, form: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Print again, byte for byte, the prompt that MANIFEST describes.

    MANIFEST is what `build --manifest` wrote, or the output of `build --json`; "-" reads stdin. No
    model is loaded: templates and examples come from the database, as they were.

    \b
    promptlib build banking/intent "My card was stolen" --manifest prompt.json
    promptlib replay prompt.json
    promptlib replay private.json -i query="My card was stolen"
    """
    from promptlib.replaying import manifest_template

    if as_json and form != "text":
        raise click.UsageError("give --format or --json, not both")
    name = "stdin" if manifest == "-" else manifest
    data = parse_json(read_text(manifest), name)
    project = open_project(ctx)
    values: dict[str, Any] | None = None
    if inputs:
        values = read_inputs(inputs, manifest_template(project.registry, data))
    turns = read_list(history, "messages") if history is not None else None
    again = project.replay(data, inputs=values, history=turns)
    if as_json:
        print_json(again.to_dict())
    else:
        click.echo(formatted(again, form))
    say(f"{again.tokens:,} tokens, the same as built")
