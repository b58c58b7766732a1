"""`promptlib tokens`: count the tokens of a file, of stdin, or of a conversation."""

from __future__ import annotations

import click

from .output import json_option, print_json, read_messages, read_text, say


@click.command()
@click.argument("file", default="-")
@click.option("--model", help="Count for this language model.")
@click.option("--encoding", help="Count by this encoding: o200k_base (the default) or cl100k_base.")
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

    if model and encoding:
        raise click.UsageError("give --model or --encoding, not both")
    if model:
        counter = TokenCounter.for_model(model)
    else:
        counter = TokenCounter.for_encoding(encoding or "o200k_base")
    count = counter.count_messages(read_messages(file)) if chat else counter.count(read_text(file))
    if as_json:
        kind = {"count_kind": counter.kind, "margin": counter.margin}
        print_json({"tokens": count, "encoding": counter.encoding, **kind})
        return
    click.echo(count)
    if counter.kind == "estimate":
        margin = f"{counter.margin:.0%}"
        say(f"an estimate: {counter.encoding}'s count and {margin}, since {model}'s isn't public")
