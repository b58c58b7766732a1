"""`promptlib run`: build a prompt, ask a language model, and print its answer."""

from __future__ import annotations

import sys
from typing import Any

import click

from .asking import limit_options, model_option
from .output import json_option, open_project, print_json, say
from .prompting import prompt_options, what_is_prompted


@click.command()
@prompt_options
@model_option
@limit_options
@json_option
@click.pass_context
def run(
    ctx: click.Context, /, template: str, model: str | None, fresh: bool, max_cost: float | None,
    max_tokens: int | None, as_json: bool, **told: Any,
) -> None:  # fmt: skip
    """Build a prompt from TEMPLATE, ask a language model, and print the answer as it comes.

    --model is a [models.NAME] of promptlib.toml, openai:NAME, llm:NAME, local:NAME, or one of
    OpenAI's by its bare name; keys come from the environment. The same prompt is asked once: its
    answer is kept in the project's database.

    \b
    promptlib run banking/intent "My card was stolen" --model gpt-4o-mini
    promptlib run banking/intent "My card was stolen" --model local:smollm2
    promptlib run banking/intent "Top up failed" --model openai:llama3.2 --json | jq .answer.text
    """
    from promptlib.running import run_prompt

    project = open_project(ctx, start=True)
    asked, options = what_is_prompted(project.registry.get(template), told)

    def write(piece: str) -> None:
        sys.stdout.write(piece)
        sys.stdout.flush()

    done = run_prompt(
        project, template, **asked, model=model, options=options, max_tokens=max_tokens,
        fresh=fresh, max_cost=max_cost, say=None if as_json else write,
    )  # fmt: skip
    if as_json:
        print_json(done.to_dict())
    else:
        click.echo()
    say(done.prompt.report(hint=False))
    say(done.report())
