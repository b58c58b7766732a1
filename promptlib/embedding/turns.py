"""Threads that each want one text embedded share the model: whose turn it is embeds for all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from promptlib.embedding.embedder import Vectors

MOST = 32
"""Texts that are embedded in one turn."""


class _Wish:
    """What one thread waits for."""

    def __init__(self, text: Any) -> None:
        self.text = text
        self.vector: Vectors | None = None
        self.error: Exception | None = None
        self.called = threading.Event()
        """Set when the wish is met, or when it is its thread's turn."""

    @property
    def is_met(self) -> bool:
        return self.vector is not None or self.error is not None


class Turns:
    """Calls `run` with the texts of all threads that wait; safe to share by threads.

    Two calls at once would only wait for each other's threads; one call with all texts is sooner
    done than one after the other. A thread whose text is embedded hands its turn on.
    """

    def __init__(self, run: Callable[[Sequence[Any]], Vectors]) -> None:
        self._run = run
        self._waiting: deque[_Wish] = deque()
        self._taken = False
        self._state = threading.Lock()
        self.lock = threading.Lock()
        """Held while the model works with all cores; others that do the same hold it too."""

    def take(self, text: Any) -> Vectors:
        """Give the vector of a text, (dim,); raises what `run` does."""
        with self._state:
            alone, self._taken = not self._taken, True
            if not alone:
                wish = _Wish(text)
                self._waiting.append(wish)
        return self._alone(text) if alone else self._together(wish)

    def _alone(self, text: Any) -> Vectors:
        """Embed one text, and give the turn to whoever has come meanwhile."""
        try:
            with self.lock:
                vector: Vectors = self._run([text])[0]
                return vector
        finally:
            with self._state:
                self._pass_on()

    def _together(self, wish: _Wish) -> Vectors:
        mine = False
        try:
            wish.called.wait()
            while not wish.is_met:
                mine = True
                self._meet()
        finally:
            self._leave(wish, mine)
        if wish.error is not None:
            raise wish.error
        assert wish.vector is not None
        return wish.vector

    def _meet(self) -> None:
        with self._state:
            wishes = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        try:
            with self.lock:
                vectors = self._run([wish.text for wish in wishes])
        except Exception as error:
            for wish in wishes:
                wish.error = error
        except BaseException:  # of this thread alone: the others take a turn of their own
            with self._state:
                self._waiting.extendleft(reversed(wishes))
            raise
        else:
            for wish, vector in zip(wishes, vectors, strict=True):
                wish.vector = vector
        for wish in wishes:
            wish.called.set()

    def _leave(self, wish: _Wish, mine: bool) -> None:
        """Hand the turn on, if it is this thread's; a wish that wasn't met is given up."""
        with self._state:
            if wish in self._waiting:
                self._waiting.remove(wish)
            if not (mine or (wish.called.is_set() and not wish.is_met)):
                return
            self._pass_on()

    def _pass_on(self) -> None:
        self._taken = bool(self._waiting)
        if self._waiting:
            self._waiting[0].called.set()
