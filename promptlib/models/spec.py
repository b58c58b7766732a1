"""Which language model, and how it is asked: `[models.NAME]` in promptlib.toml, or KIND:NAME."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from promptlib.budget.models import encoding_of
from promptlib.errors import ConfigError, EncodingError, did_you_mean
from promptlib.validation import Strict

KINDS = {
    "openai": "the OpenAI client: OpenAI, and every compatible server by base_url",
    "llm": "any model of the llm command and its plugins (extra `llm`)",
    "local": "a model on this machine, through transformers (extra `local`)",
}
"""Prefix of a name -> what answers."""

DEFAULT_LOCAL = "local:smollm2"


PriceNumber = Annotated[float, Field(ge=0, le=1e6)]


class ModelSpec(Strict):
    """A language model and how it is asked."""

    model: str
    """KIND:NAME, such as openai:gpt-4o-mini."""
    base_url: str | None = None
    """Of an OpenAI-compatible server."""
    api_key_env: str | None = None
    """The environment variable with the key; for OpenAI itself OPENAI_API_KEY."""
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    seed: NonNegativeInt | None = None
    max_tokens: PositiveInt | None = None
    """The longest answer, where neither the template nor the caller says."""
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """Seconds without a sign of life."""
    retries: NonNegativeInt = 5
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    input_price: PriceNumber | None = None
    output_price: PriceNumber | None = None
    """USD per million tokens, where genai-prices doesn't know them."""
    window: PositiveInt | None = None
    """Tokens of prompt and answer together, where that isn't known."""
    encoding: str | None = None
    """How its tokens are counted, where that isn't known: an encoding, or a tokenizer's path."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of local models: bfloat16 is twice as fast on processors that know it."""

    @field_validator("model")
    @classmethod
    def _has_a_kind(cls, model: str) -> str:
        kind, colon, name = model.partition(":")
        if not (colon and name and kind in KINDS):
            raise ValueError(f"must be KIND:NAME with one of {', '.join(KINDS)}, not {model!r}")
        return model

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        try:
            parts = urlsplit(url or "http://none")
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"must be an address such as http://localhost:8000/v1, not {url!r}")
        return url

    @model_validator(mode="after")
    def _has_both_prices(self) -> Self:
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("input_price and output_price go together")
        return self

    @property
    def kind(self) -> str:
        """What answers: one of KINDS."""
        return self.model.partition(":")[0]

    @property
    def name(self) -> str:
        """The model's name there."""
        return self.model.partition(":")[2]

    @property
    def called(self) -> str:
        """What prompts, their manifests and the logs call it: where it is asked doesn't matter."""
        return self.model if self.kind == "local" else self.name


def find_spec(name: str, table: Mapping[str, ModelSpec]) -> ModelSpec:
    """Find a model: in the project's table, as KIND:NAME, or one of OpenAI's by its bare name.

    Raises ConfigError.
    """
    if name in table:
        return table[name]
    kind, colon, rest = name.partition(":")
    if colon and kind in KINDS and rest:
        return ModelSpec(model=name)
    try:
        if not colon and encoding_of(name).kind == "exact":
            return ModelSpec(model=f"openai:{name}")
    except EncodingError:
        pass
    known = {*table, DEFAULT_LOCAL, *(f"{kind}:{rest or name}" for kind in KINDS)}
    raise ConfigError(f"no language model {name!r}; {did_you_mean(name, known)}")
