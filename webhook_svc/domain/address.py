"""Which addresses may be called: the public internet, and nothing that only looks like it."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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


def is_public(text: str) -> bool:
    """Return whether an IP address belongs to the public internet."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in DENIED)
