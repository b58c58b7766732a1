"""A user's own Python function, by file or module: FILE.py:FUNCTION or package.module:FUNCTION."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from promptlib.errors import ConfigError, did_you_mean
from promptlib.text import first_line


def load_function(place: str, folder: Path | None = None) -> Callable[..., Any]:
    """Load a function; paths start at `folder`. Its file is run: name only what you trust.

    What it raises when called becomes a ConfigError that names it. Raises ConfigError.
    """
    where, colon, name = place.rpartition(":")
    if not (colon and where and name.isidentifier()):
        raise ConfigError(f"{place!r} must be FILE.py:FUNCTION or module:FUNCTION")
    module = _from_file((folder or Path()) / where) if where.endswith(".py") else _by_name(where)
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise ConfigError(f"{where} has no function {name!r}; {did_you_mean(name, known)}")

    def called(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (Exception, SystemExit) as error:
            raise ConfigError(f"{place} failed: {_told(error)}") from error

    return called


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"promptlib_user_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{path} can't be run: {_told(error)}") from error
    return module


def _by_name(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"can't import {name}: {_told(error)}") from error


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(str(error))}"
