"""Options of commands that evaluate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .output import say
from .prompting import read_inputs
from .selecting import read_pair, read_strategy

if TYPE_CHECKING:
    from promptlib.evaluation.recording import Search
    from promptlib.evaluation.ways import Way
    from promptlib.intervals import Difference
    from promptlib.project import Project


def listed(kind: Callable[[str], Any], what: str) -> Callable[..., list[Any]]:
    """Make a reader of options that are given again and again, or with commas."""

    def read(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> list[Any]:
        parts = [part.strip() for each in given for part in each.split(",") if part.strip()]
        try:
            return [kind(part) for part in parts]
        except ValueError:
            raise click.BadParameter(f"{', '.join(parts)!r} must be {what}") from None

    return read


def whole(least: int) -> Callable[[str], int]:
    """Make a reader of whole numbers."""

    def read(text: str) -> int:
        number = int(text)
        if number < least:
            raise ValueError
        return number

    return read


_QUERIES = [
    click.option(
        "--store", metavar="NAME",
        help="Show this store's examples instead of the template's; without a template, as text.",
    ),
    click.option(
        "--queries", metavar="FILE",
        help="Queries with answers, in the form of examples: JSONL, CSV, TSV or Parquet.",
    ),
    click.option(
        "--map", "pairs", multiple=True, metavar="KEY=NAME",
        help="Of --queries: take input, output, label from the file's NAME.",
    ),
    click.option("--charset", help="Of --queries: cp1252, latin-1 ...  [default: utf-8]"),
    click.option(
        "--holdout", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="SHARE",
        help="Keep this share of the store back as queries.",
    ),
    click.option(
        "--sample", type=click.IntRange(min=2), metavar="N",
        help="Ask at most so many. Without --queries or --holdout, 500 rows of the store are "
        "left out one at a time.",
    ),
    click.option(
        "-i", "-p", "--input", "inputs", multiple=True, metavar="NAME=VALUE",
        help="Fill an input that the queries don't.",
    ),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True,
        help="Of all that is drawn at random.",
    ),
]  # fmt: skip

_WAYS = [
    click.option(
        "--strategy", "strategies", multiple=True, metavar="NAME,...",
        callback=listed(read_strategy, "names"), help="Which strategies; all by default.",
    ),
    click.option(
        "-k", "ks", multiple=True, metavar="N,...",
        callback=listed(whole(1), "whole numbers, 1 or more"), help="Examples to show.",
    ),
    click.option(
        "--budget", "budgets", multiple=True, metavar="TOKENS,...",
        callback=listed(whole(1), "whole numbers, 1 or more"), help="Limits of the prompt.",
    ),
]  # fmt: skip


def query_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which queries are asked."""
    for option in reversed(_QUERIES):
        command = option(command)
    return command


def way_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say in which ways they are."""
    for option in reversed(_WAYS):
        command = option(command)
    return command


def what_is_asked(project: Project, template: str | None, told: dict[str, Any]) -> dict[str, Any]:
    """Make the arguments of `evaluate`, `tune` and `examine` from theirs."""
    from promptlib.evaluation.session import QuerySource

    if template is None and told["store"] is None:
        raise click.UsageError("name a TEMPLATE, or a store with --store")
    if told["queries"] is not None and told["holdout"] is not None:
        raise click.UsageError("give --queries or --holdout, not both")
    loaded = project.template(template) if template is not None else None
    return {
        **{name: told[name] for name in ("strategies", "ks", "budgets") if name in told},
        "store": told["store"],
        "inputs": read_inputs(told["inputs"], loaded),
        "queries": QuerySource(
            told["queries"], told["holdout"], told["sample"], told["seed"],
            dict(map(read_pair, told["pairs"])), told["charset"],
        ),
    }  # fmt: skip


def tell_auto(found: Search, recorded: bool | None) -> None:
    """Say what a search means for the store's `auto`; None where nothing was recorded."""
    best = found.auto_way
    if best is None:
        say("auto: left as it is, since no other strategy was tried at the k in force")
        return
    say(verdict("auto", best, found.auto_gain, "the built-in default", found, found.moves_auto))
    if recorded is not None:
        whose = f" for {found.model}" if found.model is not None else ""
        name = best.strategy if recorded else "the built-in default"
        say(f"store {found.store}: auto{whose} is {name}")


def verdict(
    what: str, way: Way, gain: Difference | None, over: str, found: Search, follows: bool
) -> str:
    """Say whether the best way is to be followed, or another kept."""
    if gain is None:
        return f"{what}: keep {over}"
    difference = f"{found.yardstick.replace('_', ' ')} {gain}"
    if follows:
        return f"{what}: {way}; {difference} against {over}"
    return f"{what}: keep {over}; {way} was best in the search, then {difference}: not clearly more"
