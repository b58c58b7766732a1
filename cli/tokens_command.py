"""`promptlib tokens`: count the tokens of a file, of stdin, or of a conversation."""

from __future__ import annotations

import click

from .output import json_option, print_json, read_list, read_text, say


@click.command()
@click.argument("file", default="-")
@click.option("--model", help="Count for this language model.")
@click.option(
    "--encoding",
    help="Count by o200k_base (the default), cl100k_base, or a tokenizer.json.",
)
@click.option(
    "--chat", is_flag=True, help="FILE is a JSON list of messages; count their framing too."
)
@json_option
def tokens(file: str, model: str | None, encoding: str | None, chat: bool, as_json: bool) -> None:
    """Count the tokens of FILE, or of stdin.

    \b
    promptlib tokens README.md
    echo "How many?" | promptlib tokens --model gpt-4o-mini
    promptlib build banking/intent "Hi" --format messages | promptlib tokens --chat
    """
    from promptlib.budget.tokens import TokenCounter
    from promptlib.message import read_messages
    from promptlib.settings import named_counter

    if model and encoding:
        raise click.UsageError("give --model or --encoding, not both")
    counter = TokenCounter.for_model(model) if model else named_counter(encoding or "o200k_base")
    if chat:
        messages = read_messages(read_list(file, "messages"))
        count, kind = counter.count_messages(messages), counter.kind_of(messages)
    else:
        count, kind = counter.count(read_text(file)), counter.kind
    if as_json:
        facts = {"count_kind": kind, "margin": counter.margin}
        print_json({"tokens": count, "encoding": counter.encoding, **facts})
        return
    click.echo(count)
    if counter.kind == "estimate":
        margin = f"{counter.margin:.0%}"
        say(f"an estimate: {counter.encoding}'s count and {margin}, since {model}'s isn't public")
    elif kind == "estimate":
        say("an estimate: tool calls are counted as their JSON, and images not at all")
