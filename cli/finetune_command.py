"""`promptlib finetune`: from a store's examples to a model that is trained on them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .output import json_option, open_project, print_json, print_table, read_text, say
from .prompting import read_inputs

FORMATS = ("openai", "trl", "vertex", "alpaca", "setfit", "dpo")


@click.group()
def finetune() -> None:
    """Export examples to train on, or train a small classifier here.

    \b
    promptlib finetune classifier banking77 --out classifier
    promptlib finetune predict classifier "My card was stolen"
    promptlib finetune export banking77 --format trl --out train
    """


@finetune.command()
@click.argument("store")
@click.option("--out", required=True, metavar="FOLDER", help="A new folder for the files.")
@click.option("--template", metavar="NAME", help="Which renders the rows, as at run time.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="openai", show_default=True,
    help="openai is also what Together, Fireworks, Mistral and Axolotl read.",
)  # fmt: skip
@click.option("--provider", metavar="NAME", help="Check this provider's rules: `finetune offers`.")
@click.option(
    "--with-examples", is_flag=True,
    help="Retrieved examples inside, of other training rows: for a model that will see them.",
)  # fmt: skip
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="A pilot of so many rows.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the draw and the split.")
@click.option(
    "--training-price", type=click.FloatRange(min=0), metavar="PRICE",
    help="Per million tokens, to estimate the cost.",
)  # fmt: skip
@click.option("--skip-bad", is_flag=True, help="Leave out rows that a trainer would refuse.")
@click.option(
    "-i", "-p", "--input", "inputs", multiple=True, metavar="NAME=VALUE",
    help="Fill an input that the store's rows don't.",
)  # fmt: skip
@json_option
@click.pass_context
def export(
    ctx: click.Context, /, store: str, out: str, template: str | None, inputs: tuple[str, ...],
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Write the rows of STORE as files to train on: train, validation and test.

    Every row is rendered by the template as a prompt would be, with its output as the answer. Near
    copies stay on one side of the split.

    \b
    promptlib finetune export banking77 --format trl --sample 300 --out pilot
    promptlib finetune export banking77 --provider Together --out train --json
    """
    from promptlib.finetune.export import ExportOptions, export_rows

    project = open_project(ctx)
    loaded = project.template(template) if template is not None else None
    made = export_rows(
        project, store, out, template=template, inputs=read_inputs(inputs, loaded),
        options=ExportOptions(**options),
    )  # fmt: skip
    if as_json:
        print_json(made.to_dict())
    else:
        print_table(["split", "rows"], [list(item) for item in made.rows.items()])
        if made.tokens["total"]:
            tokens = {"all": "total", "mean of a row": "mean", "p95": "p95", "most": "most"}
            facts = [[f"tokens, {words}", round(made.tokens[n])] for words, n in tokens.items()]
            print_table(["to train on", ""], [*facts, ["epochs advised", made.epochs]])
    for row in made.unfit:
        say(f"left out: {row}")
    if made.cost is not None:
        say(f"training would cost about {made.cost:,.2f}")
    say(f"wrote {made.folder}; what to do next is in its README.md")


@finetune.command()
@click.argument("store")
@click.option("--out", required=True, metavar="FOLDER", help="A new folder for the classifier.")
@json_option
@click.pass_context
def classifier(ctx: click.Context, store: str, out: str, as_json: bool) -> None:
    """Train a small classifier on the labels of STORE, and judge it by cross-validation.

    It is a logistic head on the embeddings that the store has already: seconds to train, and no
    language model to ask.

    \b
    promptlib finetune classifier banking77 --out classifier
    """
    from promptlib.errors import MissingDependencyError
    from promptlib.finetune.classifier import calibration_picture, train_classifier

    if Path(out).exists():
        raise click.ClickException(f"{out} is there already; name a new folder")
    made = train_classifier(open_project(ctx), store)
    made.save(out)
    report = made.report
    try:
        (Path(out) / "calibration.png").write_bytes(calibration_picture(report))
    except MissingDependencyError as error:
        say(f"no picture of the calibration: {error}")
    if as_json:
        print_json(report.to_dict())
    else:
        worst = sorted(report.by_class.items(), key=lambda item: (item[1], item[0]))
        print_table(["label", "found of its rows"], [list(each) for each in worst[:10]])
    accuracy = report.accuracy
    say(
        f"right on {accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%}) of "
        f"{report.rows:,} rows that it hadn't seen; calibration error "
        f"{report.calibration_error:.3f}; wrote {out}"
    )


@finetune.command()
@click.argument("folder")
@click.argument("text", required=False)
@json_option
@click.pass_context
def predict(ctx: click.Context, folder: str, text: str | None, as_json: bool) -> None:
    """Name the label of TEXT, or of every line of stdin, with the classifier in FOLDER.

    \b
    promptlib finetune predict classifier "My card was stolen"
    cat messages.txt | promptlib finetune predict classifier --json
    """
    from promptlib.finetune.classifier import Classifier

    if text is None and sys.stdin.isatty():
        raise click.UsageError("give a TEXT, or lines on stdin")
    given = [text] if text is not None else read_text("-").split("\n")
    lines = [line for line in given if line.strip()]
    if not lines:
        raise click.ClickException("there is no text to name a label of")
    found = Classifier.load(folder).predict(lines, open_project(ctx).embedder)
    rows = [
        {"text": line, "label": each.label, "confidence": round(each.confidence, 4)}
        for line, each in zip(lines, found, strict=True)
    ]
    if as_json:
        print_json(rows)
    else:
        table = [[row["label"], row["confidence"], row["text"]] for row in rows]
        print_table(["label", "confidence", "text"], table, free="text")


@finetune.command()
@json_option
def offers(as_json: bool) -> None:
    """List who trains which models, from what data, and until when.

    \b
    promptlib finetune offers --json
    """
    from promptlib.finetune.providers import checked, offer_rows, providers

    if as_json:
        found = [offer.to_dict() for offer in providers()]
        print_json({"checked": checked().isoformat(), "providers": found})
        return
    print_table(*offer_rows(), free="source")
    say(f"as of {checked()}; offers change: see promptlib/data/finetune/providers.toml")
