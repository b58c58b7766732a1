"""`promptlib search`: the examples of a store nearest to a text."""

from __future__ import annotations

import click

from .output import json_option, open_project, print_json, print_table, read_text
from .selecting import read_strategy


@click.command()
@click.argument("store")
@click.argument("query")
@click.option("-k", type=click.IntRange(min=1), default=8, show_default=True, help="How many.")
@click.option(
    "--strategy", default="similar", show_default=True,
    callback=lambda context, option, name: read_strategy(name),
    help="How they are ranked: similar, lexical, hybrid, mmr, dpp, coverage, balanced ...",
)  # fmt: skip
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Find only what meets this.")
@json_option
@click.pass_context
def search(
    ctx: click.Context, store: str, query: str, k: int, strategy: str, where: tuple[str, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Find the examples of STORE that are nearest to QUERY.

    \b
    promptlib search banking77 "my card was stolen"
    promptlib search banking77 "exchange rate" -k 20 --strategy hybrid --json
    promptlib search banking77 "where is it" --where label=card_arrival
    """
    if query == "-":
        query = read_text("-")
    hits = open_project(ctx, start=True).search(store, query, k, strategy=strategy, where=where)
    if as_json:
        print_json([hit.to_dict() for hit in hits])
        return
    from promptlib.example import retrieval_text

    table = [
        [hit.score, hit.similarity, hit.label, retrieval_text(hit.example.input), hit.example.id]
        for hit in hits
    ]
    print_table(["score", "similarity", "label", "input", "id"], table, free="input")
