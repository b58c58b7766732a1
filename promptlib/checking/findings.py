"""What a check finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a template, or might be."""

    level: Level
    """An error keeps it from being published."""
    where: str
    """File and line, as far as that is known."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.level}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Room:
    """What a template costs, in tokens, and what room it leaves for examples."""

    least: int
    """With empty inputs, and without examples, history or sections."""
    limit: int
    """The budget less the reserve."""
    stable: int | None
    """Up to where prompts for different queries begin alike; None if that can't be told."""
    k: int
    """How many examples may be shown."""
    mean: float | None
    """What an example costs on average; None without examples."""
    fit_mean: int | None
    """How many of average length fit, at most k."""
    fit_worst: int | None
    """How many of the longest fit, at most k."""


@dataclass(frozen=True)
class TemplateCheck:
    """All that is known of one template."""

    name: str
    problems: tuple[Problem, ...]
    unbounded: tuple[str, ...] = ()
    """Inputs that may be as long as they like."""
    room: Room | None = None
    """None for a template that can't be rendered to measure it."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep it from being published."""
        return tuple(problem for problem in self.problems if problem.level == "error")

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "name": self.name,
            "problems": [problem.to_dict() for problem in self.problems],
            "unbounded": list(self.unbounded),
            "room": asdict(self.room) if self.room is not None else None,
        }
