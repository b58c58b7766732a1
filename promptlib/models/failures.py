"""What goes wrong behind an HTTP API, in our words: whether to ask again, whether it may cost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from promptlib.errors import ModelError
from promptlib.text import first_line


class Refused(Exception):
    """A part of a request that the model doesn't take, and that can be left out."""

    def __init__(self, part: str) -> None:
        self.part = part


@contextmanager
def in_our_words(place: str, key_name: str) -> Iterator[None]:
    """Say what went wrong, whether asking again may help, and whether it may be billed."""
    import openai

    try:
        yield
    except (ModelError, Refused):
        raise
    except openai.APITimeoutError as error:
        raise ModelError(
            f"{place} gave no sign of life in time", again=True, billed=True
        ) from error
    except openai.APIConnectionError as error:
        cause = error.__cause__
        why = f": {first_line(str(cause or error))}"
        if cause is None or type(cause).__name__ in ("ConnectError", "ConnectTimeout"):
            raise ModelError(f"{place} can't be reached{why}", again=True) from error
        raise ModelError(f"{place} broke off{why}", again=True, billed=True) from error
    except openai.APIStatusError as error:
        raise _by_status(place, key_name, error) from error
    except Exception as error:  # cut off in the middle, or nothing that the client can read
        reason = first_line(str(error)) or type(error).__name__
        raise ModelError(
            f"{place} sent an answer that can't be read ({reason})", again=True, billed=True
        ) from error


def _by_status(place: str, key_name: str, error: Any) -> ModelError:
    status, said = error.status_code, _without_key(_message(error), os.environ.get(key_name or ""))
    if status in (401, 403):
        which = f"the key in {key_name}" if key_name else "to answer without a key: set api_key_env"
        return ModelError(f"{place} refuses {which} ({status}: {said})", final=True)
    if status == 404:
        return ModelError(f"{place}: there is no such model or address (404: {said})", final=True)
    if status == 429 and error.code == "insufficient_quota":
        return ModelError(f"{place}: the account has no credit left (429: {said})", final=True)
    if status in (408, 409, 429) or status >= 500:
        return ModelError(
            f"{place} is busy or broken ({status}: {said})", again=True, after=_after(error)
        )
    return ModelError(f"{place} refuses the request ({status}: {said})")


def _without_key(said: str, key: str | None) -> str:
    """Take a key out of what a server says: some repeat it."""
    return said.replace(key, "...") if key and len(key) > 3 else said


def _message(error: Any) -> str:
    body = error.body
    said = body.get("message") if isinstance(body, Mapping) else None
    return first_line(str(said or error.message))[:300] or "no reason given"


def _after(error: Any) -> float | None:
    """Read how many seconds a server wants to be left alone."""
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        return None
