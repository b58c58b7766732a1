"""What each part of a finished prompt costs, and what of it left for room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from promptlib.budget.fit import DropReason
from promptlib.prompt import Part
from promptlib.rendering import PromptRenderer, Shown


def measure_parts(
    renderer: PromptRenderer, shown: Shown, turns: int, tokens: int,
    dropped: Mapping[int, DropReason],
) -> tuple[Part, ...]:  # fmt: skip
    """Measure every part by rendering without it; raises TemplateError where that can't be.

    `turns` are those of the whole conversation, `tokens` the prompt's.
    """
    sections = renderer.template.sections
    bare = Shown(without=frozenset(section.name for section in sections))

    def cost(less: Shown) -> int:
        return max(0, tokens - renderer.count(less))

    found = [Part("fixed", renderer.count(bare), "")]
    for section in sections:
        if section.name in shown.without:
            found.append(Part(f"section {section.name}", 0, "all of it"))
        else:
            less = replace(shown, without=shown.without | {section.name})
            found.append(Part(f"section {section.name}", cost(less), ""))
    if turns:
        left = f"{turns - shown.turns} of {turns} turns" if shown.turns < turns else ""
        found.append(Part("history", cost(replace(shown, turns=0)), left))
    if renderer.ranked:
        crowded = Counter(dropped.values())[DropReason.OVER_BUDGET]
        left = f"{crowded} candidates" if crowded else ""
        found.append(Part("examples", cost(replace(shown, ranks=())), left))
    return tuple(found)
