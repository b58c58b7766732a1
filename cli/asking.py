"""Options of commands that ask language models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = [
    click.option(
        "--model", metavar="MODEL",
        help="A [models.NAME] of promptlib.toml, openai:NAME, llm:NAME, local:NAME, or one of "
        "OpenAI's; the template's by default.",
    ),
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


def asking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of one model and its limits."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
