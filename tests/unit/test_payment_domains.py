"""Whose pages may frame the card fields."""

from __future__ import annotations

import pytest

from chassis.errors import ParameterInvalid
from edge.authz.domain.payment_domain import check_domain, frame_ancestors


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("shop.example", "shop.example"),
        ("Shop.Example", "shop.example"),
        ("a-b.co.uk", "a-b.co.uk"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_host_name_is_kept_in_lower_case(given: str, kept: str) -> None:
    assert check_domain(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        *("", ".", "shop", "shop.", ".shop.example", "shop..example", "-shop.example"),
        *(
            "https://shop.example",
            "shop.example/",
            "shop.example:443",
            "shop.example;",
            "*.example",
        ),
        *("shop.example 'self'", "bücher.example", "127.0.0.1", "[::1]", "a" * 64 + ".example"),
        ("a." * 130) + "example",
    ],
)
def test_what_is_no_host_name_is_refused(given: str) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        check_domain(given)

    assert refused.value.param == "domain"


def test_a_live_key_shows_on_registered_domains_over_https_alone() -> None:
    assert frame_ancestors([], "live") == "'none'"
    assert frame_ancestors(["a.example", "b.example"], "live") == (
        "https://a.example https://b.example"
    )


def test_a_test_key_shows_on_localhost_too() -> None:
    sources = frame_ancestors(["a.example"], "test").split(" ")

    assert sources[0] == "https://a.example"
    assert all("localhost:" in source or "127.0.0.1:" in source for source in sources[1:])
