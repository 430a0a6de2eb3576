"""API keys: how long they work, what they may do and from where. No I/O."""

from __future__ import annotations

import ipaddress
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from chassis.errors import DomainError, Kind, ParameterInvalid, ParameterMissing
from chassis.ids import KeyId, MerchantId

SECRET_LENGTH = 40
PUBLISHABLE_LENGTH = 24
KEY_ALPHABET = string.ascii_letters + string.digits
NETWORKS_MAX = 32

Mode = Literal["test", "live"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Resource(StrEnum):
    """A kind of object that a key may have rights on; each is a public service."""

    PAYMENT_INTENTS = "payment_intents"
    TRANSACTIONS = "transactions"
    WEBHOOK_ENDPOINTS = "webhook_endpoints"
    EVENTS = "events"
    CARD_TOKENS = "card_tokens"


class Access(StrEnum):
    """What may be done with a kind of object."""

    READ = "read"
    READ_WRITE = "read_write"


Rights = Mapping[Resource, Access]  # of every resource that is not there there are none


class KeyStatus(StrEnum):
    """Whether requests with a key are taken."""

    ACTIVE = "active"  # they are; the platform team rolls or revokes it
    EXPIRING = "expiring"  # they are until it expires; the merchant changes over to the new key
    EXPIRED = "expired"  # the time beside its successor is over; final
    REVOKED = "revoked"  # the platform team ended it; final


class KeyNotPermitted(DomainError):
    """The key is genuine, but its rights do not reach so far."""

    kind, reason = Kind.PERMISSION_DENIED, "KEY_NOT_PERMITTED"

    def __init__(self, resource: Resource, access: Access) -> None:
        super().__init__(f"This API key has no right to {resource}: {access}.")


class IpAddressNotAllowed(DomainError):
    """The key is genuine, but not to be used from there."""

    kind, reason = Kind.PERMISSION_DENIED, "IP_ADDRESS_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("This API key may not be used from your IP address.")


class ApiKeyNotInForce(DomainError):
    """The key has ended, so nothing about it can be changed."""

    kind, reason = Kind.WRONG_STATE, "API_KEY_NOT_IN_FORCE"

    def __init__(self) -> None:
        super().__init__("This API key has expired or was revoked.", param="apiKeyId")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A pair of keys.

    expires: when it stops working; None while it is in force without an end.
    revoked: when it was ended at once; then it has expired too.
    last_used: up to a minute late.
    rights: None for all. networks: where it may be used from, None for anywhere.
    """

    id: KeyId
    merchant_id: MerchantId
    mode: Mode
    publishable_key: str
    secret_last4: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    rights: Rights | None = None
    networks: Sequence[Network] | None = None

    def is_in_force(self, now: datetime) -> bool:
        """Return whether requests signed with it are taken."""
        return self.expires is None or now < self.expires

    def status(self, now: datetime) -> KeyStatus:
        """Return where it stands."""
        if self.revoked is not None:
            return KeyStatus.REVOKED
        if self.expires is None:
            return KeyStatus.ACTIVE
        return KeyStatus.EXPIRING if now < self.expires else KeyStatus.EXPIRED

    def check_address(self, address: str) -> None:
        """Check that it may be used from there. address: as Envoy saw it, without a port.

        Raises IpAddressNotAllowed.
        """
        if self.networks is None:
            return
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            raise IpAddressNotAllowed from None
        if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
            client = client.ipv4_mapped
        if not any(client in network for network in self.networks):
            raise IpAddressNotAllowed

    def check_right(self, resource: Resource, needed: Access) -> None:
        """Check that its rights reach that far. Raises KeyNotPermitted."""
        if self.rights is None:
            return
        granted = self.rights.get(resource)
        if granted is not Access.READ_WRITE and granted is not needed:
            raise KeyNotPermitted(resource, needed)


class KeyAction(StrEnum):
    """What was done to a key."""

    CREATED = "created"
    ROLLED = "rolled"
    RESTRICTED = "restricted"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One change of a key, and what the key is since.

    requested_by: a person, as the platform team's tool said.
    other_key_id: of a roll, the new pair for the old one and the other way round.
    """

    number: int
    key_id: KeyId
    action: KeyAction
    requested_by: str
    created: datetime
    expires: datetime | None
    rights: Rights | None
    networks: Sequence[Network] | None
    other_key_id: KeyId | None


def new_keys(mode: Mode) -> tuple[str, str]:
    """Return a publishable and a secret key."""
    return (
        f"pk_{mode}_{_random_text(PUBLISHABLE_LENGTH)}",
        f"sk_{mode}_{_random_text(SECRET_LENGTH)}",
    )


def _random_text(length: int) -> str:
    return "".join(secrets.choice(KEY_ALPHABET) for _ in range(length))


def check_rights(permissions: Sequence[tuple[str, str]]) -> Rights:
    """Return the rights that pairs of resource and access come to.

    Raises ParameterMissing for none, ParameterInvalid that names the pair.
    """
    if not permissions:
        raise ParameterMissing("rights.permissions")
    rights: dict[Resource, Access] = {}
    for number, (resource, access) in enumerate(permissions):
        param = f"rights.permissions[{number}]"
        named = Resource(_one_of(Resource, resource, f"{param}.resource"))
        if named in rights:
            raise ParameterInvalid(
                f"{param}.resource: {named} is given twice.", param=f"{param}.resource"
            )
        rights[named] = Access(_one_of(Access, access, f"{param}.access"))
    return rights


def _one_of(names: type[StrEnum], name: str, param: str) -> str:
    if name not in list(names):
        raise ParameterInvalid(f"{param} must be one of: {', '.join(names)}.", param=param)
    return name


def check_networks(cidrs: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of CIDRs, each once.

    Raises ParameterMissing for none, ParameterInvalid that names the CIDR.
    """
    if not cidrs:
        raise ParameterMissing("networks.cidrs")
    if len(cidrs) > NETWORKS_MAX:
        raise ParameterInvalid(
            f"networks.cidrs must have at most {NETWORKS_MAX} entries.", param="networks.cidrs"
        )
    found = [_network(cidr, f"networks.cidrs[{number}]") for number, cidr in enumerate(cidrs)]
    return tuple(dict.fromkeys(found))


def _network(cidr: str, param: str) -> Network:
    prefix = cidr.partition("/")[2]
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError:
        network = None
    # ip_network takes zones and netmasks too: one spelling is enough.
    if network is None or "%" in cidr or (prefix and prefix != str(network.prefixlen)):
        raise ParameterInvalid(
            f"{param} must be a network in CIDR notation without bits beyond its prefix, "
            "or an address.",
            param=param,
        )
    if (
        isinstance(network, ipaddress.IPv6Network)
        and network.network_address.ipv4_mapped is not None
    ):
        raise ParameterInvalid(f"{param} must be written as IPv4.", param=param)
    return network
