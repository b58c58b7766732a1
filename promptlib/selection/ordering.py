"""In which order the chosen examples stand in the prompt. Pure, and never grouped by label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from promptlib.errors import ConfigError, did_you_mean


def _edges(ranked: list[int], seed: int) -> list[int]:
    """Best last, second best first, and so on towards the middle, which models read least."""
    return ranked[1::2] + ranked[0::2][::-1]


def _shuffled(ranked: list[int], seed: int) -> list[int]:
    order = list(ranked)
    Random(seed).shuffle(order)
    return order


ORDERS: Mapping[str, Callable[[list[int], int], list[int]]] = {
    "nearest-last": lambda ranked, seed: ranked[::-1],
    "nearest-first": lambda ranked, seed: list(ranked),
    "edges": _edges,
    "shuffled": _shuffled,
}


def check_order(order: str) -> None:
    """Raise ConfigError for an order that isn't one of ORDERS."""
    if order not in ORDERS:
        raise ConfigError(f"no order {order!r}; {did_you_mean(str(order), ORDERS)}")


def order_examples(ranked: Sequence[int], order: str = "nearest-last", seed: int = 0) -> list[int]:
    """Put positions that come best first into the order of the prompt; raises ConfigError."""
    check_order(order)
    return ORDERS[order](list(ranked), seed)
