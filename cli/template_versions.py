"""`promptlib template publish`, `history`, `diff`, `label` and `rollback`: versions and labels."""

from __future__ import annotations

from typing import Any

import click

from .output import counted, json_option, open_project, print_json, print_table, say

by_option = click.option("--by", help="Who does it; by default PROMPTLIB_USER, or your user name.")


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="Publish all templates of the project.")
@click.option("-m", "--message", default="", help="What changed, and why.")
@click.option("--label", help="Let this label point at the version, such as production.")
@click.option("--refresh", is_flag=True, help="Choose the static examples anew.")
@click.option("--force", is_flag=True, help="Publish a template that fails its check.")
@by_option
@json_option
@click.pass_context
def publish(
    ctx: click.Context, names: tuple[str, ...], everything: bool, message: str,
    label: str | None, refresh: bool, force: bool, by: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Publish templates as new versions, each with all that it includes.

    A version never changes. The same content makes no new one.

    \b
    promptlib template publish banking/intent -m "shorter instructions"
    promptlib template publish --all --label production
    """
    if bool(names) == everything:
        raise click.UsageError("name the templates to publish, or say --all")
    registry = open_project(ctx).registry
    wanted = registry.files.list() if everything else names
    made = registry.publish_all(wanted, message, label=label, by=by, force=force, refresh=refresh)
    for version in made:
        for problem in version.problems if version.is_new else ():
            say(f"published all the same: {problem}", fg="yellow")
        if not as_json:
            click.echo(str(version))
            done = "published" if version.is_new else "nothing is new in it"
            say(done + (f"; {label} points at it" if label else ""))
    if as_json:
        print_json([{**each.to_dict(), "new": each.is_new, "label": label} for each in made])


@click.command()
@click.argument("name")
@json_option
@click.pass_context
def history(ctx: click.Context, name: str, as_json: bool) -> None:
    """List the versions of template NAME and the moves of its labels, oldest first.

    \b
    promptlib template history banking/intent
    """
    found = open_project(ctx).registry.history(name)
    if as_json:
        versions = [version.to_dict() for version in found.versions]
        print_json({"versions": versions, "moves": [move.to_dict() for move in found.moves]})
        return
    rows: list[list[Any]] = []
    for version in found.versions:
        problems = len(version.problems)
        message = version.message + f" [forced: {counted(problems, 'problem')}]" * bool(problems)
        rows.append([_time(version.at), version.by, f"version {version.number}",
                     message, version.digest])  # fmt: skip
    for move in found.moves:
        came = f"from {move.before}" if move.before is not None else ""
        rows.append([_time(move.at), move.by, f"{move.label} -> {move.number}",
                     " ".join(filter(None, [move.reason, came])), ""])  # fmt: skip
    rows.sort(key=lambda row: row[0])  # stable: a version stands before the label that came with it
    print_table(["at (UTC)", "by", "what", "message", "hash"], rows, free="message")


@click.command()
@click.argument("before")
@click.argument("after", required=False)
@click.pass_context
def diff(ctx: click.Context, before: str, after: str | None) -> None:
    """Compare two versions of a template, or one with the working file.

    \b
    promptlib template diff banking/intent@2 banking/intent@3
    promptlib template diff banking/intent@production
    """
    found = open_project(ctx).registry.diff(before, after)
    for line in found.splitlines():
        color = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.secho(line, fg=color)
    if not found:
        say("they are the same")


@click.command()
@click.argument("version")
@click.argument("label")
@by_option
@json_option
@click.pass_context
def label(ctx: click.Context, version: str, label: str, by: str | None, as_json: bool) -> None:
    """Let LABEL point at VERSION, such as NAME@3.

    \b
    promptlib template label banking/intent@3 production
    """
    moved = open_project(ctx).registry.label(version, label, by=by)
    _tell(moved, as_json)


@click.command()
@click.argument("name")
@click.option("--label", default="production", show_default=True, help="Which label goes back.")
@by_option
@json_option
@click.pass_context
def rollback(ctx: click.Context, name: str, label: str, by: str | None, as_json: bool) -> None:
    """Move a label of template NAME back to where it pointed before.

    \b
    promptlib template rollback banking/intent
    """
    moved = open_project(ctx).registry.rollback(name, label, by=by)
    _tell(moved, as_json)


def _tell(moved: Any, as_json: bool) -> None:
    if as_json:
        print_json(moved.to_dict())
        return
    click.echo(f"{moved.name}@{moved.number}")
    before = f"; before, it was version {moved.before}" if moved.before is not None else ""
    say(f"{moved.label} points at version {moved.number}{before}")


def _time(at: str) -> str:
    return at.replace("T", " ").split("+")[0]
