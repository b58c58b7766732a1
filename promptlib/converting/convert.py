"""Prompt files of other tools, by their suffix."""

from __future__ import annotations

from pathlib import Path

from promptlib.converting.converted import Converted
from promptlib.converting.langchain import convert_langchain
from promptlib.converting.prompty import convert_prompty
from promptlib.errors import PromptlibError, TemplateError

READERS = {
    ".prompty": convert_prompty, ".json": convert_langchain, ".yaml": convert_langchain,
    ".yml": convert_langchain,
}  # fmt: skip


def convert_file(path: Path) -> Converted:
    """Read a prompt file of another tool; raises TemplateError."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise TemplateError(
            f"{path}: can't tell whose file this is; Prompty's end in .prompty, LangChain's in "
            ".json, .yaml or .yml"
        )
    try:
        return reader(path)
    except RecursionError:
        raise TemplateError(f"{path}: it is nested too deeply") from None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, PromptlibError):
            raise
        raise TemplateError(f"{path}: it isn't as its format says: {error}") from None
