"""What a key is for, and how it lives: made, used, retiring, destroyed. No cryptography here.

A key store keeps of a key its kid, its purpose and when it was made; the state follows from these
and the time alone, so nothing has to be changed in two places at once when keys rotate, and all
processes agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from chassis.errors import ServiceUnavailable
from chassis.ids import Kid

Handle = TypeVar("Handle")

REREAD = timedelta(seconds=5)
"""How old what a process knows of the keys may be."""
ACTIVATION = timedelta(seconds=30)
"""How long a new key waits until it is used, so that every process knows it by then."""
RETIRING_MIN = timedelta(hours=1)
"""How long a key stays after its last use: longer than a card token (15 minutes), an encrypted card
(10 minutes, and what the key list may be cached) and any process's memory of the current key."""


class Purpose(StrEnum):
    """What a key is for, and nothing else."""

    CARD_ENCRYPTION = "card-encryption"  # P-256 pair: cards are encrypted to it by ECDH-ES
    TOKEN_ENCRYPTION = "token-encryption"  # noqa: S105 AES-256-GCM: card tokens
    PAN_ENVELOPE = "pan-envelope"  # AES-256 key wrap: the data keys of kept card numbers
    CARD_FINGERPRINT = "card-fingerprint"  # HMAC-SHA256 of card numbers
    AUDIT_SIGNING = "audit-signing"  # P-256 pair: ECDSA of what the archive holds


CARD_PURPOSES = tuple(purpose for purpose in Purpose if purpose is not Purpose.AUDIT_SIGNING)
PAIRS = (Purpose.CARD_ENCRYPTION, Purpose.AUDIT_SIGNING)


class State(StrEnum):
    """Where a key stands. Of a destroyed key nothing is left, not even a line in the list."""

    NEXT = "next"  # waits until all processes know it
    CURRENT = "current"  # everything new is made with it
    RETIRING = "retiring"  # reads what was made with it; an operator may destroy it after a while


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be shown of a key."""

    kid: Kid
    purpose: Purpose
    created: datetime
    state: State


@dataclass(frozen=True, slots=True)
class Held(Generic[Handle]):
    """A key as a store holds it; what the handle is, only that store knows."""

    kid: Kid
    purpose: Purpose
    created: datetime
    handle: Handle = field(repr=False)


class KeyStoreError(Exception):
    """A key store can't do what was asked; never holds key material."""


class KeyUnknown(KeyStoreError):
    """No key of this purpose has the kid: it was never there, or is destroyed."""


class KeyMissing(KeyStoreError):
    """There is no key of this purpose at all."""


class KeyInUse(KeyStoreError):
    """The key is not retiring, or not for long enough, so it is not destroyed."""


class SealBroken(KeyStoreError):
    """The ciphertext was made with another key, for another owner, or changed."""


class PointInvalid(KeyStoreError):
    """Not an uncompressed point on P-256."""


class KeyStoreRefused(KeyStoreError):
    """The master key or PIN is wrong, or what is kept was changed by somebody else."""


class KeyStoreUnavailable(ServiceUnavailable):
    """The store can't be reached for now; its callers may repeat the request."""


def next_created(held: Iterable[Held[Handle]], purpose: Purpose, now: datetime) -> datetime:
    """Return the creation time of a new key: after all others of its purpose, whatever this
    machine's clock says. In whole milliseconds.
    """
    tick = timedelta(milliseconds=1)
    newest = max((key.created for key in _of(held, purpose)), default=now - tick)
    return max(now.replace(microsecond=now.microsecond // 1000 * 1000), newest + tick)


def current_key(held: Iterable[Held[Handle]], purpose: Purpose, now: datetime) -> Held[Handle]:
    """Return the newest key that every process knows, or the only one. Raises KeyMissing."""
    oldest_first = _of(held, purpose)
    if not oldest_first:
        raise KeyMissing(purpose)
    active = [key for key in oldest_first if key.created + ACTIVATION <= now]
    return active[-1] if active else oldest_first[0]


def describe(held: Iterable[Held[Handle]], now: datetime) -> list[KeyInfo]:
    """Return all keys by purpose, newest first."""
    found = []
    keys = list(held)
    for purpose in Purpose:
        oldest_first = _of(keys, purpose)
        if not oldest_first:
            continue
        used = oldest_first.index(current_key(oldest_first, purpose, now))
        for place, key in reversed(list(enumerate(oldest_first))):
            state = State.CURRENT
            if place != used:
                state = State.RETIRING if place < used else State.NEXT
            found.append(KeyInfo(key.kid, purpose, key.created, state))
    return found


def check_retirable(held: Iterable[Held[Handle]], key: Held[Handle], now: datetime) -> None:
    """Raise KeyInUse unless the key has been retiring for RETIRING_MIN.

    One that signed is never destroyed: its public half verifies what it signed, for ever.
    """
    if key.purpose is Purpose.AUDIT_SIGNING:
        raise KeyInUse(f"{key.kid} verifies what it signed and is not destroyed")
    for one, following in itertools.pairwise(_of(held, key.purpose)):
        if one.kid == key.kid and following.created + ACTIVATION + RETIRING_MIN <= now:
            return
    minutes = int(RETIRING_MIN.total_seconds() // 60)
    raise KeyInUse(f"{key.kid} has to be retiring for {minutes} minutes before it is destroyed")


def _of(held: Iterable[Held[Handle]], purpose: Purpose) -> list[Held[Handle]]:
    return sorted(
        (key for key in held if key.purpose is purpose), key=lambda key: (key.created, key.kid)
    )
