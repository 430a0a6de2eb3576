"""What a check comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be. id: what it is about."""

    id: str
    what: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to. figures: what was counted on the way."""

    name: str
    figures: dict[str, int]
    violations: list[Violation]
