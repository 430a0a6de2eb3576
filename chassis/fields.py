"""Checks of fields that resources of several services have."""

from __future__ import annotations

from datetime import timedelta

from chassis.card_numbers import holds_card_number
from chassis.errors import ParameterInvalid

OVERLAP_S_DEFAULT = 86_400
OVERLAP_S_MAX = 604_800


def check_text(text: str, length_max: int, param: str) -> str:
    """Return a free text that PostgreSQL can keep and that holds no card number.

    Raises ParameterInvalid.
    """
    if len(text) > length_max or "\0" in text:
        raise ParameterInvalid(
            f"{param} must have at most {length_max} characters and no NUL.", param=param
        )
    check_no_card_number(text, param)
    return text


def check_no_card_number(text: str, param: str) -> None:
    """Raise ParameterInvalid for a text that would be kept and holds a card number."""
    if holds_card_number(text):
        raise ParameterInvalid(
            f"{param} holds what looks like a card number, which belongs into a card token only.",
            param=param,
        )


def check_overlap(overlap_s: int | None) -> timedelta:
    """Return how long what was replaced still works beside the new. Raises ParameterInvalid."""
    if overlap_s is None:
        overlap_s = OVERLAP_S_DEFAULT
    if not 0 <= overlap_s <= OVERLAP_S_MAX:
        raise ParameterInvalid(
            f"overlapInSeconds must be 0 to {OVERLAP_S_MAX}.", param="overlapInSeconds"
        )
    return timedelta(seconds=overlap_s)
