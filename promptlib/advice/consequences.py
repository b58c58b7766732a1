"""What follows from an answer: risks and next steps, from tables in data/advice. Pure."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from promptlib.advice.facts import Facts
from promptlib.advice.gates import DATA, Condition


@dataclass(frozen=True)
class Risk:
    """Something to watch."""

    name: str
    says: str


@dataclass(frozen=True)
class NextStep:
    """Something to do."""

    says: str
    command: str


@cache
def _rows(name: str) -> list[dict[str, Any]]:
    data = tomllib.loads((DATA / f"{name}s.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = data[name]
    return found


def risks(answer: str, facts: Facts) -> tuple[Risk, ...]:
    """List what to watch with an answer."""
    return tuple(
        Risk(row["name"], row["says"])
        for row in _rows("risk")
        if answer in row["for"] and all(Condition.parse(c).holds(facts) for c in row["when"])
    )


def next_steps(
    answer: str, store: str, template: str | None, *, has_profile: bool = False
) -> tuple[NextStep, ...]:
    """List what to do about an answer; whoever has a profile isn't told to make one."""
    words = {
        "store": store,
        "target": template or f"--store {store}",
        "template_option": f" --template {template}" if template else "",
    }
    return tuple(
        NextStep(row["says"].format(**words), row["command"].format(**words))
        for row in _rows("step")
        if answer in row["for"] and not (has_profile and row["command"].endswith("--init"))
    )
