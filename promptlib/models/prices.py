"""What an answer costs, and what all may cost together."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from promptlib.errors import ConfigError, SpendingError
from promptlib.models.spec import ModelSpec

OPENAI_URL = "https://api.openai.com/v1"


def dollars(sum_: float) -> str:
    """Write a sum in USD, small ones with as many places as they need."""
    if sum_ <= 0 or sum_ >= 0.995:
        return f"${sum_:,.2f}"
    places = max(2, 1 - math.floor(math.log10(sum_)))
    return f"${sum_:.{places}f}"


class Price:
    """The price of one model's tokens."""

    def __init__(self, spec: ModelSpec, url: str | None = None) -> None:
        self._spec = spec
        self._url = url or spec.base_url or (OPENAI_URL if spec.kind == "openai" else None)

    def of(self, input_tokens: int, output_tokens: int, cached: int = 0) -> float | None:
        """Say in USD what so many tokens cost, `cached` of them read from a provider's cache.

        None where no price is known; a model on this machine costs nothing.
        """
        spec = self._spec
        if spec.kind == "local":
            return 0.0
        if spec.input_price is not None and spec.output_price is not None:
            return (input_tokens * spec.input_price + output_tokens * spec.output_price) / 1e6
        from genai_prices import Usage
        from genai_prices.data_snapshot import get_snapshot

        usage = Usage(
            input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cached
        )
        try:
            found = get_snapshot().calc(
                usage, spec.name, None, self._url, genai_request_timestamp=datetime.now(UTC)
            )
        except (LookupError, ValueError):
            return None
        return float(found.total_price)


class Spending:
    """A limit that all calls together stay under; safe to share by threads."""

    def __init__(self, limit: float | None = None) -> None:
        if limit is not None and not (math.isfinite(limit) and limit >= 0):
            raise ConfigError(f"a limit must be a sum in USD, not {limit}")
        self.limit = limit
        self.spent = 0.0
        self.unpriced = 0
        """Answers without a known price."""
        self._reserved = 0.0
        self._changed = threading.Condition()

    def check(self, price: Price, model: str) -> None:
        """Refuse a limit for a model without a price; raises ConfigError."""
        if self.limit is not None and price.of(1, 1) is None:
            raise ConfigError(
                f"no price is known for {model}: a limit needs input_price and output_price in "
                "its [models.NAME] table"
            )

    @contextmanager
    def call(self, worst: float | None) -> Iterator[list[float | None]]:
        """Keep the most that a call may cost aside while it goes on.

        What it did cost is put into the list that is given; left empty, it may have cost the most.
        Waits for others where their room decides; raises SpendingError when there is none.
        """
        reserved = worst or 0.0
        with self._changed:
            while self._is_over(reserved):
                if self._is_over(reserved, waiting=0.0):
                    raise SpendingError(
                        f"another call may cost {dollars(reserved)}: {dollars(self.spent)} of "
                        f"{dollars(self.limit or 0.0)} are spent"
                    )
                self._changed.wait()
            self._reserved += reserved
        cost: list[float | None] = []
        try:
            yield cost
        finally:
            with self._changed:
                self._reserved -= reserved
                paid = cost[0] if cost else worst
                self.spent += paid or 0.0
                self.unpriced += paid is None
                self._changed.notify_all()

    def _is_over(self, more: float, waiting: float | None = None) -> bool:
        others = self._reserved if waiting is None else waiting
        # A hair of room: sums of floats mustn't refuse what fits exactly.
        return self.limit is not None and self.spent + others + more > self.limit * (1 + 1e-9)
