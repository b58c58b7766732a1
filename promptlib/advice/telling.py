"""What isn't measured on the store: counted usage, prices, offers and the profile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from promptlib.advice.facts import Fact, Facts
from promptlib.advice.prices import price_facts
from promptlib.advice.profile import Profile
from promptlib.errors import ConfigError
from promptlib.finetune.providers import checked, providers
from promptlib.intervals import wilson
from promptlib.project import Project

RECENT_DAYS = 30
"""Days of counted usage that are looked at."""

FEW_OUTCOMES = 20
FEW_PROMPTS, FEW_DAYS = 100, 3
"""Below so many, counts say nothing of traffic."""


def told_facts(
    project: Project, store: str, template: str | None, measured: Facts, profile: Profile,
    what_if: Profile,
) -> dict[str, Fact]:  # fmt: skip
    """Put all facts together: what if, then outcomes and counts, then profile, then price lists."""
    model = what_if.model or profile.model
    listed = _listed_prices(model or _model_of(project, template), profile, what_if, bool(model))
    told = _profile_facts(profile, what_if)
    in_force = _model_of(project, template)
    counted = usage_facts(project, store, template, in_force)
    # What was counted in use says more than the store's own rows, judged answers more than counts.
    judged = {name: fact for name, fact in measured.items() if fact.source == "outcomes"}
    facts = {**listed, **told, **measured, **counted, **judged, **what_if.facts()}
    facts |= _offers(facts)
    tried = facts.get("accuracy") or facts.get("tuned")
    source = tried.source if tried is not None else "measured"
    note = "answers were judged, or settings tuned"
    facts["tried"] = Fact(float(tried is not None), source, note=note)
    return facts


def usage_facts(
    project: Project, store: str, template: str | None, model: str | None
) -> dict[str, Fact]:
    """Read traffic, tokens and accuracy from the usage ledger, of the model in force.

    Only days that are over are counted, and only where there are enough to tell something.
    """
    rows = [
        row
        for row in project.usage(RECENT_DAYS)
        if row.key.store == store
        and template in (None, row.key.template)
        and model in (None, row.key.model)
    ]
    facts: dict[str, Fact] = {}
    today = datetime.now(UTC).date()
    over = [row for row in rows if row.key.day < today.isoformat()]
    prompts = sum(row.counts.prompts for row in over)
    if prompts >= FEW_PROMPTS:
        first = datetime.fromisoformat(min(row.key.day for row in over)).date()
        days = (today - first).days
        if days >= FEW_DAYS:
            facts["traffic"] = Fact(prompts / days, "usage", note=f"counted over {days} days")
    shown = [row.counts for row in rows if row.key.k > 0 and row.counts.prompts]
    number = sum(counts.prompts for counts in shown)
    if number >= FEW_PROMPTS:
        for name, total in (
            ("prompt_tokens", sum(counts.tokens for counts in shown)),
            ("cacheable_tokens", sum(counts.cacheable for counts in shown)),
        ):
            facts[name] = Fact(total / number, "usage", note=f"of {number:,} prompts")
    for name, of_kind in (("accuracy", True), ("zero_shot", False)):
        found = [row.counts for row in rows if (row.key.k > 0) == of_kind]
        right, wrong = sum(c.correct for c in found), sum(c.wrong for c in found)
        if right + wrong >= FEW_OUTCOMES:
            note = f"{right + wrong:,} recorded outcomes"
            facts[name] = Fact.of(wilson(right, right + wrong), "usage", note)
    return facts


def _profile_facts(profile: Profile, what_if: Profile) -> dict[str, Fact]:
    """Give what the profile tells, its prices with their date.

    Prices of a model are left out where another one is asked about.
    """
    found = {}
    for name, fact in profile.facts().items():
        is_trained = name.startswith(("trained_", "training_"))
        other = what_if.trained_model if is_trained else what_if.model
        if other is not None and (name.endswith("_price") or name.startswith("cache_")):
            continue
        note = ""
        if name.endswith("_price") and profile.prices_as_of is not None:
            note = f"prices of the profile, looked up on {profile.prices_as_of}"
        found[name] = replace(fact, note=note)
    return found


def _listed_prices(
    model: str | None, profile: Profile, what_if: Profile, is_named: bool
) -> dict[str, Fact]:
    """Look prices up; raises ConfigError for a model or currency that nothing is known of."""
    told = {**_profile_facts(profile, what_if), **what_if.facts()}
    found = price_facts(model) if model else {}
    if not found and is_named and not {"input_price", "output_price"} <= {*told}:
        raise ConfigError(
            f"model {model!r} has no listed prices: set input_price and output_price as well"
        )
    chosen = what_if if "currency" in what_if.model_fields_set else profile
    if chosen.currency != "USD":
        if is_named and found and not {"input_price", "output_price"} <= {*told}:
            raise ConfigError(
                f"listed prices are in USD: for {chosen.currency} set input_price and output_price"
            )
        found = {name: fact for name, fact in found.items() if not name.endswith("_price")}
    if {"input_price", "output_price"} & {*told} and "cache_read_price" not in told:
        # Prices of one's own are of another offer: its caching isn't the listed one's.
        found = {name: fact for name, fact in found.items() if not name.startswith("cache_")}
    trained = what_if.trained_model or profile.trained_model
    if trained and chosen.currency == "USD":
        for name, fact in price_facts(trained).items():
            if name in ("input_price", "output_price"):
                found[f"trained_{name}"] = fact
    return found


def _model_of(project: Project, template: str | None) -> str | None:
    if template is None:
        return project.config.model
    return project.settings_of(project.template(template)).model


def _offers(facts: Facts) -> dict[str, Fact]:
    """Count the offers that are open, and whether the rows are as many as the least asks for."""
    today = datetime.now(UTC).date()
    gpu = facts["gpu"].value > 0 if "gpu" in facts else True
    offers = [o for o in providers() if o.is_open(today) and (gpu or o.name != "own hardware")]
    note = f"as of {checked()}"
    found = {"routes": Fact(float(len(offers)), "providers", note=note)}
    if offers and "effective_rows" in facts:
        advised = min(offer.advised_rows for offer in offers)
        rows = facts["effective_rows"].value
        note = f"{rows:,.0f} of {advised:,} advised, {note}"
        found["provider_rows"] = Fact(rows / advised, "providers", note=note)
    return found
