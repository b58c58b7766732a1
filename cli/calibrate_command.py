"""`promptlib calibrate`: what logged answers say of models, strategies and proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .output import json_option, open_project, print_json, print_table, say

if TYPE_CHECKING:
    from promptlib.experiment.calibrating import Calibration


@click.command()
@click.option("--model", "models", multiple=True, metavar="MODEL", help="Only what these answered.")
@click.option("--store", metavar="NAME", help="Only with this store's examples.")
@click.option("--write", is_flag=True, help="Let `auto` follow, in prompts for these models.")
@json_option
@click.pass_context
def calibrate(
    ctx: click.Context, models: tuple[str, ...], store: str | None, write: bool, as_json: bool
) -> None:
    """Show how often models were right, by template and strategy, and what had predicted it.

    Reads the outcomes that eval, tune and bootstrap have logged. For each model: accuracy where the
    right label was among the examples and where it wasn't, with which accuracy can be foretold
    from the label hit of `promptlib eval`; and how well each proxy ranked the strategies. With
    --write `auto` follows where a strategy was clearly better, and leaves those that hurt.

    \b
    promptlib calibrate
    promptlib calibrate --model local:smollm2 --write
    """
    from promptlib.experiment.learning import learn, record_learnt

    project = open_project(ctx)
    found = learn(project, models, store)
    if as_json:
        print_json([each.to_dict() for each in found])
    else:
        for each in found:
            _tell(each)
    if not found:
        say("no answers were judged yet: promptlib eval TEMPLATE --model MODEL")
    if write:
        changed = record_learnt(project, found)
        if not changed:
            say("auto stays as it is: nothing was clearly better, or worse, than what it follows")
        for model, name, strategy in changed:
            say(f"store {name}: auto for {model} is {strategy}")


def _tell(found: Calibration) -> None:
    say(f"{found.model}:")
    heads = ["template", "version", "store", "strategy", "k", "order", "budget", "metric",
             "accuracy", "95 %", "answers"]  # fmt: skip
    print_table(heads, [
        [a.template, a.version, a.store, a.strategy, a.k, a.order, a.budget,
         a.metric, a.accuracy.value, f"{a.accuracy.low:.3f} to {a.accuracy.high:.3f}", a.answers]
        for a in found.arms
    ])  # fmt: skip
    if found.rankings:
        print_table(
            ["proxy", "rank correlation", "lost by its first", "ways", "stores"],
            [[r.proxy, r.correlation, r.best_regret, r.ways, r.stores] for r in found.rankings],
        )
    if (known := found.predictor) is not None:
        absent = "not seen" if known.absent is None else str(known.absent)
        say(f"accuracy with the right label shown {known.present}, without it {absent}; of "
            f"{known.answers:,} answers")  # fmt: skip
    for each in found.harmful.values():
        say(f"{each.strategy} is clearly worse than the built-in default on {each.store}: "
            f"{each.gain}")  # fmt: skip
    for each in found.preferred.values():
        say(f"{each.strategy} is clearly better than the built-in default on {each.store}: "
            f"{each.gain}")  # fmt: skip
