"""Build a prompt and ask a language model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from promptlib.errors import ConfigError
from promptlib.models.answer import Answer, Say
from promptlib.models.asking import Asker
from promptlib.models.cache import AnswerCache
from promptlib.models.counting import ask_of
from promptlib.models.opening import OpenModel
from promptlib.models.prices import Spending, dollars
from promptlib.project import Project
from promptlib.prompt import Prompt
from promptlib.settings import Options
from promptlib.templating.template import Template


@dataclass(frozen=True)
class Run:
    """A prompt and what was answered."""

    model: str
    prompt: Prompt
    answer: Answer

    def to_dict(self) -> dict[str, Any]:
        """Give plain data: of the prompt, what it shows and what replay needs."""
        whole = self.prompt.to_dict()
        shown = ("text", "messages", "tokens", "count_kind", "budget", "reserve", "encoding",
                 "examples", "notes", "manifest")  # fmt: skip
        return {
            "model": self.model,
            "answer": self.answer.to_dict(),
            "prompt": {name: whole[name] for name in shown},
        }

    def report(self) -> str:
        """Say in a line what the answer took."""
        return answer_report(self.model, self.answer)


def answer_report(model: str, answer: Answer) -> str:
    """Say in a line what an answer took."""
    parts = [f"{answer.input_tokens:,} tokens in, {answer.output_tokens:,} out"]
    if answer.cached:
        parts.append("from the cache, at no cost")
    else:
        parts.append(cost_text(answer.cost))
        parts.append(f"{answer.seconds:.1f} s")
    if answer.finish != "stop":
        parts.append({"length": "cut at the longest answer", "refusal": "refused"}[answer.finish])
    return f"{model}: {'; '.join(parts)}"


def cost_text(cost: float | None) -> str:
    """Write a sum of money."""
    return "price not known" if cost is None else dollars(cost)


def run_prompt(
    project: Project,
    template: str,
    query: str | None = None,
    *,
    model: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    history: Iterable[Any] | None = None,
    options: Options | None = None,
    max_tokens: int | None = None,
    fresh: bool = False,
    max_cost: float | None = None,
    say: Say | None = None,
) -> Run:
    """Build a prompt as `Project.build` does, counted by the model's own tokens, and ask.

    `model` is a name of promptlib.toml or KIND:NAME; the template's or the project's by default.
    An answer to the same prompt is taken from the cache unless `fresh`. `say` is handed the answer
    as it comes. `max_cost` (USD) is never passed. Raises what `build` does, and ModelError.
    """
    loaded = project.template(template)
    opened, name = named_model(project, model, loaded)
    given: Options = {**(options or {}), "model": name}
    opened.model.check()
    prompt = project.build(template, query, inputs=inputs, history=history, **given)
    stop = loaded.front.answer.stop
    asker = Asker(opened, AnswerCache(project.database), spending=Spending(max_cost), fresh=fresh)
    ask = ask_of(prompt, opened.spec, stop=stop, max_tokens=max_tokens)
    return Run(opened.model.name, prompt, asker.ask(ask, say))


def named_model(project: Project, name: str | None, template: Template) -> tuple[OpenModel, str]:
    """Open the model that is named, or the template's, or the project's; raises ConfigError.

    Returns it with the name that it was found by.
    """
    name = name or template.front.model or project.config.model
    if name is None:
        raise ConfigError("no language model is named: give one with --model, or in promptlib.toml")
    return project.model(name), name
