"""An endpoint: where a merchant wants to be told, and of what."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from chassis.errors import DomainError, Kind, ParameterInvalid, ParameterMissing
from chassis.fields import check_text
from chassis.ids import EndpointId, MerchantId
from webhook_svc.domain.address import is_public

URL_LENGTH_MAX = 2048
DESCRIPTION_LENGTH_MAX = 500
ENDPOINTS_MAX = 16
ALL_EVENTS = "*"
EVENT_TYPES = (
    "payment.created",
    "payment.processing",
    "payment.authorized",
    "payment.authorization_expiring",
    "payment.succeeded",
    "payment.failed",
    "payment.canceled",
)


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

    The address behind a name is checked again whenever it is called.
    """
    if not url:
        raise ParameterMissing("url")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError):
        raise ParameterInvalid("url must be an absolute URL.", param="url") from None
    if len(url) > URL_LENGTH_MAX or not host or not url.isprintable() or " " in url:
        raise ParameterInvalid(
            f"url must be an absolute URL of at most {URL_LENGTH_MAX} characters.", param="url"
        )
    if parts.scheme != "https" and not (allows_private and parts.scheme == "http"):
        raise WebhookUrlNotAllowed("it must begin with https")
    if parts.username is not None or parts.password is not None:
        raise WebhookUrlNotAllowed("it must not hold a user name or a password")
    if not allows_private:
        _check_reach(host, port)
    return url


def _check_reach(host: str, port: int | None) -> None:
    if port not in {None, 443} and (port or 0) < 1024:
        raise WebhookUrlNotAllowed("the port must be 443 or 1024 and above")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    if not is_public(host):
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
