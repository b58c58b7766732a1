"""`promptlib doctor`: what works here, what doesn't, and what would mend it."""

from __future__ import annotations

import click

from .output import json_option, print_json, say

COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check the installation and the project; exit 1 if something is wrong.

    \b
    promptlib doctor
    promptlib -C my-project doctor --json
    """
    from promptlib.diagnosis import diagnose

    findings = []
    for finding in diagnose(ctx.find_root().obj):
        findings.append(finding)
        if not as_json:
            status = click.style(f"{finding.status:>5}", fg=COLOURS[finding.status])
            detail = finding.detail.replace("\n", "\n" + " " * 24)
            click.echo(f"{status}  {finding.what:<15}  {detail}")
            if finding.fix:
                click.echo(f"{'':7}{'fix':<15}  {finding.fix}")
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    wrong = sum(finding.status == "wrong" for finding in findings)
    if wrong:
        if not as_json:
            say(f"{wrong} wrong", fg="red")
        ctx.exit(1)
