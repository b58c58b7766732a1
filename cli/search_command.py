"""`promptlib search`: the examples of a store nearest to a text."""

from __future__ import annotations

import click

from .output import json_option, open_project, print_json, print_table, read_text


@click.command()
@click.argument("store")
@click.argument("query")
@click.option("-k", type=click.IntRange(min=1), default=8, show_default=True, help="How many.")
@json_option
@click.pass_context
def search(ctx: click.Context, store: str, query: str, k: int, as_json: bool) -> None:
    """Find the examples of STORE that are nearest to QUERY.

    \b
    promptlib search banking77 "my card was stolen"
    promptlib search banking77 "exchange rate" -k 20 --json
    """
    if query == "-":
        query = read_text("-")
    if not query.strip():
        raise click.ClickException("the query is empty")
    index = open_project(ctx, start=True).index(store)
    found = index.search(query, k)
    examples = index.store.by_keys([int(key) for key in found.keys])
    scores = found.similarity.tolist()
    if as_json:
        rows = [
            {"rank": rank, "score": score, "label": label} | example.to_dict()
            for rank, (score, label, example) in enumerate(
                zip(scores, found.labels, examples, strict=True), start=1
            )
        ]
        print_json(rows)
        return
    from promptlib.example import retrieval_text

    table = [
        [score, label, retrieval_text(example.input), example.id]
        for score, label, example in zip(scores, found.labels, examples, strict=True)
    ]
    print_table(["score", "label", "input", "id"], table, free="input")
