"""Kafka's users: their rights say what the services, the topics and the connectors say."""

from __future__ import annotations

from collections import defaultdict
from types import ModuleType
from typing import Any

import pytest
import yaml

import audit_svc.clients
import audit_svc.domain.topics
import intent_svc.__main__
import intent_svc.consumer
import recon_svc.consumer
import txn_svc.__main__
import webhook_svc.consumer
from audit_svc.domain.topics import HEARTBEATS
from sandbox.platform.certificates import NAMES
from sandbox.platform.kafka import RESOURCES

CONSUMERS = {
    "intent": intent_svc.consumer,
    "recon": recon_svc.consumer,
    "webhook": webhook_svc.consumer,
}
# Where a service brings its events while nobody captures them, and looks first what is there.
RELAYED = {"intent": intent_svc.__main__.EVENTS, "txn": txn_svc.__main__.EVENTS}


def _resources(name: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((RESOURCES / name).read_text()) if each is not None]


def _rights(user: str) -> dict[tuple[str, str], set[str]]:
    """Return the names that a user has a right to, by kind of resource and operation."""
    [found] = [row for row in _resources("users.yaml") if row["metadata"]["name"] == user]
    rights = defaultdict(set)
    for rule in found["spec"]["authorization"]["acls"]:
        for operation in rule["operations"]:
            rights[rule["resource"]["type"], operation].add(rule["resource"]["name"])
    return rights


TOPICS = {row["spec"]["topicName"] for row in _resources("topics.yaml")}
CONNECTORS = {row["metadata"]["name"] for row in _resources("connectors.yaml")}


@pytest.mark.parametrize(("user", "consumer"), CONSUMERS.items())
def test_a_service_reads_its_topics_and_buries_what_it_can_not_handle(
    user: str, consumer: ModuleType
) -> None:
    relayed = {RELAYED[user]} if user in RELAYED else set()
    assert _rights(user) == {
        ("topic", "Read"): {*consumer.TOPICS, *relayed},
        ("group", "Read"): {consumer.GROUP},
        ("topic", "Write"): {f"dead-letters.{consumer.GROUP}", *relayed},
    }


def test_who_consumes_nothing_reaches_its_own_events_alone() -> None:
    topic = {RELAYED["txn"]}

    assert _rights("txn") == {("topic", "Read"): topic, ("topic", "Write"): topic}


def test_the_archive_reads_every_topic_that_is_captured_and_writes_none() -> None:
    archived = set(audit_svc.domain.topics.TOPICS)
    captured = {name for name in TOPICS if name.startswith(("cdc.", "events."))}

    assert archived | set(HEARTBEATS) == captured
    assert not archived & set(HEARTBEATS)
    assert _rights("audit") == {
        ("topic", "Read"): captured,
        ("group", "Read"): {audit_svc.clients.GROUP},
    }


def test_connect_writes_what_it_captures_and_keeps_its_own_state() -> None:
    state = {name for name in TOPICS if name.startswith("connect-")}
    captured = {name for name in TOPICS if not name.startswith(("connect-", "dead-letters."))}
    worker = "paymesh-connect"

    assert _rights("connect") == {
        ("topic", "Read"): state,
        ("topic", "DescribeConfigs"): state,
        ("topic", "Write"): state | captured,
        ("group", "Read"): {worker},
        ("transactionalId", "Write"): {
            f"connect-cluster-{worker}",
            *(f"{worker}-{name}-0" for name in CONNECTORS),
        },
    }


def test_every_user_has_a_certificate_and_names_no_resource_by_a_pattern() -> None:
    users = _resources("users.yaml")

    assert (
        {user["metadata"]["name"] for user in users}
        == {*CONSUMERS, *RELAYED, "audit", "connect"}
        <= (set(NAMES))
    )
    rules = [rule for user in users for rule in user["spec"]["authorization"]["acls"]]
    assert {rule["resource"]["patternType"] for rule in rules} == {"literal"}
