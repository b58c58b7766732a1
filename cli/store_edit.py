"""`promptlib store add`, `edit` and `rm`: single examples."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from .output import open_project, say

if TYPE_CHECKING:
    from promptlib.example import Example, Status


@click.command()
@click.argument("name")
@click.option("--input", "input_", metavar="TEXT", help="What goes in.")
@click.option("--output", metavar="TEXT", help="What should come out.")
@click.option("--label", help="Its label, if that isn't the output.")
@click.option("--id", default="", help="Its id; a hash of the content if not given.")
@click.option("--draft", is_flag=True, help="Keep it out of prompts until it is approved.")
@click.option("--by", help="Who adds it.")
@click.pass_context
def add(
    ctx: click.Context, name: str, input_: str | None, output: str | None, label: str | None,
    id: str, draft: bool, by: str | None,
) -> None:  # fmt: skip
    """Add an example to store NAME; without --input, a JSON object is read from stdin.

    \b
    promptlib store add banking77 --input "Someone cloned my card" --output compromised_card
    echo '{"input": "Hi", "output": "greeting"}' | promptlib store add banking77
    """
    from promptlib.example import Example

    if input_ is None:
        if sys.stdin.isatty():
            raise click.UsageError("give --input, or a JSON object on stdin")
        example = Example.from_dict(_json(sys.stdin.read(), "stdin"))
    else:
        status: Status = "draft" if draft or output is None else "approved"
        example = Example(input_, output, label, id=id, status=status)
    opened = open_project(ctx).store(name)
    revision = opened.add(example, by=by)
    say(f"added to {name}, revision {revision}")
    click.echo(example.id)


@click.command()
@click.argument("name")
@click.argument("id")
@click.option("--input", "input_", metavar="TEXT", help="The new input.")
@click.option("--output", metavar="TEXT", help="The new output.")
@click.option("--label", help='The new label; "" removes it.')
@click.option("--status", type=click.Choice(["approved", "draft", "rejected"]))
@click.option("--by", help="Who edits.")
@click.pass_context
def edit(
    ctx: click.Context, name: str, id: str, input_: str | None, output: str | None,
    label: str | None, status: str | None, by: str | None,
) -> None:  # fmt: skip
    """Change the example ID of store NAME; without options, in $EDITOR.

    \b
    promptlib store edit banking77 f218b70e7f4ee1a1 --output card_swallowed
    promptlib store edit banking77 f218b70e7f4ee1a1 --status rejected
    """
    opened = open_project(ctx).store(name)
    before = opened.get(id)
    options = {"input": input_, "output": output, "label": label, "status": status}
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if "label" in given:
        given["label"] = given["label"] or None
    after = replace(before, **given) if given else _edited(before)
    revision = opened.revision
    if opened.update(after, by=by) == revision:
        say("nothing to change")
    else:
        say(f"changed {id} in {name}, revision {revision + 1}")


@click.command()
@click.argument("name")
@click.argument("ids", nargs=-1, required=True)
@click.option("--by", help="Who removes them.")
@click.pass_context
def rm(ctx: click.Context, name: str, ids: tuple[str, ...], by: str | None) -> None:
    """Take the examples IDS out of store NAME. The change log keeps them.

    \b
    promptlib store rm banking77 f218b70e7f4ee1a1
    """
    revision = open_project(ctx).store(name).delete(*ids, by=by)
    say(f"removed {len(set(ids))} from {name}, revision {revision}")


def _edited(example: Example) -> Example:
    text = json.dumps(example.to_dict(), ensure_ascii=False, indent=2)
    changed = click.edit(text, extension=".json")
    if changed is None:
        return example
    return replace(type(example).from_dict(_json(changed, "the edited text")), id=example.id)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.ClickException(f"{what} is not JSON: {error}") from None
