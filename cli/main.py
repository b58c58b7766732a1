"""The `promptlib` command and what all its parts share."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from contextlib import suppress
from typing import Any

import click

COMMANDS = (
    "advise", "bootstrap", "build", "bundle", "calibrate", "doctor", "eval", "finetune", "index",
    "init", "model", "replay", "run", "search", "store", "template", "test", "tokens", "tune",
    "usage",
)  # fmt: skip
"""Each is in a file of its own, read only when the command is used or listed."""


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
        module = importlib.import_module(f"{package}.{cmd_name}_command")
        command: click.Command = getattr(module, cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse arguments that aren't text, before anything else meets them."""
        from promptlib.text import lone_surrogate

        for number, argument in enumerate(args, start=1):
            if lone_surrogate(argument):
                raise click.UsageError(f"argument {number} is not UTF-8 text")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the library refuses becomes one clear line and exit code 1."""
        from promptlib.errors import PromptlibError

        from .output import logging_to_stderr

        if sys.stdout is None:
            raise click.ClickException("stdout is closed")
        try:
            with logging_to_stderr():
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except PromptlibError as error:
            raise click.ClickException(str(error)) from error
        except AssertionError as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # SQLAlchemy, taken by surprise
                raise click.Abort from None
            raise
        except BrokenPipeError:
            raise  # whoever reads has seen enough; click ends quietly
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{error.strerror or error}") from error


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


def run() -> None:
    """Run the command as a process: start and end as quickly as it can."""
    # Imports make many objects and little garbage: looking for it often costs a tenth of a second.
    gc.set_threshold(100_000, 50, 100)
    if sys.stdin is None:  # closed by whoever started this
        sys.stdin = open(os.devnull)  # noqa: SIM115
    code = 1
    try:
        cli(prog_name="promptlib")
    except OSError as error:  # help that can't be written
        with suppress(OSError):
            print(f"Error: stdout: {error.strerror}", file=sys.stderr)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    if sys.stdout is not None:
        with suppress(OSError):  # said already, where it mattered
            sys.stdout.flush()
    # Everything is written and closed; taking half a million objects apart would only take time.
    os._exit(code)
