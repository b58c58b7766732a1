"""Let `auto` follow what models have answered."""

from __future__ import annotations

from collections.abc import Sequence

from promptlib.experiment.calibrating import Calibration, Preference, calibrate
from promptlib.experiment.outcomes import read_outcomes
from promptlib.project import Project
from promptlib.selection.strategies import AUTO
from promptlib.store.rows import now
from promptlib.store.settings import Tuned
from promptlib.store.tuning import save_tuned


def learn(
    project: Project, models: Sequence[str] = (), store: str | None = None
) -> list[Calibration]:
    """Read what was logged of these models, or of all."""
    rows = read_outcomes(project.database, store=store)
    known = dict.fromkeys(row.model for row in rows)
    named = [project.model(name).called for name in models]
    return [calibrate(model, rows) for model in known if not named or model in named]


def record_learnt(
    project: Project, found: Sequence[Calibration], *, by: str | None = None
) -> list[tuple[str, str, str]]:
    """Make `auto` follow, for each model; returns (model, store, strategy) for what has changed.

    In a store where a strategy was clearly better, it is that one. Where `auto` follows one that
    the model was clearly worse with, here or in another store, it is the default again. Raises
    ReadOnlyError.
    """
    changed = []
    for each in found:
        for name in project.store_names():
            store = project.find_store(name)
            if store is None:
                continue
            settings = store.settings
            embedder = project.index(name).embedder.fingerprint
            followed = settings.tuned_of(each.model)
            tuned: Tuned | None = None
            if name in each.preferred:
                best = each.preferred[name]
                tuned = _tuned(best.strategy, best, embedder, "accuracy by the model")
            elif followed is not None and followed.strategy in each.harmful:
                bad = each.harmful[followed.strategy]
                what = f"accuracy of {bad.strategy} on {bad.store}"
                tuned = _tuned(AUTO, bad, embedder, what)
            kept = settings.tuned_for.get(each.model)
            if tuned is not None and (kept is None or kept.strategy != tuned.strategy):
                save_tuned(store, tuned, model=each.model, by=by)
                changed.append((each.model, name, tuned.strategy))
    return changed


def _tuned(strategy: str, found: Preference, embedder: str, measure: str) -> Tuned:
    gain = found.gain
    return Tuned(
        strategy=strategy, over=AUTO, measure=measure, difference=gain.value, low=gain.low,
        high=gain.high, queries=found.queries, k=found.k, embedder=embedder, at=now(),
    )  # fmt: skip
