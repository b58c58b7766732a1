"""`promptlib test`: the cases beside templates."""

from __future__ import annotations

from pathlib import Path

import click

from .asking import MODEL, limit_options
from .output import check_writable, counted, json_option, open_project, print_json, say

MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "error": ("✗", "red"),
         "skipped": ("-", "yellow")}  # fmt: skip


@click.command()
@click.argument("templates", nargs=-1, metavar="[TEMPLATE]...")
@click.option("--model", metavar="MODEL", help=f"{MODEL}; what the file of cases names by default.")
@click.option("--update", is_flag=True, help="Take the snapshots of prompts anew.")
@click.option("--junit", metavar="FILE", help="Write the results for a CI system.")
@limit_options
@json_option
@click.pass_context
def test(
    ctx: click.Context, /, templates: tuple[str, ...], model: str | None, update: bool,
    junit: str | None, fresh: bool, max_cost: float | None, as_json: bool, max_tokens: int | None,
) -> None:  # fmt: skip
    """Run the cases of TEMPLATE, or of all templates that have some; exit 1 if one fails.

    The cases of banking/intent stand beside it, in intent.tests.yaml. Assertions on the prompt need
    no model; those on the answer are skipped unless one is named.

    \b
    promptlib test
    promptlib test banking/intent --update
    promptlib test banking/intent --model local:smollm2 --junit report.xml
    """
    from promptlib.files.writing import replacing
    from promptlib.running import cost_text
    from promptlib.testing.checking import failed, run_tests
    from promptlib.testing.junit import junit_xml

    if junit is not None:
        check_writable(junit)
    project = open_project(ctx)
    results = run_tests(
        project, *templates, model=model, update=update, fresh=fresh, max_cost=max_cost,
        max_tokens=max_tokens,
    )  # fmt: skip
    if junit is not None:
        with replacing(Path(junit)) as out:
            out.write(junit_xml(results))
    if as_json:
        print_json([result.to_dict() for result in results])
    else:
        for result in results:
            mark, colour = MARKS[result.status]
            click.echo(f"{click.style(mark, fg=colour)} {result.template}: {result.case}")
            for problem in result.problems:
                click.echo("    " + f"{result.place}: {problem}".replace("\n", "\n    "))
    bad, skipped = failed(results), sum(result.skipped for result in results)
    if not results:
        say("there are no cases: put some into NAME.tests.yaml beside a template")
    else:
        say(f"{counted(len(results), 'case')}, {len(bad)} failed")
    asked = [result.answer for result in results if result.answer is not None]
    if asked:
        paid = [answer for answer in asked if not answer.cached]
        costs = [answer.cost for answer in paid]
        cost = cost_text(None if None in costs else sum(filter(None, costs)))
        kept = len(asked) - len(paid)
        say(f"{counted(len(paid), 'call')}, {kept:,} answers from the cache; {cost}")
    if skipped:
        say(f"{counted(skipped, 'assertion')} on answers skipped: name a --model")
    if bad:
        ctx.exit(1)
