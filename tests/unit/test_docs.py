"""The documents say what the code does: every public error code, every relative link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edge.authz.domain.key
import edge.authz.domain.signature
import edge.authz.strict_json
import intent_svc.domain.fields
import intent_svc.domain.payment_intent
import txn_svc.cards.encrypted_card
import txn_svc.domain.card
import txn_svc.domain.card_token
import txn_svc.domain.transaction
import txn_svc.networks.pool
import webhook_svc.domain.endpoint
from chassis.errors import DomainError

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "api.md").read_text()
SOURCES = (
    edge.authz.domain.key,
    edge.authz.domain.signature,
    edge.authz.strict_json,
    intent_svc.domain.fields,
    intent_svc.domain.payment_intent,
    txn_svc.cards.encrypted_card,
    txn_svc.domain.card,
    txn_svc.domain.card_token,
    txn_svc.domain.transaction,
    txn_svc.networks.pool,
    webhook_svc.domain.endpoint,
)
# They have no public call.
INTERNAL = ("recon_svc.", "audit_svc.", "chassis.retention")
ENVOY_CODES = sorted(
    set(re.findall(r"code\"?: ?\"?([a-z_]{5,})", (ROOT / "edge" / "envoy.yaml").read_text()))
)


def _codes(parent: type[DomainError] = DomainError) -> set[str]:
    found = set()
    for child in parent.__subclasses__():
        if child.__module__.startswith(INTERNAL):
            continue
        if "reason" in vars(child):
            found.add(child.reason.lower())
        found |= _codes(child)
    return found


def test_all_rooms_with_errors_are_looked_at() -> None:
    assert {source.__name__ for source in SOURCES}
    assert {"raw_card_not_allowed", "nonce_reused", "body_not_json"} <= _codes()
    assert {"rate_limited", "request_too_large", "service_unavailable"} <= set(ENVOY_CODES)


@pytest.mark.parametrize("code", sorted(_codes()))
def test_the_guide_has_every_code_of_the_services(code: str) -> None:
    assert f"`{code}`" in GUIDE


@pytest.mark.parametrize("code", ENVOY_CODES)
def test_the_guide_has_every_code_of_envoy(code: str) -> None:
    assert f"`{code}`" in GUIDE


@pytest.mark.parametrize("document", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target
