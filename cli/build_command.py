"""`promptlib build`: a prompt on stdout, its report on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from .output import (
    check_writable,
    json_option,
    open_project,
    print_json,
    print_table,
    say,
    write_text,
)
from .prompting import prompt_options, what_is_prompted
from .store_history import at_option

if TYPE_CHECKING:
    from promptlib.project import Project
    from promptlib.prompt import Prompt
    from promptlib.sending import Sendable


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "messages", "openai", "anthropic", "gemini"]),
    default="text",
    help="Transcript, list of messages, or the request body of a provider's API.",
)


@click.command()
@prompt_options
@click.option("--model", help="The language model that the prompt is for.")
@format_option
@at_option
@click.option("--manifest", metavar="FILE", help="Write what replay needs to this file.")
@click.option("--private", is_flag=True, help="Leave inputs and history out of the manifest.")
@click.option(
    "--explain", is_flag=True, help="Show on stderr why each candidate was chosen or left out."
)
@json_option
@click.pass_context
def build(
    ctx: click.Context, /, template: str, form: str, manifest: str | None, private: bool,
    explain: bool, as_json: bool, at: int | None, **told: Any,
) -> None:  # fmt: skip
    """Build a prompt from TEMPLATE with the best examples that fit.

    QUERY fills the template's query input; "-" or a pipe reads it from stdin. The prompt goes to
    stdout, a line about it to stderr.

    \b
    promptlib build banking/intent "My card was stolen"
    promptlib build banking/intent "Where is my card?" -k 4 --budget 300 --explain
    echo "I lost my PIN" | promptlib build banking/intent --format openai
    promptlib build banking/intent "Top up failed" --json | jq .tokens
    """
    if as_json and form != "text":
        raise click.UsageError("give --format or --json, not both")
    if private and manifest is None and not as_json:
        raise click.UsageError("--private needs --manifest FILE or --json")
    if manifest is not None:
        check_writable(manifest)
    from promptlib.request import named_store

    project = open_project(ctx, start=True)
    loaded = project.registry.get(template)
    asked, options = what_is_prompted(loaded, told)
    options |= {"explain": explain, "as_message": form != "text"}
    if at is None:
        prompt = project.build(template, **asked, **options)
    else:
        store = named_store(loaded, options)
        prompt = _built_at(project, template, store, at, asked | options)
    if manifest is not None:
        facts = prompt.manifest(inputs=not private)
        write_text(manifest, json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
        if loaded.version is None:
            say(f"{template} is a working file: replay needs it as it is, or published")
    if as_json:
        facts = prompt.to_dict()
        print_json({**facts, "manifest": prompt.manifest(inputs=False)} if private else facts)
    else:
        click.echo(formatted(prompt, form))
    if explain:
        _explain(prompt)
    say(prompt.report(hint=sys.stderr.isatty()))


def _built_at(
    project: Project, template: str, store: str | None, at: int, given: dict[str, Any]
) -> Prompt:
    from promptlib.asof import project_at

    if store is None:
        raise click.UsageError("--at needs a store: the template names none")
    with project_at(project, store, at) as past:
        return past.build(template, **given)


def formatted(prompt: Sendable, form: str) -> str:
    """Write a prompt in the form that was asked for."""
    if form == "text":
        return prompt.text
    made = prompt.messages if form == "messages" else prompt.body(form)
    return json.dumps(made, ensure_ascii=False, indent=2)


COLUMNS = {
    "rank": "rank", "score": "score", "similarity": "similarity", "lexical": "lexical",
    "posterior": "posterior", "value": "value", "tokens": "tokens",
    "value/token": "value_per_token", "label": "label", "why": "reason", "id": "id",
}  # fmt: skip
"""Heads of the table, and what stands below."""


def _explain(prompt: Prompt) -> None:
    parts = [[part.name, part.tokens, part.left_out] for part in prompt.parts]
    print_table(["part", "tokens", "left out for room"], parts, err=True)
    facts = [candidate.to_dict() for candidate in prompt.candidates]
    if not facts:
        say("no examples were considered")
        return
    rows = [[row[name] for name in COLUMNS.values()] for row in facts]
    print_table(list(COLUMNS), rows, free="label", err=True)
