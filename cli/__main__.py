"""Run the command from a checkout: `python -m cli`."""

from .main import run

run()
