"""usage.toml: what only people know of how a prompt is used."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, field_validator

from promptlib.advice.facts import Fact
from promptlib.advice.gates import DATA
from promptlib.errors import ConfigError, did_you_mean
from promptlib.validation import Strict, problem_text

MOST = 1e12
"""Larger numbers are slips."""

Positive = Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Part = Annotated[float, Field(ge=0, le=1)]

STARTER = DATA / "usage.toml"
"""What `advise --init` writes."""


def _is_currency(code: str) -> str:
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError(f"must be three capital letters, such as EUR, not {code!r}")
    return code


def _is_language(code: str) -> str:
    if not (len(code) == 2 and code.isascii() and code.isalpha() and code.islower()):
        raise ValueError(f"must be two small letters, such as en, not {code!r}")
    return code


class Profile(Strict):
    """Traffic, target, prices and limits; whatever is left out counts as not known.

    Prices are per million tokens, in `currency`; the keys are explained in the starter file.
    """

    currency: Annotated[str, AfterValidator(_is_currency)] = "USD"
    prices_as_of: date | None = None
    traffic: Positive | None = None
    target: Share | None = None
    horizon_months: Annotated[float, Field(gt=0, le=1200)] | None = None
    model: str | None = None
    trained_model: str | None = None
    languages: list[Annotated[str, AfterValidator(_is_language)]] | None = None

    input_price: NotNegative | None = None
    output_price: NotNegative | None = None
    cache_read_price: NotNegative | None = None
    cache_write_price: NotNegative | None = None
    cache_minimum: NotNegative | None = None
    cache_minutes: Positive | None = None
    cache_hit_rate: Part | None = None

    trained_input_price: NotNegative | None = None
    trained_output_price: NotNegative | None = None
    training_price: NotNegative | None = None
    training_epochs: Positive | None = None
    hosting_per_hour: NotNegative | None = None
    trained_accuracy: Share | None = None
    accuracy: Share | None = None
    zero_shot: Share | None = None
    invalid_outputs: Part | None = None
    wrong_facts: Part | None = None

    engineer_hour: NotNegative | None = None
    engineer_hours: NotNegative | None = None
    classifier_hours: NotNegative | None = None
    retrain_hours: NotNegative | None = None
    retrains_per_year: Annotated[float, Field(ge=0, le=366)] | None = None
    label_price: NotNegative | None = None
    labels_needed: NotNegative | None = None
    budget: NotNegative | None = None

    latency_limit_ms: Positive | None = None
    prefill_ms_per_1000: Positive | None = None
    deadline_days: NotNegative | None = None
    freshness_days: Positive | None = None
    corpus_tokens: NotNegative | None = None
    tasks_on_model: Annotated[int, Field(ge=1)] | None = None
    training_allowed: bool | None = None
    strategic: bool | None = None
    gpu: bool | None = None

    @field_validator("prices_as_of")
    @classmethod
    def _is_over(cls, day: date | None) -> date | None:
        if day is not None and day > datetime.now(UTC).date() + timedelta(days=1):
            raise ValueError(f"{day} is still to come")
        return day

    def facts(self) -> dict[str, Fact]:
        """Give what it says in numbers as facts."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: Fact(float(value), "profile")
            for name, value in values.items()
            if isinstance(value, bool | int | float)
        }


NOTHING_TOLD = Profile()


def read_profile(path: Path | str | None, settings: Iterable[str] = ()) -> Profile:
    """Read a profile, and NAME=VALUE on top of it; raises ConfigError with file and key."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
        except ValueError as error:  # not TOML, not UTF-8, or a number too long to read
            raise ConfigError(f"{path}: not TOML: {error}") from None
        except OSError as error:
            raise ConfigError(f"can't read {path}: {error.strerror}") from None
        _validated(values, f"{path}: ")
    return _validated({**values, **dict(map(_setting, settings))}, "--set ")


def _validated(values: Mapping[str, Any], where: str) -> Profile:
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        problems = (f"{where}{problem_text(p, Profile.model_fields)}" for p in error.errors())
        raise ConfigError("\n".join(problems)) from None


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text!r} is not NAME=VALUE")
    if name not in Profile.model_fields:
        raise ConfigError(f"--set: no {name!r}; {did_you_mean(name, Profile.model_fields)}")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return name, value
