"""`promptlib bundle`: one read-only folder to serve from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .output import counted, json_option, open_project, print_json, say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Make a bundle that is there already anew.")
@json_option
@click.pass_context
def bundle(ctx: click.Context, folder: Path, replace: bool, as_json: bool) -> None:
    """Write all that serving this project needs to FOLDER, which many processes can open.

    Templates as they are now, stores with vectors and indexes, and the compiled embedder.
    Serving needs neither PyTorch nor sentence-transformers: FOLDER/requirements.txt says what it
    does need.

    \b
    promptlib bundle served
    promptlib -C served build banking/intent "My card was stolen"
    """
    from promptlib.bundle import make_bundle

    made = make_bundle(open_project(ctx, start=True), folder, replace=replace)
    if as_json:
        print_json(asdict(made) | {"folder": str(made.folder)})
        return
    stores = ", ".join(f"{name} ({counted(rows, 'row')})" for name, rows in made.stores.items())
    size = f"{made.size / 1e6:.0f} MB"
    say(f"made {folder}: {counted(made.templates, 'template')}, {stores}; {size}")
