"""From a name to a model that can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promptlib.models.answer import LanguageModel
from promptlib.models.prices import Price
from promptlib.models.spec import ModelSpec, find_spec


@dataclass(frozen=True)
class OpenModel:
    """A model, how it was asked for, and what its tokens cost."""

    model: LanguageModel
    spec: ModelSpec
    price: Price

    @property
    def called(self) -> str:
        """What prompts, their manifests and the usage ledger call it."""
        return self.spec.called


def open_model(name: str, table: Mapping[str, ModelSpec] | None = None) -> OpenModel:
    """Open a model by name; nothing is loaded or sent until it is asked. Raises ConfigError."""
    spec = find_spec(name, table or {})
    if spec.kind == "openai":
        from promptlib.models.openai import OpenAIModel

        served = OpenAIModel(spec)
        return OpenModel(served, spec, served.price)
    if spec.kind == "llm":
        from promptlib.models.llm import LLMModel

        return OpenModel(LLMModel(spec), spec, Price(spec))
    from promptlib.models.local import LocalModel

    return OpenModel(LocalModel(spec), spec, Price(spec))
