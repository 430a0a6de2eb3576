"""What the connectors capture is what the topics and the archive are there for."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from audit_svc.domain.topics import BY_PAYMENT, HEARTBEATS, TOPICS
from sandbox.capture import MODE
from sandbox.state import ROOT


def _resources(name: str) -> list[dict[str, Any]]:
    return [
        each
        for each in yaml.safe_load_all((ROOT / "k8s" / "platform" / "kafka" / name).read_text())
        if each is not None
    ]


CONNECTORS = {
    row["metadata"]["name"]: row["spec"]["config"] for row in _resources("connectors.yaml")
}


def _tables(name: str) -> set[str]:
    listed = CONNECTORS[name]["table.include.list"].split(",")
    return {table.removeprefix("public.") for table in listed} - {"outbox"}


def _key(name: str, table: str) -> str:
    """Return the column that is the key of a table's topic."""
    config = CONNECTORS[name]
    [field] = [
        config[f"transforms.{each}.field"]
        for each in config["transforms"].split(",")
        if each.startswith("key")
        and re.fullmatch(
            config[f"predicates.{config[f'transforms.{each}.predicate']}.pattern"],
            f"cdc.{name}.{table}",
        )
    ]
    return str(field)


@pytest.mark.parametrize("name", CONNECTORS)
def test_each_captured_table_has_a_topic_and_one_key(name: str) -> None:
    config = CONNECTORS[name]
    names = {row["spec"]["topicName"] for row in _resources("topics.yaml")}

    topics = {f"cdc.{name}.{table}" for table in _tables(name)}
    assert config["topic.prefix"] == f"cdc.{name}"
    assert config["slot.name"] == config["publication.name"] == f"paymesh_{name}"
    assert config["snapshot.mode"] == MODE
    assert topics == {topic for topic in names if topic.startswith(f"cdc.{name}.")}
    assert all(_key(name, table) for table in _tables(name))


def test_everything_captured_is_archived_but_heartbeats() -> None:
    captured = {f"cdc.{name}.{table}" for name in CONNECTORS for table in _tables(name)}

    assert captured - set(HEARTBEATS) == {topic for topic in TOPICS if topic.startswith("cdc.")}
    assert set(BY_PAYMENT) <= captured


def test_the_heartbeat_of_every_database_is_captured() -> None:
    assert {topic: name for name, topic in ((n, f"cdc.{n}.heartbeats") for n in CONNECTORS)} == (
        HEARTBEATS
    )
    assert all("heartbeats" in _tables(name) for name in CONNECTORS)


def test_a_payment_s_tables_are_keyed_by_it() -> None:
    for topic in BY_PAYMENT:
        _, name, table = topic.split(".")
        wanted = "id" if table == "payment_intents" else "payment_intent_id"
        assert _key(name, table) == wanted


def test_no_table_with_cards_or_secrets_is_captured() -> None:
    captured = {table for name in CONNECTORS for table in _tables(name)}

    assert captured.isdisjoint(
        {"card_tokens", "card_envelopes", "card_nonces", "nonces", "webhook_secrets"}
    )
    assert CONNECTORS["authz"]["column.exclude.list"].split(",") == [
        "public.api_keys.secret",
        "public.merchants.bank_account",
    ]
