"""The `promptlib` command and what all its parts share."""

from __future__ import annotations

import importlib
from typing import Any

import click

COMMANDS = {
    "build": "build",
    "doctor": "doctor",
    "init": "init",
    "search": "search",
    "store": "store",
    "template": "template",
    "tokens": "tokens",
}
"""Command -> the file it is in, read only when the command is used or listed."""


class PromptlibGroup(click.Group):
    """A group whose commands live in files of their own, and that turns errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands of all files."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command from its file."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        package = __package__ or "cli"
        module = importlib.import_module(f"{package}.{COMMANDS[cmd_name]}_command")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the library refuses becomes one clear line and exit code 1."""
        from promptlib.errors import PromptlibError

        from .output import logging_to_stderr

        try:
            with logging_to_stderr():
                return super().invoke(ctx)
        except PromptlibError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=PromptlibGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C", "--project", "project", default=".", metavar="DIR",
    help="Work on the project in DIR (or above it) instead of here.",
)  # fmt: skip
@click.version_option(package_name="promptlib")
@click.pass_context
def cli(ctx: click.Context, project: str) -> None:
    """Prompts with the best few-shot examples that fit.

    \b
    promptlib init my-project && cd my-project
    promptlib build banking/intent "My card was stolen"
    promptlib store import tickets tickets.jsonl
    """
    ctx.obj = project
