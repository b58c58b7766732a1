"""`promptlib advise`: go on showing examples, or train?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import check_writable, json_option, open_project, print_json, print_table, say
from .prompting import read_inputs

if TYPE_CHECKING:
    from promptlib.advice.session import Advice


MOST_CLASSES = 20
"""Thin classes that are listed."""


@click.command()
@click.argument("store", required=False)
@click.option("--template", metavar="NAME", help="Measure prompts of this template.")
@click.option("--profile", metavar="FILE", help="What only you know: traffic, target, prices.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help="What if: a value of the profile, before anything measured. Again and again.",
)  # fmt: skip
@click.option("--queries", metavar="FILE", help="A log of what users ask: rows with an input.")
@click.option(
    "--outcomes", metavar="FILE",
    help='Judged answers, JSONL: {"correct": true, "k": 8}, and "kind", "answer", "latency_ms".',
)  # fmt: skip
@click.option(
    "--corpus", "corpus", multiple=True, metavar="PATH", help="Texts that could be pre-trained on."
)
@click.option(
    "-i", "-p", "--input", "inputs", multiple=True, metavar="NAME=VALUE",
    help="Fill an input that the store's rows don't.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Without learning curves and better settings.")
@click.option("--why", is_flag=True, help="Print the path of gates to the answer.")
@click.option("--html", metavar="FILE", help="Write everything as one page with pictures.")
@click.option("--init", is_flag=True, help="Write a commented usage.toml here, and stop.")
@click.option(
    "--compare", nargs=2, metavar="A.toml B.toml", help="Put the advice for two profiles abreast."
)
@json_option
@click.pass_context
def advise(
    ctx: click.Context, /, store: str | None, template: str | None, profile: str | None,
    settings: tuple[str, ...], inputs: tuple[str, ...], why: bool, html: str | None, init: bool,
    compare: tuple[str, str] | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Say whether the examples of STORE should be shown, curated or trained on.

    Measures the store, does the sums, and says what would change the advice.

    \b
    promptlib advise banking77 --quick
    promptlib advise --init
    promptlib advise banking77 --profile usage.toml --set traffic=50000 --html advice.html
    promptlib advise banking77 --quick --json | jq '.recommendation, .confidence'
    """
    if init:
        _write_starter()
        return
    if store is None:
        raise click.UsageError("name a STORE")
    if profile is not None and compare:
        raise click.UsageError("give --profile or --compare, not both")
    if compare and (html is not None or why):
        raise click.UsageError("--compare prints one table: leave out --html and --why")
    from promptlib.advice.profile import read_profile
    from promptlib.advice.session import compare as advise_profiles
    from promptlib.reporting.pictures import check_pictures

    if html is not None:
        check_pictures()
        check_writable(html)

    what_if = read_profile(None, settings)
    profiles = [read_profile(path) for path in compare or (profile,)]
    project = open_project(ctx, start=True)
    loaded = project.template(template) if template is not None else None
    values = read_inputs(inputs, loaded)
    found = advise_profiles(
        project, store, profiles, template=template, what_if=what_if, inputs=values, **options
    )
    if compare:
        _print_comparison(compare, found, as_json)
        return
    advice = found[0]
    if html is not None:
        from promptlib.advice.page import page_of
        from promptlib.files.writing import replacing

        page = page_of(advice)
        with replacing(Path(html)) as file:
            file.write(page.encode())
    if as_json:
        print_json(advice.to_dict())
    else:
        _print_advice(advice, why)


def _write_starter() -> None:
    from promptlib.advice.profile import STARTER
    from promptlib.config import BUNDLE_FACTS

    file = Path("usage.toml")
    if any((folder / BUNDLE_FACTS).is_file() for folder in file.absolute().parents):
        raise click.ClickException("this is a bundle, which nothing may be added to")
    if file.exists():
        raise click.ClickException("usage.toml is there already; it is left as it is")
    file.write_text(STARTER.read_text(encoding="utf-8"), encoding="utf-8")
    say("wrote usage.toml; take away the # of what you know, then: promptlib advise STORE "
        "--profile usage.toml")  # fmt: skip


def _print_advice(advice: Advice, why: bool) -> None:
    from promptlib.advice import showing

    for line in showing.headline(advice):
        click.echo(line)
    if why:
        _section("How the answer was found")
        for step in advice.path:
            click.echo(f"{'=>' if step.opened else '  '} {step.gate.name}: {step.gate.asks}")
            for condition, held in step.held:
                click.echo(f"     {'yes' if held else 'no ':3} {condition.text}")
    _section("Evidence")
    print_table(*showing.evidence_table(advice), free=showing.ABOUT)
    if found := showing.changes(advice):
        _section("What would change it")
        for line in found:
            click.echo(f"  {line}")
    _section("What is not known")
    print_table(*showing.missing_table(advice), free="how to supply it")
    _section("What it costs")
    if advice.economics.routes:
        print_table(*showing.cost_table(advice.economics))
    if advice.economics:
        for line in showing.cost_notes(advice.economics):
            click.echo(f"  {line}")
    if advice.curves:
        _section("Learning curves")
        print_table(*showing.curve_table(advice.curves))
        for line in showing.curve_notes(advice.curves):
            click.echo(f"  {line}")
    if advice.limits:
        click.echo(f"  to keep in mind: {'; '.join(advice.limits)}")
    if advice.quality:
        _section("Quality of the examples")
        print_table(*showing.quality_table(advice), free="meaning")
    if advice.recommendation == "collect":
        _section("Examples that are wanted")
        heads, rows = showing.wanted_table(advice)
        print_table(heads, rows[:MOST_CLASSES])
        if len(rows) > MOST_CLASSES:
            click.echo(f"  and {len(rows) - MOST_CLASSES:,} more; --json has them all")
    _section("Risks")
    for risk in advice.risks:
        click.echo(f"  {risk.name}: {risk.says}")
    _section("Next")
    for advised in advice.next_steps:
        click.echo(f"  {advised.says}\n    {advised.command}")


def _section(title: str) -> None:
    click.echo()
    click.secho(title, bold=True)


def _print_comparison(names: tuple[str, str], found: list[Advice], as_json: bool) -> None:
    if as_json:
        print_json({name: advice.to_dict() for name, advice in zip(names, found, strict=True)})
        return
    from promptlib.advice.showing import comparison_table

    print_table(*comparison_table(names, found))
