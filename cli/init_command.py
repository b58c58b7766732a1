"""`promptlib init`: a new project with the starters in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from promptlib.config import BUNDLE_FACTS, CONFIG_FILE, STARTER_CONFIG
from promptlib.starters import starter_path

from .output import counted, say


@click.command()
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@click.pass_context
def init(ctx: click.Context, directory: Path) -> None:
    """Make a project in DIRECTORY: promptlib.toml, starter templates and example stores.

    Files that are there already are left as they are.

    \b
    promptlib init
    promptlib init my-project
    """
    directory = Path(ctx.find_root().obj or ".") / directory
    if (directory / BUNDLE_FACTS).exists():
        raise click.ClickException(f"{directory} is a bundle: nothing is written into it")
    config = directory / CONFIG_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        made = [config.name] if _write(config, STARTER_CONFIG) else []
        ignored = directory / ".gitignore"  # what is in .promptlib can be made again, or is private
        made += [ignored.name] if _write(ignored, ".promptlib/\n") else []
        for kind in ("templates", "example_stores"):
            made += _copy(starter_path(kind), directory / kind)
    except OSError as error:
        raise click.ClickException(f"can't write to {directory}: {error.strerror}") from None
    if not made:
        say(f"{directory} is a project already; nothing was changed")
        return
    say(f"made {counted(len(made), 'file')} in {directory}; now try:")
    inside = "" if directory == Path(".") else f"cd {directory} && "
    say(f'  {inside}promptlib build banking/intent "My card was stolen"')


def _write(file: Path, text: str) -> bool:
    if file.exists():
        return False
    file.write_text(text, encoding="utf-8")
    return True


def _copy(source: Path, target: Path) -> list[str]:
    made = []
    for file in sorted(source.rglob("*")):
        copy = target / file.relative_to(source)
        if file.is_file() and file.suffix not in (".py", ".pyc") and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Written beside its place first: an interrupted copy never looks like a whole one.
            part = copy.with_name(copy.name + ".part")
            shutil.copyfile(file, part)
            part.replace(copy)
            made.append(copy.name)
    return made
