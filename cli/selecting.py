"""Options of commands that choose examples."""

from __future__ import annotations

from typing import Any

import click


def read_strategy(name: str) -> str:
    """Check the name of a strategy."""
    from promptlib.errors import ConfigError
    from promptlib.selection.strategies import strategy_name

    try:
        return strategy_name(name)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def read_pair(pair: str) -> tuple[str, str]:
    """Read KEY=NAME."""
    key, equals, name = pair.partition("=")
    if not (equals and key and name):
        raise click.UsageError(f"--map {pair!r} is not KEY=NAME")
    return key.strip(), name.strip()


def read_weights(
    context: click.Context, option: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    """Read NAME=VALUE for each of `Weights`."""
    from dataclasses import fields

    from promptlib.errors import ConfigError, did_you_mean
    from promptlib.selection.pool import Weights

    known = [spec.name for spec in fields(Weights)]
    weights: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        if name not in known:
            raise click.BadParameter(f"no weight {name!r}; {did_you_mean(name, known)}")
        try:
            weights[name] = int(value) if value.isdecimal() else float(value)
        except ValueError:
            raise click.BadParameter(f"{name} must be a number, not {value!r}") from None
    try:
        Weights(**weights)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None
    return weights


strategy_option = click.option(
    "--strategy",
    callback=lambda context, option, name: name and read_strategy(name),
    help="How examples are chosen: auto, similar, lexical, hybrid, mmr, dpp, coverage, balanced, "
    "diverse or random.",
)

weight_option = click.option(
    "--weight", "weights", multiple=True, metavar="NAME=VALUE", callback=read_weights,
    help="Tell the strategy: lambda_mult (mmr), lexical_weight (hybrid, dpp, coverage, balanced); "
    "min_labels, max_per_label, border (balanced).",
)  # fmt: skip
