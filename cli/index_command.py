"""`promptlib index`: what the index of a store is, and how fast and how well it finds."""

from __future__ import annotations

from typing import Any

import click

from .output import counted, json_option, open_project, print_json, print_table, say


@click.group()
def index() -> None:
    """Look at the indexes of stores, build them anew, and measure them.

    \b
    promptlib index status banking77
    promptlib index bench banking77
    """


@index.command()
@click.argument("store")
@json_option
@click.pass_context
def status(ctx: click.Context, store: str, as_json: bool) -> None:
    """Say of what kind the index of STORE is, how current, how large, and what it finds.

    \b
    promptlib index status banking77 --json
    """
    from promptlib.measuring import index_facts

    found = index_facts(open_project(ctx), store)
    if as_json:
        print_json(found.to_dict())
        return
    mega = {what: f"{size / 1e6:,.1f} MB" for what, size in sorted(found.bytes.items())}
    exact = "all are compared" if found.probes is None else f"{found.probes} cells a search"
    rows: list[list[Any]] = [
        ["kind", f"{found.kind} ({exact})"], ["rows", found.rows],
        ["changed since it was built", found.changed], ["without a vector", found.pending],
        ["built (UTC)", (found.built or "not kept")[:19]], ["recall at 10", found.recall],
        *([what, size] for what, size in mega.items()),
    ]  # fmt: skip
    print_table(["what", store], rows)


@index.command()
@click.argument("store")
@click.pass_context
def rebuild(ctx: click.Context, store: str) -> None:
    """Build the index of STORE anew from the vectors in the database; nothing is embedded again.

    \b
    promptlib index rebuild banking77
    """
    from promptlib.measuring import index_facts, rebuild_index

    project = open_project(ctx)
    seconds = rebuild_index(project, store)
    found = index_facts(project, store)
    say(f"{store}: {found.kind}, {counted(found.rows, 'row')}, {seconds:.1f} s")


@index.command()
@click.argument("store")
@click.option("--queries", metavar="FILE", help="Rows with an input; the store's own by default.")
@click.option("-n", "most", type=click.IntRange(min=1), default=200, show_default=True,
              help="Ask so many of them.")  # fmt: skip
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True,
              help="For the recall: so many nearest.")  # fmt: skip
@json_option
@click.pass_context
def bench(
    ctx: click.Context, store: str, queries: str | None, most: int, k: int, as_json: bool
) -> None:
    """Time searches in STORE, and compare what they find with what is really nearest.

    \b
    promptlib index bench banking77
    promptlib index bench banking77 --queries log.jsonl -n 1000 --json
    """
    from promptlib.advice.outcomes import read_queries
    from promptlib.measuring import measure_index

    project = open_project(ctx)
    opened = project.index(store)
    if queries is not None:
        texts = read_queries(queries, opened.store.settings.embed)[:most]
    else:
        texts = opened.sample_texts(most)
    found = measure_index(project, store, texts, k)
    if as_json:
        print_json([step.to_dict() for step in found])
        return
    rows = [[step.step, step.p50_ms, step.p95_ms, step.recall] for step in found]
    print_table(["step", "p50 (ms)", "p95 (ms)", f"recall at {k}"], rows)
    say(f"{counted(len(texts), 'query')}, one at a time, one after the other")
