"""The transformers library, loaded when it is needed and kept quiet."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

from promptlib.errors import MissingDependencyError


@contextmanager
def quietly() -> Iterator[Any]:
    """Give the library, with its warnings and bars turned off; raises MissingDependencyError."""
    try:
        import transformers
    except ImportError:
        raise MissingDependencyError("local models", "local") from None
    from transformers.utils import logging

    talk: Any = logging
    level, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        # Some bars can't be turned off: they go nowhere.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield transformers
    finally:
        talk.set_verbosity(level)
        if bars:
            talk.enable_progress_bar()
