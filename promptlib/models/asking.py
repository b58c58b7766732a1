"""Ask, patiently and within limits: from the cache, again after a failure, many at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import tenacity

from promptlib.errors import ModelError, PromptlibError
from promptlib.models.answer import Answer, Ask, LanguageModel, Say
from promptlib.models.cache import AnswerCache
from promptlib.models.opening import OpenModel
from promptlib.models.prices import Spending

LONGEST_WAIT = 30.0
"""Seconds between two tries, unless a server asks for more."""

FRAMING = 16
"""Tokens that a chat's framing may add to a text that was counted as such."""

MOST_PATIENCE = 120.0
"""Seconds that a server may ask for."""


@dataclass(frozen=True)
class Reply:
    """What came of one question."""

    number: int
    """Which one it was, from 0."""
    answer: Answer | None
    error: ModelError | None = None


class Asker:
    """Asks one model, with a cache and a limit that may be shared with others."""

    def __init__(
        self, opened: OpenModel, cache: AnswerCache | None = None, *,
        spending: Spending | None = None, fresh: bool = False,
    ) -> None:  # fmt: skip
        self.model: LanguageModel = opened.model
        self.spec = opened.spec
        self._price = opened.price
        self._cache = cache
        self._fresh = fresh
        self.spending = spending or Spending()
        self.spending.check(self._price, self.model.name)
        self._ended = threading.Event()

    def ask(self, ask: Ask, say: Say | None = None) -> Answer:
        """Ask one question, or look its answer up; raises ModelError."""
        if self._cache is not None and not self._fresh:
            known = self._cache.get(self.model, ask)
            if known is not None:
                if say is not None:
                    say(known.text)
                return known
        answer = self._patiently(ask, say)
        if self._cache is not None and self._cache.is_usable:
            self._cache.put(self.model, ask, answer)
        return answer

    def ask_all(self, asks: Sequence[Ask]) -> Iterator[Reply]:
        """Ask many questions, several at once; gives each reply as it comes, once.

        The same question is asked once, and known from then on. After an error that is final, what
        hasn't been asked yet is given back with that error. Leaving early asks nothing more.
        """
        same: dict[str, list[int]] = {}
        for number, ask in enumerate(asks):
            same.setdefault(ask.digest(), []).append(number)
        waiting = iter(same.values())
        done: queue.SimpleQueue[tuple[list[int], Answer | None, BaseException | None]]
        done = queue.SimpleQueue()

        def work(numbers: list[int]) -> None:
            try:
                done.put((numbers, self.ask(asks[numbers[0]]), None))
            except BaseException as error:
                done.put((numbers, None, error))

        threads = min(self.model.concurrency, len(same)) or 1
        pool = ThreadPoolExecutor(threads, thread_name_prefix="promptlib-asking")
        going, last, interrupted = 0, None, False
        try:
            while True:
                while last is None and going < threads and (next_ := next(waiting, None)):
                    pool.submit(work, next_)
                    going += 1
                if not going:
                    break
                numbers, answer, error = done.get()
                going -= 1
                if error is not None and not isinstance(error, ModelError):
                    raise error
                if error is not None and error.final:
                    last = last or error
                first, *repeats = numbers
                yield Reply(first, answer, error)
                known = answer and replace(answer, cached=True)
                yield from (Reply(number, known, error) for number in repeats)
            for numbers in waiting:
                yield from (Reply(number, None, last) for number in numbers)
        except GeneratorExit:
            self._ended.set()  # nobody goes on waiting for a next try
            raise
        except KeyboardInterrupt:
            self._ended.set()
            self.model.close()
            interrupted = True
            raise
        finally:
            # What is going on is let finish, and kept: it may be paid for already.
            pool.shutdown(wait=not interrupted, cancel_futures=True)

    def _patiently(self, ask: Ask, say: Say | None) -> Answer:
        for attempt in self._tries():
            with attempt:
                return self._once(ask, say)
        raise AssertionError("tenacity raises what the last try did")

    def _tries(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self.spec.retries + 1),
                tenacity.stop_when_event_set(self._ended),
            ),
            wait=_wait,
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, ModelError) and error.again
            ),
            sleep=tenacity.sleep_using_event(self._ended),
            reraise=True,
        )

    def _once(self, ask: Ask, say: Say | None) -> Answer:
        worst = self._price.of(ask.tokens + FRAMING, ask.max_tokens)
        told = _Handing(say) if say is not None else None
        with self.spending.call(worst) as cost:
            try:
                answer = self.model.ask(ask, told)
            except PromptlibError as error:
                if not (isinstance(error, ModelError) and error.billed):
                    cost.append(0.0)
                if told is not None and told.error is not None:
                    raise told.error from None
                raise
            cost.append(answer.cost)
            return answer


class _Handing:
    """Hands an answer on, and remembers if that failed: the model isn't to blame then."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.error: Exception | None = None

    def __call__(self, piece: str) -> None:
        try:
            self._say(piece)
        except Exception as error:
            self.error = error
            raise


_backing_off = tenacity.wait_exponential_jitter(initial=0.5, max=LONGEST_WAIT)


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the server asks, or twice as long as the last time."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.after if isinstance(error, ModelError) else None
    return min(asked, MOST_PATIENCE) if asked is not None else float(_backing_off(state))
