"""An endpoint: where a merchant wants to be told, and of what."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from chassis.errors import DomainError, Kind, ParameterInvalid, ParameterMissing
from chassis.fields import check_no_card_number, check_text
from chassis.ids import EndpointId, MerchantId
from webhook_svc.domain.address import Address, is_allowed_port, is_public

URL_LENGTH_MAX = 2048
HOST_LENGTH_MAX = 253
DESCRIPTION_LENGTH_MAX = 500
ENDPOINTS_MAX = 16
ALL_EVENTS = "*"
EVENT_TYPES = (
    "payment.created",
    "payment.processing",
    "payment.authorized",
    "payment.authorization_expiring",
    "payment.capture_failed",
    "payment.succeeded",
    "payment.failed",
    "payment.canceled",
)

_URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")  # visible ASCII, without the backslash
_BRACKETED = re.compile(r"\[[0-9a-f:.]+\](?::[0-9]*)?", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Resolvers take such hosts for IPv4 addresses in decimal, octal, hexadecimal, with fewer parts.
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$")


class EndpointStatus(StrEnum):
    """Whether an endpoint is sent to."""

    ENABLED = "enabled"  # events are sent
    DISABLED = "disabled"  # nothing is sent; the merchant may enable it again


class WebhookUrlNotAllowed(DomainError):
    """A URL that is not a public https one."""

    kind, reason = Kind.INVALID, "WEBHOOK_URL_NOT_ALLOWED"

    def __init__(self, why: str) -> None:
        super().__init__(f"This URL can't be called: {why}.", param="url")


class WebhookEndpointLimitReached(DomainError):
    """The merchant has as many as can be."""

    kind, reason = Kind.INVALID, "WEBHOOK_ENDPOINT_LIMIT_REACHED"

    def __init__(self) -> None:
        super().__init__(f"A merchant has at most {ENDPOINTS_MAX} webhook endpoints.")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where deliveries of one merchant and mode are posted."""

    id: EndpointId
    merchant_id: MerchantId
    mode: str
    url: str
    enabled_events: tuple[str, ...]
    created: datetime
    description: str | None = None
    status: EndpointStatus = EndpointStatus.ENABLED

    def subscribes(self, event_type: str) -> bool:
        """Return whether events of this type are sent."""
        return ALL_EVENTS in self.enabled_events or event_type in self.enabled_events


def check_url(url: str, *, allows_private: bool) -> str:
    """Return the URL. Raises ParameterMissing, ParameterInvalid, WebhookUrlNotAllowed.

    The same before every try. What is behind a name is looked at only when it is dialled.
    """
    if not url:
        raise ParameterMissing("url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ParameterInvalid("url must be an absolute URL.", param="url") from None
    host = parts.hostname or ""
    if len(url) > URL_LENGTH_MAX or not host or not _URL_CHARACTERS.fullmatch(url):
        raise ParameterInvalid(
            f"url must be an absolute URL of at most {URL_LENGTH_MAX} printable ASCII characters; "
            "write other characters of a host as xn--…, of a path as %…",
            param="url",
        )
    check_no_card_number(url, "url")
    if parts.scheme != "https" and not (allows_private and parts.scheme == "http"):
        raise WebhookUrlNotAllowed("it must begin with https")
    if "@" in parts.netloc:
        raise WebhookUrlNotAllowed("it must not hold a user name or a password")
    address = _address(parts.netloc, host)
    if not allows_private:
        _check_reach(host, address, port)
    return url


def _address(netloc: str, host: str) -> Address | None:
    """Return the address that a host is, None for a name.

    Raises ParameterInvalid for what is neither by its strictest reading: others read more.
    """
    is_ipv6 = _BRACKETED.fullmatch(netloc) is not None
    try:
        if is_ipv6 or _ENDS_IN_NUMBER.search(host):
            return ipaddress.IPv6Address(host) if is_ipv6 else ipaddress.IPv4Address(host)
    except ValueError:
        raise ParameterInvalid(
            "url must have a host name, an IPv4 address of four decimal numbers or an IPv6 address "
            "in brackets.",
            param="url",
        ) from None
    is_name = "[" not in netloc and all(map(_LABEL.fullmatch, host.split(".")))
    if not is_name or len(host) > HOST_LENGTH_MAX:
        raise ParameterInvalid(
            "url must have a host of letters, digits, hyphens and dots between them.", param="url"
        )
    return None


def _check_reach(host: str, address: Address | None, port: int | None) -> None:
    if port is not None and not is_allowed_port(port):
        raise WebhookUrlNotAllowed("the port must be 443 or 1024 and above")
    if address is None and "." not in host:
        raise WebhookUrlNotAllowed("its host must be a whole name, such as shop.example")
    if address is not None and not is_public(host):
        raise WebhookUrlNotAllowed("its address is not public")


def check_events(names: Sequence[str]) -> tuple[str, ...]:
    """Return the event types. Raises ParameterMissing, ParameterInvalid."""
    if not names:
        raise ParameterMissing("enabledEvents")
    for number, name in enumerate(names):
        if name not in (*EVENT_TYPES, ALL_EVENTS):
            raise ParameterInvalid(
                f'There is no event type of this name; they are {", ".join(EVENT_TYPES)}, or "*".',
                param=f"enabledEvents[{number}]",
            )
    return tuple(dict.fromkeys(names))


def check_description(description: str | None) -> str | None:
    """Return the note. Raises ParameterInvalid."""
    if description is not None:
        check_text(description, DESCRIPTION_LENGTH_MAX, "description")
    return description
