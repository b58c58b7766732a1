"""Options of commands that build a prompt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .output import parse_json, read_list, read_text
from .selecting import strategy_option, weight_option

if TYPE_CHECKING:
    from promptlib.templating.template import Template

_OPTIONS = [
    click.argument("template"),
    click.argument("query", required=False),
    click.option(
        "-i",
        "-p",
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=VALUE",
        help="Fill an input; NAME=@FILE reads it from a file. Lists and objects are JSON.",
    ),
    click.option("--store", metavar="NAME", help="Take examples from another store."),
    click.option("-k", type=click.IntRange(min=0), help="Show at most this many examples."),
    click.option("--min-k", type=click.IntRange(min=0), help="Show at least this many, or fail."),
    click.option(
        "--budget", type=click.IntRange(min=1), metavar="TOKENS", help="The prompt's limit."
    ),
    click.option(
        "--reserve",
        type=click.IntRange(min=0),
        metavar="TOKENS",
        help="Room within the budget that is kept for the answer.",
    ),
    click.option(
        "--max-example-tokens",
        type=click.IntRange(min=1),
        metavar="TOKENS",
        help="Skip examples that cost more.",
    ),
    click.option(
        "--share",
        type=click.FloatRange(0, 1, min_open=True),
        help="The most of the budget that all examples may take, such as 0.5.",
    ),
    click.option(
        "--encoding",
        help="Count by o200k_base, cl100k_base, or a tokenizer.json with its chat template.",
    ),
    strategy_option,
    weight_option,
    click.option("--order", help="How they stand: nearest-last, nearest-first, edges or shuffled."),
    click.option(
        "--seed", type=click.IntRange(min=0), help="For random ranking and shuffled order."
    ),
    click.option(
        "--min-score", type=float, metavar="COSINE", help="Show no example less similar than this."
    ),
    click.option(
        "--exclude-self/--no-exclude-self",
        default=None,
        help="Leave out examples whose text is the query's own.",
    ),
    click.option(
        "--where",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Show only examples that meet this; FIELD!=VALUE too.",
    ),
    click.option(
        "--history",
        metavar="FILE",
        help="A JSON file with the conversation so far, as chat messages.",
    ),
    click.option(
        "--tools", metavar="FILE", help="A JSON file with tool schemas; their tokens count."
    ),
]


def prompt_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add TEMPLATE, QUERY, and the options that decide what a prompt shows."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def what_is_prompted(template: Template, told: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Make the arguments and the options of `build` from those of `prompt_options`."""
    options = dict(told)
    options.pop("template", None)
    query, inputs = options.pop("query"), options.pop("inputs")
    history, tools = options.pop("history"), options.pop("tools")
    where, weights = options.pop("where"), options.pop("weights")
    values = read_inputs(inputs, template)
    waiting = [name for name in template.query_inputs if name not in (*values, "history")]
    if query == "-" or (query is None and waiting and not sys.stdin.isatty()):
        # An empty pipe, as in cron, is no query: then the input is reported as missing.
        query = read_text("-").removesuffix("\n").removesuffix("\r") or None
    turns = read_list(history, "messages") if history is not None else None
    options |= {**weights, "where": where or None}
    options |= {"tools": read_list(tools, "schemas") if tools else None}
    return {"query": query, "inputs": values, "history": turns}, options


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
