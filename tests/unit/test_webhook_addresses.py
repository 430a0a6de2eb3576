"""Where webhooks may go: every rule about addresses and URLs, with what it lets through."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import DomainError
from tests.webhook_urls import BAD_URLS, GOOD_URLS, PRIVATE, PUBLIC
from webhook_svc.config import WebhookSettings
from webhook_svc.domain.address import DENIED, is_allowed_port, is_public
from webhook_svc.domain.endpoint import check_url

EMBEDDINGS = {
    "mapped (RFC 4291)": "::ffff:0:0",
    "compatible (RFC 4291)": "::",
    "translated (RFC 2765)": "::ffff:0:0:0",
    "NAT64 (RFC 6052)": "64:ff9b::",
    "local NAT64 (RFC 8215)": "64:ff9b:1::",
    "ISATAP (RFC 5214)": "2606:4700::5efe:0:0",
    "ISATAP of a global address": "2606:4700::200:5efe:0:0",
}


@pytest.mark.parametrize(("rule", "address"), PRIVATE)
def test_an_address_that_leads_inside_is_not_public(rule: str, address: str) -> None:
    assert not is_public(address), rule


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("network", DENIED)
def test_each_denied_network_is_denied_from_end_to_end(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    for address in (network[0], network[1], network[-1]):
        if getattr(address, "ipv4_mapped", None) is None:
            assert not is_public(str(address))


@pytest.mark.parametrize("prefix", EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
@given(inner=st.ip_addresses(v=4, network="10.0.0.0/8"))
def test_a_private_ipv4_address_is_private_in_every_ipv6_form(
    prefix: str, inner: ipaddress.IPv4Address
) -> None:
    whole = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(inner))

    assert not is_public(str(whole))
    assert not is_public(f"{whole}%eth0")


@pytest.mark.parametrize("prefix", ["2002::", "2001::"])
@given(inner=st.ip_addresses(v=4))
def test_what_tunnels_to_an_ipv4_address_is_never_called(
    prefix: str, inner: ipaddress.IPv4Address
) -> None:
    sixth_to_fourth = int(ipaddress.IPv6Address(prefix)) | int(inner) << 80
    if prefix == "2001::":
        sixth_to_fourth = int(ipaddress.IPv6Address(prefix)) | int(inner) ^ 0xFFFFFFFF

    assert not is_public(str(ipaddress.IPv6Address(sixth_to_fourth)))


@given(st.ip_addresses())
def test_nothing_is_public_that_the_registries_reserve(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        mapped = getattr(address, "ipv4_mapped", None)
        assert not is_public(str(address)) or (mapped is not None and is_public(str(mapped)))


@pytest.mark.parametrize("port", [0, 22, 80, 442, 444, 1023])
def test_ports_of_services_with_privileges_are_not_called(port: int) -> None:
    assert not is_allowed_port(port)


@pytest.mark.parametrize("port", [443, 1024, 8443, 65535])
def test_the_port_of_https_and_the_high_ones_are_called(port: int) -> None:
    assert is_allowed_port(port)


@pytest.mark.parametrize(("rule", "url", "reason"), BAD_URLS)
def test_a_url_that_can_not_be_called_is_refused(rule: str, url: str, reason: str) -> None:
    with pytest.raises(DomainError) as refused:
        check_url(url, allows_private=False)

    assert (refused.value.reason, refused.value.param) == (reason, "url"), rule


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_public_https_url_is_taken_as_it_is(url: str) -> None:
    assert check_url(url, allows_private=False) == url


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/hook", "http://localhost:80/", "https://[::1]/"]
)
def test_a_sandbox_takes_loopback_and_plain_http(url: str) -> None:
    assert check_url(url, allows_private=True) == url


def test_only_a_setting_lets_a_service_call_private_addresses() -> None:
    assert WebhookSettings.model_fields["allow_private_addresses"].default is False
