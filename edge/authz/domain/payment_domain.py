"""Domains whose pages may show the card frame. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from chassis.errors import DomainError, Kind, ParameterInvalid

DOMAINS_MAX = 100
NAME_LENGTH_MAX = 253
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
# What a shop under development runs on; good with test keys only.
LOCAL = ("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*", "https://127.0.0.1:*")


class DomainLimitReached(DomainError):
    """A merchant has as many domains as it may."""

    kind, reason = Kind.INVALID, "PAYMENT_DOMAIN_LIMIT_REACHED"

    def __init__(self) -> None:
        super().__init__(f"A merchant has {DOMAINS_MAX} domains at most.", param="domain")


@dataclass(frozen=True, slots=True)
class PaymentDomain:
    """A domain that a merchant pays on. name: e.g. "shop.example", over https alone."""

    name: str
    created: datetime


def check_domain(name: str) -> str:
    """Return a domain in lower case. Raises ParameterInvalid.

    International names are given in their ASCII form (`xn--…`), so that there is one spelling.
    """
    lower = name.lower()
    labels = lower.split(".")
    is_name = len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
    if not is_name or len(lower) > NAME_LENGTH_MAX or labels[-1].isdigit():
        raise ParameterInvalid(
            'domain must be a host name such as "shop.example", without scheme, port or path.',
            param="domain",
        )
    return lower


def frame_ancestors(domains: list[str], mode: str) -> str:
    """Return which pages may frame the card fields, as CSP's `frame-ancestors` takes it."""
    sources = [f"https://{name}" for name in domains]
    if mode == "test":
        sources += LOCAL
    return " ".join(sources) or "'none'"
