"""A delivery: one event on its way to one endpoint, tried again for three days."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

BACKOFFS_S = (5, 25, 125, 625)
BACKOFF_S_LAST = 3600
JITTER = 0.2
GIVES_UP_AFTER = timedelta(days=3)
RESPONSE_LENGTH_MAX = 1024
GONE = 410


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # the dispatcher tries it next
    SUCCEEDED = "succeeded"  # the endpoint answered 2xx; final until replayed
    EXHAUSTED = "exhausted"  # three days of tries failed; final until replayed
    CANCELED = "canceled"  # the endpoint is gone or disabled; final until replayed


@dataclass(frozen=True, slots=True)
class Try:
    """What one try came to. error: why there is no answer; http_status and response: the answer.

    duration_ms: from the first byte sent to the last one read.
    """

    at: datetime
    duration_ms: int
    http_status: int | None = None
    error: str | None = None
    response: str | None = field(default=None, repr=False)

    @property
    def is_success(self) -> bool:
        """Only 2xx is; a redirect is not followed and fails."""
        return self.http_status is not None and 200 <= self.http_status < 300

    @property
    def is_gone(self) -> bool:
        """The endpoint says that it wants nothing any more."""
        return self.http_status == GONE


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as merchants see it."""

    id: str
    event_id: str
    event_type: str
    status: DeliveryStatus
    next_attempt: datetime
    created: datetime
    tries: list[Try] = field(default_factory=list)


def next_attempt(tries: int, first_at: datetime, now: datetime, jitter: float) -> datetime | None:
    """Return when to try after so many failed tries, or None to give up.

    jitter: -1 to 1, by which the wait is made up to a fifth shorter or longer.
    """
    backoff_s = BACKOFFS_S[tries - 1] if tries <= len(BACKOFFS_S) else BACKOFF_S_LAST
    at = now + timedelta(seconds=backoff_s * (1 + JITTER * jitter))
    return at if at - first_at <= GIVES_UP_AFTER else None


def draw_jitter() -> float:
    """Return a jitter by chance."""
    return random.uniform(-1, 1)  # noqa: S311 spreads load, guards nothing
