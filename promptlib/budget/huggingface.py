"""Hugging Face tokenizers by path: exact counts, and exact framing by their chat template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
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

TOKENIZER, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"


def looks_like_path(encoding: str) -> bool:
    """Whether this names a tokenizer's file or folder rather than an encoding."""
    return "/" in encoding or encoding.endswith(".json") or Path(encoding).is_dir()


def load_tokenizer(path: Path | str) -> TokenCounter:
    """Load a `tokenizer.json`, or the one in a folder, with the chat template beside it.

    The template is `chat_template.jinja` or stands in `tokenizer_config.json`; without it, texts
    can be counted and messages can't. Raises EncodingError for a file that isn't a tokenizer.
    """
    file = Path(path).expanduser()
    file = file / TOKENIZER if file.is_dir() else file
    try:
        file.stat()
    except OSError as error:
        raise EncodingError(f"no tokenizer at {file}: {error.strerror}") from None
    parts = (file, file.with_name(CONFIG), file.with_name(TEMPLATE))
    return _load(file.resolve(), tuple(p.stat().st_mtime_ns if p.is_file() else 0 for p in parts))


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
    config = _config(file.with_name(CONFIG))
    sources = _templates(file, config)
    special = {name: _token(config[name]) for name in config if name.endswith("_token")}
    environment = _environment()
    compiled = {name: environment.from_string(source) for name, source in sources.items()}
    name = file.parent.name if file.name == TOKENIZER else file.name

    def count_text(text: str) -> int:
        return len(tokenizer.encode(text).ids)

    def count_chat(
        messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> int:
        if not compiled:
            raise EncodingError(
                f"{file} has no chat template beside it ({TEMPLATE}, or chat_template in "
                f"{CONFIG}): messages can't be counted exactly"
            )
        template = (tools and compiled.get("tool_use")) or compiled["default"]
        try:
            text = template.render(
                messages=[_as_servers_do(message) for message in messages],
                tools=list(tools) or None,
                add_generation_prompt=True,
                **special,
            )
        except (JinjaError, SecurityError, TypeError, KeyError, ValueError) as error:
            raise EncodingError(
                f"the chat template of {name} refuses the messages: {error}"
            ) from None
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    digest = hashlib.sha256(data + json.dumps(sources, sort_keys=True).encode()).hexdigest()[:8]
    return TokenCounter(count_text, f"{name}@{digest}", count_chat=count_chat)


def _config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EncodingError(f"{file} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise EncodingError(f"{file} is not a tokenizer's configuration")
    return config


def _templates(file: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Find the chat templates by name; most tokenizers have one, called default here."""
    beside = file.with_name(TEMPLATE)
    found = beside.read_text(encoding="utf-8") if beside.is_file() else config.get("chat_template")
    if isinstance(found, list):
        return {entry["name"]: entry["template"] for entry in found}
    return {"default": found} if found else {}


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
