"""`promptlib template import`: prompts of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from .output import counted, open_project, say


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Call the template so; by default, as the file says.")
@click.option("--store", help="Call the store of its examples so; by default, as the template.")
@click.option("--replace", is_flag=True, help="Write over a template or a store of that name.")
@click.pass_context
def import_(
    ctx: click.Context, file: Path, name: str | None, store: str | None, replace: bool
) -> None:
    """Make a template of a Prompty file, or of a LangChain prompt in JSON or YAML.

    The examples of a few-shot prompt become a store. What can't be carried over is named.

    \b
    promptlib template import support.prompty
    promptlib template import antonyms.yaml --name words/antonym --store antonyms
    """
    project = open_project(ctx)
    made = project.import_template(file, name=name, store=store, replace=replace)
    click.echo(made.name)
    say(f"made {made.file}")
    if made.store is not None:
        say(f"made {made.store_file} with {counted(made.examples, 'example')}")
    for note in made.notes:
        say(f"note: {note}")
    for what in made.left_out:
        say(f"not carried over: {what}", fg="yellow")
