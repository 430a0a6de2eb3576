"""Merchants and API keys as protobuf, without what nobody may see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from paymesh.merchant.v1 import (
    api_key_change_pb2,
    api_key_rights_pb2,
    merchant_service_pb2,
)

from edge.authz.domain.key import ApiKey, KeyChange, Network, Rights
from edge.authz.domain.merchant import Merchant


def merchant_message(merchant: Merchant) -> merchant_service_pb2.Merchant:
    """Return a merchant, the bank account masked."""
    message = merchant_service_pb2.Merchant(
        id=merchant.id,
        name=merchant.name,
        country=merchant.country,
        mcc=merchant.mcc,
        created=int(merchant.created.timestamp()),
    )
    account = merchant.bank_account
    if account is not None:
        message.bank_account.CopyFrom(
            merchant_service_pb2.BankAccount(
                account_holder=account.account_holder,
                country=account.country,
                currency=account.currency,
                last4=account.account_number[-4:],
            )
        )
    return message


def key_message(key: ApiKey, now: datetime) -> merchant_service_pb2.ApiKey:
    """Return a pair of keys as it stands now."""
    return merchant_service_pb2.ApiKey(
        id=key.id,
        merchant_id=key.merchant_id,
        mode=key.mode,
        publishable_key=key.publishable_key,
        secret_last4=key.secret_last4,
        created=int(key.created.timestamp()),
        expires=_seconds(key.expires),
        status=key.status(now),
        last_used=_seconds(key.last_used),
        rights=_rights(key.rights),
        networks=_networks(key.networks),
    )


def change_message(change: KeyChange) -> api_key_change_pb2.ApiKeyChange:
    """Return a change of a pair of keys."""
    return api_key_change_pb2.ApiKeyChange(
        number=change.number,
        api_key_id=change.key_id,
        action=change.action,
        requested_by=change.requested_by,
        created=int(change.created.timestamp()),
        expires=_seconds(change.expires),
        rights=_rights(change.rights),
        networks=_networks(change.networks),
        other_api_key_id=change.other_key_id,
    )


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _rights(rights: Rights | None) -> api_key_rights_pb2.ApiKeyRights | None:
    if rights is None:
        return None
    return api_key_rights_pb2.ApiKeyRights(
        permissions=[
            api_key_rights_pb2.ApiKeyPermission(resource=resource, access=access)
            for resource, access in rights.items()
        ]
    )


def _networks(networks: Sequence[Network] | None) -> api_key_rights_pb2.ApiKeyNetworks | None:
    if networks is None:
        return None
    return api_key_rights_pb2.ApiKeyNetworks(cidrs=[str(network) for network in networks])
