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
    parse_json,
    print_json,
    print_table,
    read_list,
    read_text,
    say,
)
from .selecting import strategy_option, weight_option

if TYPE_CHECKING:
    from promptlib.prompt import Prompt
    from promptlib.sending import Sendable
    from promptlib.templating.template import Template


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "messages", "openai", "anthropic", "gemini"]),
    default="text",
    help="Transcript, list of messages, or the request body of a provider's API.",
)


@click.command()
@click.argument("template")
@click.argument("query", required=False)
@click.option(
    "-i",
    "-p",
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fill an input; NAME=@FILE reads it from a file. Lists and objects are JSON.",
)
@click.option("--store", metavar="NAME", help="Take examples from another store.")
@click.option("-k", type=click.IntRange(min=0), help="Show at most this many examples.")
@click.option("--min-k", type=click.IntRange(min=0), help="Show at least this many, or fail.")
@click.option("--budget", type=click.IntRange(min=1), metavar="TOKENS", help="The prompt's limit.")
@click.option(
    "--reserve",
    type=click.IntRange(min=0),
    metavar="TOKENS",
    help="Room within the budget that is kept for the answer.",
)
@click.option(
    "--max-example-tokens", type=click.IntRange(min=1), metavar="TOKENS",
    help="Skip examples that cost more.",
)  # fmt: skip
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True),
    help="The most of the budget that all examples may take, such as 0.5.",
)  # fmt: skip
@click.option("--model", help="The language model that the prompt is for.")
@click.option(
    "--encoding",
    help="Count by o200k_base, cl100k_base, or a tokenizer.json with its chat template.",
)
@strategy_option
@weight_option
@click.option("--order", help="How they stand: nearest-last, nearest-first, edges or shuffled.")
@click.option("--seed", type=click.IntRange(min=0), help="For random ranking and shuffled order.")
@click.option(
    "--min-score", type=float, metavar="COSINE", help="Show no example less similar than this."
)
@click.option(
    "--exclude-self/--no-exclude-self", default=None,
    help="Leave out examples whose text is the query's own.",
)  # fmt: skip
@click.option(
    "--where", multiple=True, metavar="FIELD=VALUE",
    help="Show only examples that meet this; FIELD!=VALUE too.",
)  # fmt: skip
@click.option(
    "--history",
    metavar="FILE",
    help="A JSON file with the conversation so far, as chat messages.",
)
@click.option("--tools", metavar="FILE", help="A JSON file with tool schemas; their tokens count.")
@format_option
@click.option("--manifest", metavar="FILE", help="Write what replay needs to this file.")
@click.option("--private", is_flag=True, help="Leave inputs and history out of the manifest.")
@click.option(
    "--explain", is_flag=True, help="Show on stderr why each candidate was chosen or left out."
)
@json_option
@click.pass_context
def build(
    ctx: click.Context, /, template: str, query: str | None, inputs: tuple[str, ...],
    history: str | None, tools: str | None, where: tuple[str, ...], form: str,
    manifest: str | None, private: bool, explain: bool, as_json: bool, weights: dict[str, Any],
    **options: Any,
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
    project = open_project(ctx, start=True)
    loaded = project.registry.get(template)
    values = read_inputs(inputs, loaded)
    waiting = [name for name in loaded.query_inputs if name not in (*values, "history")]
    if query == "-" or (query is None and waiting and not sys.stdin.isatty()):
        # An empty pipe, as in cron, is no query: then the input is reported as missing.
        query = read_text("-").removesuffix("\n").removesuffix("\r") or None
    turns = read_list(history, "messages") if history is not None else None
    options |= {**weights, "explain": explain, "where": where or None}
    options |= {"tools": read_list(tools, "schemas") if tools else None}
    options["as_message"] = form != "text"
    prompt = project.build(template, query, inputs=values, history=turns, **options)
    if manifest is not None:
        _write_json(manifest, prompt.manifest(inputs=not private))
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


def formatted(prompt: Sendable, form: str) -> str:
    """Write a prompt in the form that was asked for."""
    if form == "text":
        return prompt.text
    made = prompt.messages if form == "messages" else prompt.body(form)
    return json.dumps(made, ensure_ascii=False, indent=2)


def _write_json(file: str, value: Any) -> None:
    from promptlib.files.writing import replacing

    with replacing(file) as out:
        out.write((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())


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


def read_inputs(pairs: tuple[str, ...], template: Template | None) -> dict[str, Any]:
    """Read NAME=VALUE and NAME=@FILE; values of inputs that aren't text are JSON."""
    types = {name: spec.type for name, spec in template.inputs.items()} if template else {}
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--input {pair!r} is not NAME=VALUE")
        if name in values:
            raise click.UsageError(f"--input {name} is given twice")
        text = read_text(value[1:]) if value.startswith("@") else value
        plain = types.get(name) in (None, "string")
        try:
            values[name] = text if plain else parse_json(text, f"--input {name} ({types[name]})")
        except click.ClickException as error:
            raise click.UsageError(error.message) from None
    return values
