"""The card networks' own rules as data: how long to wait, and what to do about a missing answer."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class InquiryRule(BaseModel):
    """How a network can be asked what became of an exchange.

    backoff_s: pauses between inquiries; after the last one the exchange is reversed instead.
    not_found_is_failed_after_s: counted from the attempt's deadline; until then "not found" may
    only mean that the request is still on its way, so that is asked once more at its end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backoff_s: tuple[Seconds, ...] = Field(min_length=1)
    not_found_is_failed_after_s: Seconds


class ReversalRule(BaseModel):
    """How an advice, a reversal's or a capture's, is repeated until it is acknowledged.

    repeat_s: pauses between repeats; past them it is overdue, and goes on every `then_every_s`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repeat_s: tuple[Seconds, ...] = Field(min_length=1)
    then_every_s: Seconds

    def pause_s(self, tries: int) -> float:
        """Return how long to wait after so many tries, 1 or more."""
        return self.repeat_s[tries - 1] if tries <= len(self.repeat_s) else self.then_every_s

    def is_overdue(self, tries: int) -> bool:
        """Return whether a person should look at an advice that was tried so often."""
        return tries > len(self.repeat_s)


class ClearingRule(BaseModel):
    """When a network's clearing files come.

    cut_off: the time of day in UTC at which each business day ends, "22:30"; or "on_request" for a
    network that ends its day when it is told to, without a schedule. late_after_h: counted from the
    cut-off; after that, a file that did not come and a payment that is not in it are missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cut_off: str = Field(pattern=r"^(on_request|([01]\d|2[0-3]):[0-5]\d)$")
    late_after_h: float = Field(ge=0)

    @property
    def daily_cut_off(self) -> time | None:
        """Return the time of day; None without a schedule."""
        return None if self.cut_off == "on_request" else time.fromisoformat(self.cut_off)


class NetworkRules(BaseModel):
    """What one network demands and offers.

    timeout_s: how long an answer may take. capture_deadline_h: how long an authorization can be
    captured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_s: Seconds
    inquiry: InquiryRule | None = None
    reversal: ReversalRule
    clearing: ClearingRule
    capture_deadline_h: float = Field(gt=0)


def read_network_rules(file: Path) -> dict[str, NetworkRules]:
    """Return the rules by network.

    Raises pydantic.ValidationError, which names the network and the field.
    """
    return TypeAdapter(dict[str, NetworkRules]).validate_python(yaml.safe_load(file.read_text()))
