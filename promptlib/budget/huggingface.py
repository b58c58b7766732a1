"""Hugging Face tokenizers by path: exact counts, and exact framing by their chat template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError as JinjaError
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from promptlib.budget.tokens import TokenCounter
from promptlib.errors import EncodingError
from promptlib.text import kind_of

TOKENIZER, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"


def tokenizer_path(encoding: str, root: Path | None = None) -> Path | None:
    """Find the tokenizer's file or folder that this names; None for the name of an encoding."""
    path = (root or Path()) / Path(encoding).expanduser()
    return path if "/" in encoding or encoding.endswith(".json") or path.is_dir() else None


def tokenizer_files(path: Path) -> tuple[Path, Path, Path]:
    """Say where a tokenizer, its configuration and its chat template are, or would be."""
    file = path / TOKENIZER if path.is_dir() else path
    return file, file.with_name(CONFIG), file.with_name(TEMPLATE)


def load_tokenizer(path: Path | str) -> TokenCounter:
    """Load a `tokenizer.json`, or the one in a folder, with the chat template beside it.

    The template is `chat_template.jinja` or stands in `tokenizer_config.json`; without it, texts
    can be counted and messages can't. Raises EncodingError for a file that isn't a tokenizer.
    """
    parts = tokenizer_files(Path(path).expanduser().absolute())
    try:
        parts[0].stat()
    except OSError as error:
        raise EncodingError(f"no tokenizer at {parts[0]}: {error.strerror}") from None
    # Not resolved: in a hub's cache the file is a link, and what is beside it is beside the link.
    return _load(parts[0], tuple(p.stat().st_mtime_ns if p.is_file() else 0 for p in parts))


@lru_cache(maxsize=8)
def _load(file: Path, _times: tuple[int, ...]) -> TokenCounter:
    from tokenizers import Tokenizer

    data = file.read_bytes()
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:  # tokenizers raises plain Exceptions
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EncodingError(f"{file} is not a Hugging Face tokenizer: {reason}") from None
    # Many files ask for cutting or filling up; a count must see the whole text and nothing else.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    name = file.parent.name if file.name == TOKENIZER else file.name
    sources, tokens = _templates(file)
    framing = _Framing(file, name, _compiled(file, sources), tokens)
    digest = hashlib.sha256(data + json.dumps(sources, sort_keys=True).encode()).hexdigest()[:8]
    return TokenCounter(
        lambda text: len(tokenizer.encode(text).ids),
        f"{name}@{digest}",
        count_chat=lambda messages, tools: len(
            tokenizer.encode(framing.text(messages, tools), add_special_tokens=False).ids
        ),
        ends=lambda text: sorted({end for _, end in tokenizer.encode(text).offsets} - {0}),
    )


@dataclass(frozen=True)
class _Framing:
    """How a model sees a conversation: its chat templates by name."""

    file: Path
    name: str
    templates: Mapping[str, Any]
    tokens: Mapping[str, Any]
    """The special tokens that a template may name."""

    def text(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Write a request as the model reads it, up to where its answer begins."""
        template = (tools and self.templates.get("tool_use")) or self.templates.get("default")
        if template is None:
            raise EncodingError(
                f"{self.file} has no chat template beside it ({TEMPLATE}, or chat_template in "
                f"{CONFIG}): messages can't be counted exactly"
            )
        try:
            text: str = template.render(
                messages=[_as_servers_do(message) for message in messages],
                tools=list(tools) or None,
                add_generation_prompt=True,
                **self.tokens,
            )
        except (JinjaError, SecurityError, TypeError, ValueError, ArithmeticError, LookupError,
                AttributeError, RecursionError) as error:  # fmt: skip
            raise EncodingError(
                f"the chat template of {self.name} refuses the messages: {error}"
            ) from None
        return text


def _compiled(file: Path, sources: Mapping[str, str]) -> dict[str, Any]:
    environment = _environment()
    try:
        return {name: environment.from_string(source) for name, source in sources.items()}
    except (JinjaError, TypeError, RecursionError) as error:
        raise EncodingError(f"the chat template beside {file} can't be read: {error}") from None


def _templates(file: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Read the chat templates by name, most have one that is called default, and the tokens."""
    _, config_file, beside = tokenizer_files(file)
    config = _config(config_file)
    tokens = {name: _token(config[name]) for name in config if name.endswith("_token")}
    found = config.get("chat_template")
    try:
        if beside.is_file():
            found = beside.read_text(encoding="utf-8")
        if isinstance(found, list):
            return {entry["name"]: entry["template"] for entry in found}, tokens
    except (UnicodeDecodeError, LookupError, TypeError) as error:
        raise EncodingError(f"the chat template beside {file} can't be read: {error}") from None
    if found is not None and not isinstance(found, str):
        raise EncodingError(f"{config_file}: chat_template must be text, not {kind_of(found)}")
    return {"default": found} if found else {}, tokens


def _config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncodingError(f"{file} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise EncodingError(f"{file} is not a tokenizer's configuration")
    return config


def _token(value: Any) -> Any:
    return value.get("content") if isinstance(value, dict) else value


def _as_servers_do(message: Mapping[str, Any]) -> dict[str, Any]:
    """Give a template the arguments of calls as objects, as inference servers do."""
    if "tool_calls" not in message:
        return dict(message)
    calls = []
    for call in message["tool_calls"]:
        function = dict(call.get("function", {}))
        with suppress(KeyError, ValueError):  # what isn't JSON stays text
            function["arguments"] = json.loads(function["arguments"])
        calls.append({**call, "function": function})
    return {**message, "tool_calls": calls}


class _Generation(Extension):
    """Takes `{% generation %}`, a mark for training, as if it weren't there."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    """Make the environment that chat templates are written for (transformers documents it)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _Generation],
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _tojson(value: Any, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _refuse(message: str) -> None:
    raise JinjaError(message)
