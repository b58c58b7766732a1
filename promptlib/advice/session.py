"""Advise on a store: measure, add what is told, decide, and say what would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from promptlib.advice.accounts import Economics, economics_of
from promptlib.advice.consequences import NextStep, Risk, next_steps, risks
from promptlib.advice.deriving import derive, with_break_even
from promptlib.advice.factors import Evidence, Missing, factors, known
from promptlib.advice.facts import Facts
from promptlib.advice.gates import Gate, Step, answers, path
from promptlib.advice.measuring import Asked, Measured, measure
from promptlib.advice.profile import NOTHING_TOLD, Profile
from promptlib.advice.standins import LIMITS
from promptlib.advice.telling import told_facts
from promptlib.advice.weighing import (
    Confidence,
    confidence,
    find_flip,
    runners_up,
    sureness,
    votes,
)
from promptlib.curation.criteria import Criterion
from promptlib.errors import ConfigError
from promptlib.finetune.providers import Provider, checked, providers
from promptlib.learning.curves import Curve
from promptlib.project import Project


@dataclass(frozen=True)
class Advice:
    """What to do with a store's examples, with the evidence for it."""

    store: str
    template: str | None
    """That prompts were measured with."""
    recommendation: str
    """One of the keys of `answers()`."""
    because: str
    confidence: Confidence
    sureness: float
    """The share of all weight that is known, each factor by its trust, from 0 to 1."""
    runners_up: Sequence[Gate]
    votes: Sequence[tuple[str, float]]
    """Answer -> the share of the evidence that speaks for it."""
    evidence: Sequence[Evidence]
    missing: Sequence[Missing]
    path: Sequence[Step]
    economics: Economics
    curves: Sequence[Curve]
    quality: Sequence[Criterion]
    risks: Sequence[Risk]
    next_steps: Sequence[NextStep]
    thin_classes: Mapping[str, int]
    """Class -> examples still wanted for the next published threshold."""
    facts: Facts = field(repr=False)
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The recommendation in words."""
        return answers()[self.recommendation]

    @property
    def limits(self) -> Sequence[str]:
        """What the stand-ins can't tell, where they were used."""
        used = any(fact.source == "stand-in" for fact in self.facts.values())
        return LIMITS if used else ()

    @property
    def offers(self) -> Sequence[Provider]:
        """Who trains models, open weights first."""
        return providers()

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            "store": self.store,
            "template": self.template,
            "recommendation": self.recommendation,
            "title": self.title,
            "because": self.because,
            "confidence": self.confidence,
            "sureness": self.sureness,
            "runners_up": [
                {"answer": gate.answer, "title": answers()[gate.answer], "because": gate.because}
                for gate in self.runners_up
            ],
            "votes": dict(self.votes),
            "evidence": [each.to_dict() for each in self.evidence],
            "missing": [each.to_dict() for each in self.missing],
            "path": [
                {
                    "gate": step.gate.name, "asks": step.gate.asks, "opened": step.opened,
                    "conditions": {condition.text: held for condition, held in step.held},
                }
                for step in self.path
            ],
            "economics": self.economics.to_dict(),
            "curves": [curve.to_dict() for curve in self.curves],
            "quality": [criterion.to_dict() for criterion in self.quality],
            "risks": [vars(risk) for risk in self.risks],
            "next_steps": [vars(step) for step in self.next_steps],
            "thin_classes": dict(self.thin_classes),
            "limits": list(self.limits),
            "availability": {
                "checked": checked().isoformat(),
                "providers": [offer.to_dict() for offer in self.offers],
            },
            "facts": {name: fact.to_dict() for name, fact in sorted(self.facts.items())},
            "notes": list(self.notes),
        }  # fmt: skip


def advise(
    project: Project,
    store: str,
    *,
    template: str | None = None,
    profile: Profile = NOTHING_TOLD,
    what_if: Profile = NOTHING_TOLD,
    queries: Path | str | None = None,
    outcomes: Path | str | None = None,
    corpus: Sequence[Path | str] = (),
    inputs: Mapping[str, Any] | None = None,
    quick: bool = False,
) -> Advice:
    """Say whether a store's examples should be shown, curated or trained on.

    Prompts are measured with `template`, or the only template that names the store. `profile`
    fills what can't be measured, `what_if` overrides even what can. `queries` is a log of what
    users ask, `outcomes` judged answers, `corpus` files to pre-train on. `quick` leaves out
    learning curves and the search for better settings. Raises ConfigError, BadExamplesError and
    what stores raise.
    """
    return compare(
        project, store, [profile], template=template, what_if=what_if, queries=queries,
        outcomes=outcomes, corpus=corpus, inputs=inputs, quick=quick,
    )[0]  # fmt: skip


def compare(
    project: Project, store: str, profiles: Sequence[Profile], *, template: str | None = None,
    what_if: Profile = NOTHING_TOLD, queries: Path | str | None = None,
    outcomes: Path | str | None = None, corpus: Sequence[Path | str] = (),
    inputs: Mapping[str, Any] | None = None, quick: bool = False,
) -> list[Advice]:  # fmt: skip
    """Advise for several profiles, measuring the store once; see `advise`."""
    if not all(isinstance(told, Profile) for told in (*profiles, what_if)):
        raise ConfigError("a profile is a promptlib.Profile(...), or what read_profile gives")
    project.store(store)
    template = template or project.template_of(store)
    spoken = next(filter(None, (p.languages for p in (what_if, *profiles))), None)
    measured = measure(
        project, store, Asked(template, inputs or {}, queries, outcomes, corpus, spoken, quick)
    )
    today = datetime.now(UTC).date()
    found = []
    for profile in profiles:
        raw = told_facts(project, store, template, measured.facts, profile, what_if)
        chosen = what_if if "currency" in what_if.model_fields_set else profile
        found.append(
            advice_of(
                store,
                template,
                raw,
                measured,
                currency=chosen.currency,
                today=today,
                has_profile=profile != NOTHING_TOLD,
            )
        )
    return found


def advice_of(
    store: str, template: str | None, raw: Facts, measured: Measured, *, currency: str,
    today: date, has_profile: bool = False,
) -> Advice:  # fmt: skip
    """Make the advice of what is known. Pure."""
    facts = with_break_even(derive(raw))
    steps = path(facts)
    gate = steps[-1].gate
    flips = {
        factor.fact: str(flip)
        for factor in factors()
        if (flip := find_flip(raw, factor)) is not None
    }
    evidence, missing = known(facts, flips)
    return Advice(
        store=store,
        template=template,
        recommendation=gate.answer,
        because=gate.because,
        confidence=confidence(facts),
        sureness=sureness(facts),
        runners_up=runners_up(facts),
        votes=votes(facts),
        evidence=evidence,
        missing=missing,
        path=steps,
        economics=economics_of(facts, currency, today),
        curves=measured.curves,
        quality=measured.quality,
        risks=risks(gate.answer, facts),
        next_steps=next_steps(gate.answer, store, template, has_profile=has_profile),
        thin_classes=measured.thin_classes,
        facts=facts,
        notes=measured.notes,
    )
