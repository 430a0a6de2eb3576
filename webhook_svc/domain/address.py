"""Which addresses may be called: the public internet, and nothing that only looks like it."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HTTPS_PORT = 443
UNPRIVILEGED_PORT_MIN = 1024

# Networks that `is_global` lets through although they lead inside: embedded IPv4 addresses,
# carrier-grade NAT, site-local and others (IANA special-purpose registries).
DENIED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2002::/16",
        "2001::/32",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "fec0::/10",
        "100::/64",
        "5f00::/16",
        "::/8",
    )
)
ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # before an IPv4 address, in any network (RFC 5214)


def is_public(text: str) -> bool:
    """Return whether an IP address belongs to the public internet."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif int(address) >> 32 & 0xFFFFFFFF in ISATAP:
            return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in DENIED)


def is_allowed_port(port: int) -> bool:
    """Return whether a port may be called: that of https, or one of programs without privileges."""
    return port == HTTPS_PORT or port >= UNPRIVILEGED_PORT_MIN
