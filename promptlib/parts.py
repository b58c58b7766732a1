"""What each part of a finished prompt costs, and what of it left for room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from promptlib.budget.fit import DropReason
from promptlib.errors import TemplateError
from promptlib.prompt import Part
from promptlib.rendering import PromptRenderer, Shown


def measure_parts(
    renderer: PromptRenderer, shown: Shown, turns: int, tokens: int,
    dropped: Mapping[int, DropReason],
) -> tuple[Part, ...]:  # fmt: skip
    """Measure every part by rendering without it.

    `turns` are those of the whole conversation, `tokens` the prompt's.
    """
    sections = renderer.template.sections
    bare = Shown(static=False, without=frozenset(section.name for section in sections))

    def cost(less: Shown) -> int | None:
        found = count(less)
        return max(0, tokens - found) if found is not None else None

    def count(shown: Shown) -> int | None:
        try:
            return renderer.count(shown)
        except TemplateError:  # it can't do without
            return None

    parts = [Part("fixed", count(bare), "")]
    if renderer.static:
        parts.append(Part("static examples", cost(replace(shown, static=False)), ""))
    for section in sections:
        if section.name in shown.without:
            parts.append(Part(f"section {section.name}", 0, "all of it"))
        else:
            less = replace(shown, without=shown.without | {section.name})
            parts.append(Part(f"section {section.name}", cost(less), ""))
    if turns:
        left = f"{turns - shown.turns} of {turns} turns" if shown.turns < turns else ""
        parts.append(Part("history", cost(replace(shown, turns=0)), left))
    if renderer.ranked:
        crowded = Counter(dropped.values())[DropReason.OVER_BUDGET]
        left = f"{crowded} candidates" if crowded else ""
        parts.append(Part("examples", cost(replace(shown, ranks=())), left))
    return tuple(parts)
