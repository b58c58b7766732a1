"""What a language model costs, from the genai-prices package."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from promptlib.advice.facts import Fact
from promptlib.finetune.providers import caching

PARTS = {
    "input_mtok": "input_price",
    "output_mtok": "output_price",
    "cache_read_mtok": "cache_read_price",
    "cache_write_mtok": "cache_write_price",
}
"""What genai-prices calls them -> what the profile calls them."""


def price_facts(model: str) -> dict[str, Fact]:
    """Look up a model's prices in USD per million tokens; empty for one that isn't known."""
    from genai_prices.data_snapshot import get_snapshot

    name = model.rpartition("/")[2]
    try:
        provider, info = get_snapshot().find_provider_model(name, None, None, None)
    except LookupError:
        return {}
    prices = info.get_prices(datetime.now(UTC))
    note = f"{info.id} at {provider.id}, genai-prices {version('genai-prices')}, {_date(info)}"
    found = {}
    for theirs, ours in PARTS.items():
        price = getattr(prices, theirs)
        if price is not None:  # for long prompts some ask more: those are far beyond ours
            found[ours] = Fact(float(getattr(price, "base", price)), "prices", note=note)
    rule = caching(provider.id)
    if rule is not None and "cache_read_price" in found:
        found["cache_minimum"] = Fact(rule.minimum, "providers", note=rule.source)
        found["cache_minutes"] = Fact(rule.minutes, "providers", note=rule.source)
    return found


def _date(info: Any) -> str:
    dates = re.findall(r"\d{4}-\d\d-\d\d", info.price_comments or "")
    return f"checked on {max(dates)}" if dates else f"its data reaching to {_newest()}"


@cache
def _newest() -> str:
    """Find the newest day that the package's data speaks of and that isn't still to come."""
    from genai_prices.data_snapshot import get_snapshot

    today = datetime.now(UTC).date().isoformat()
    comments = (m.price_comments or "" for p in get_snapshot().providers for m in p.models)
    days = (day for text in comments for day in re.findall(r"\d{4}-\d\d-\d\d", text))
    return max((day for day in days if day <= today), default="an unknown day")
