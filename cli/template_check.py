"""`promptlib template check`: what is wrong with templates, and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import counted, json_option, open_project, print_json, print_table, say

if TYPE_CHECKING:
    from promptlib.checking.findings import TemplateCheck
    from promptlib.templating.registry import TemplateRegistry


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@click.option(
    "--foreign", is_flag=True,
    help="Check templates of unknown origin: in a process with little time and memory.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Let warnings fail the check too.")
@json_option
@click.pass_context
def check(
    ctx: click.Context, names: tuple[str, ...], foreign: bool, strict: bool, as_json: bool
) -> None:
    """Check templates, all of them by default; exit code 1 if something is wrong.

    Syntax, names, messages, stores; what a template costs with nothing in it, and how many
    examples of average length and of the longest fit its budget.

    \b
    promptlib template check
    promptlib template check banking/intent templates/support/reply.j2
    promptlib template check --strict --json
    """
    project = open_project(ctx)
    wanted = [_name(project.registry, name) for name in names] or project.registry.files.list()
    if foreign:
        from promptlib.foreign import check_foreign

        found = check_foreign(project.root, wanted)
    else:
        found = project.check(*wanted)
    problems = [problem for each in found for problem in each.problems]
    failed = any(each.errors for each in found) or (strict and bool(problems))
    if as_json:
        print_json([each.to_dict() for each in found])
    else:
        _print(found)
    if failed:
        ctx.exit(1)


def _print(found: list[TemplateCheck]) -> None:
    columns = ["name", "problems", "least", "limit", "stable", "mean example", "fit", "fit longest",
               "unbounded inputs"]  # fmt: skip
    rows = []
    for each in found:
        room = each.room
        costs = (
            [room.least, room.limit, room.stable, room.mean and round(room.mean),
             _of(room.fit_mean, room.k), _of(room.fit_worst, room.k)]
            if room is not None else [None] * 6
        )  # fmt: skip
        rows.append([each.name, len(each.problems) or "", *costs, ", ".join(each.unbounded)])
    print_table(columns, rows, free="unbounded inputs")
    for each in found:
        for problem in each.problems:
            say(str(problem), fg="red" if problem.level == "error" else "yellow")
    errors = sum(len(each.errors) for each in found)
    warnings = sum(len(each.problems) for each in found) - errors
    parts = [counted(len(found), "template")]
    parts += [counted(errors, "error")] * bool(errors) + [counted(warnings, "warning")] * bool(
        warnings
    )
    say(", ".join(parts) + ("" if errors or warnings else ": nothing is wrong"))


def _of(number: int | None, k: int) -> str | None:
    return None if number is None else f"{number} of {k}"


def _name(registry: TemplateRegistry, name: str) -> str:
    """Take a file's path as the name of its template, as hooks give it."""
    path = Path(name)
    if path.suffix == ".j2" and path.resolve().is_relative_to(registry.folder.resolve()):
        return path.resolve().relative_to(registry.folder.resolve()).with_suffix("").as_posix()
    return name
