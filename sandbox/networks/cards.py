"""The test cards: what an issuer says, and how the network carries the answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Delivery(StrEnum):
    """What becomes of the answer."""

    PROMPT = "prompt"
    LOST = "lost"
    LATE = "late"  # after the client's own timeout
    TWICE = "twice"
    DROPPED = "dropped"  # the request never reaches the issuer
    CLOSED = "closed"  # the connection is closed instead of an answer
    SLOW = "slow"  # within the client's timeout


class Clearing(StrEnum):
    """How the clearing file shows an approval."""

    ONCE = "once"
    MISSING = "missing"
    OVER = "over"  # with an amount that is too high
    TWICE = "twice"


@dataclass(frozen=True, slots=True)
class Behavior:
    """What happens to a request for a card.

    silent_inquiries, silent_captures: how many of those get no answer. refused_captures: how many
    captures of an authorization are refused.
    """

    response_code: str = "00"
    delivery: Delivery = Delivery.PROMPT
    approves_half: bool = False
    silent_inquiries: int = 0
    clearing: Clearing = Clearing.ONCE
    silent_captures: int = 0
    refused_captures: int = 0


APPROVES = Behavior()
EVERY = 1_000_000

_UNCERTAIN: dict[tuple[str, str], Behavior] = {
    ("4000000000990012", "5200000000990017"): Behavior(delivery=Delivery.LOST),
    ("4000000000990020", "5200000000990025"): Behavior(delivery=Delivery.LATE),
    ("4000000000990038", "5200000000990033"): Behavior(delivery=Delivery.TWICE),
    ("4000000000990046", "5200000000990041"): Behavior(delivery=Delivery.DROPPED),
    ("4000000000990053", "5200000000990058"): Behavior(clearing=Clearing.MISSING),
    ("4000000000990061", "5200000000990066"): Behavior(clearing=Clearing.OVER),
    ("4000000000990079", "5200000000990074"): Behavior("05", Delivery.LOST),
    ("4000000000990087", "5200000000990082"): Behavior(delivery=Delivery.CLOSED),
    ("4000000000990095", "5200000000990090"): Behavior(delivery=Delivery.LOST, silent_inquiries=2),
    ("4000000000990103", "5200000000990108"): Behavior(clearing=Clearing.TWICE),
    ("4000000000990111", "5200000000990116"): Behavior(delivery=Delivery.SLOW),
    ("4000000000990129", "5200000000990124"): Behavior("10", approves_half=True),
    ("4000000000990137", "5200000000990132"): Behavior(silent_captures=2),
    ("4000000000990145", "5200000000990140"): Behavior(refused_captures=EVERY),
    ("4000000000990152", "5200000000990157"): Behavior(refused_captures=1),
    ("4000000000990160", "5200000000990165"): Behavior("10", Delivery.LOST, approves_half=True),
}

_DECLINED = {
    "4000000000000002": "05",
    "4000000000009995": "51",
    "4000000000009987": "41",
    "4000000000009979": "43",
    "4000000000000069": "54",
    "4000000000000127": "82",
    "4000000000000119": "06",
    "4000000000006975": "61",
    "4000000000000341": "05",
    "4100000000000019": "59",
}

BEHAVIORS: dict[str, Behavior] = {
    **{pan: behavior for pans, behavior in _UNCERTAIN.items() for pan in pans},
    **{pan: Behavior(code) for pan, code in _DECLINED.items()},
}
