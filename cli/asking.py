"""Options of commands that ask language models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .output import counted, say

if TYPE_CHECKING:
    from promptlib.experiment.results import Experiment

MODEL = "A [models.NAME] of promptlib.toml, openai:NAME, llm:NAME, local:NAME, or one of OpenAI's"

model_option = click.option("--model", metavar="MODEL", help=f"{MODEL}; the template's by default.")

_LIMITS = [
    click.option("--fresh", is_flag=True, help="Ask again what was asked before."),
    click.option(
        "--max-cost", type=click.FloatRange(min=0), metavar="USD",
        help="Stop before more than this is spent.",
    ),
    click.option(
        "--max-tokens", type=click.IntRange(min=1),
        help="The longest answer; what the template reserves by default.",
    ),
]  # fmt: skip


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how much may be asked and spent."""
    for option in reversed(_LIMITS):
        command = option(command)
    return command


def refuse_without_model(context: click.Context, names: Sequence[str]) -> None:
    """Refuse options that would be ignored, since no model is asked."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in names and source is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} needs --model")


def tell_experiment(found: Experiment) -> None:
    """Say where the questions are from, how they were judged, what it took and what is missing."""
    from promptlib.experiment.showing import meaning_of, verdict_of

    say(f"{found.prepared.source}; judged by {meaning_of(found)}")
    if len(found.results) > 1:
        say(verdict_of(found))
    tell_calls(found)
    if found.stopped is not None:
        say(f"{'stopped early' if found.early else 'partial'}: {found.stopped}")


def tell_calls(found: Experiment) -> None:
    """Say what was asked, what was known already, and what it cost."""
    from promptlib.running import cost_text

    asked = counted(found.calls - found.cached, "call")
    spent = "price not known" if found.unpriced else cost_text(found.spent)
    say(f"{asked}, {found.cached:,} answers from the cache; {spent}")
    for problem, count in found.problems.items():
        say(f"{counted(count, 'question')} not answered: {problem}")
