"""Run the command from a checkout: `python -m cli`."""

from .main import cli

cli(prog_name="promptlib")
