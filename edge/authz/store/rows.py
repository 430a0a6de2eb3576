"""Keys and their changes as rows, and the other way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chassis.ids import KeyId, MerchantId
from edge.authz.domain.key import Access, ApiKey, KeyAction, KeyChange, Network, Resource, Rights


def api_key_of(row: Any) -> ApiKey:
    return ApiKey(
        KeyId(row["id"]),
        MerchantId(row["merchant_id"]),
        row["mode"],
        row["publishable_key"],
        row["secret_last4"],
        row["created"],
        row["expires"],
        row["revoked"],
        row["last_used"],
        _rights(row["rights"]),
        row["networks"],
    )


def key_change_of(row: Any) -> KeyChange:
    return KeyChange(
        row["number"],
        KeyId(row["api_key_id"]),
        KeyAction(row["action"]),
        row["requested_by"],
        row["created"],
        row["expires"],
        _rights(row["rights"]),
        row["networks"],
        row["other_api_key_id"],
    )


def rights_text(rights: Rights | None) -> str | None:
    return None if rights is None else json.dumps(rights)


def network_texts(networks: Sequence[Network] | None) -> list[str] | None:
    return None if networks is None else [str(network) for network in networks]


def _rights(stored: dict[str, str] | None) -> Rights | None:
    if stored is None:
        return None
    return {Resource(resource): Access(access) for resource, access in stored.items()}
