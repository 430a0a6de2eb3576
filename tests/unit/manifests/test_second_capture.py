"""The second capture is the first once more, in another namespace, with slots of its own."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest

from k8s.kustomize import Resource, render
from k8s.render import ROOT, SECOND_CAPTURE, problems
from tests.unit.manifests.parts import OVERLAYS, overlay

KINDS = ("Kafka", "KafkaNodePool", "KafkaConnect", "KafkaTopic", "KafkaUser", "ConfigMap")
SECOND = render(SECOND_CAPTURE)


def _specs(resources: list[Resource], *kinds: str) -> dict[tuple[str, str], Any]:
    return {
        (each["kind"], each["metadata"]["name"]): each.get("spec", each.get("data"))
        for each in resources
        if each["kind"] in kinds
    }


def test_it_is_valid_and_has_a_namespace_of_its_own() -> None:
    assert [problem for each in SECOND for problem in problems(each)] == []
    assert {each["metadata"].get("namespace", "paymesh-b") for each in SECOND} == {"paymesh-b"}


def test_its_kafka_its_topics_and_its_users_are_those_of_the_first() -> None:
    first = _specs(render(ROOT / "k8s" / "platform" / "kafka"), *KINDS)

    assert first
    assert _specs(SECOND, *KINDS) == first


def test_its_connectors_differ_in_slots_in_where_databases_are_and_in_haste() -> None:
    first = _specs(overlay("production"), "KafkaConnector")
    second = _specs(SECOND, "KafkaConnector")

    wanted = deepcopy(first)
    for (_, name), spec in wanted.items():
        config = spec["config"]
        del config["signal.data.collection"]
        config["slot.name"] = f"paymesh_{name}_b"
        config["database.hostname"] = f"{name}-db-rw.paymesh"
        config["poll.interval.ms"] = 200  # nobody waits for it
    assert len(first) == 5
    assert second == wanted


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_slot_is_that_of_another_connector(name: str) -> None:
    connectors = [*_specs(overlay(name), "KafkaConnector").values()]
    connectors += _specs(SECOND, "KafkaConnector").values()

    slots = [each["config"]["slot.name"] for each in connectors]
    assert len(slots) == len(set(slots)) == 10


def test_its_certificates_are_of_the_mesh_and_of_its_own_hosts() -> None:
    first = _specs(overlay("production"), "Certificate")
    second = _specs(SECOND, "Certificate")

    for (_, name), spec in second.items():
        names = first["Certificate", name].get("dnsNames")
        wanted = names and [re.sub(r"\.paymesh(?=\.|$)", ".paymesh-b", each) for each in names]
        assert spec.get("dnsNames") == wanted
        assert spec["issuerRef"] == first["Certificate", name]["issuerRef"]


def test_an_overlay_can_let_it_into_the_databases_and_nowhere_else() -> None:
    [policy] = render(ROOT / "k8s" / "components" / "second-capture")

    [rule] = policy["spec"]["ingress"]
    [peer] = rule["from"]
    assert list(problems(policy)) == []
    assert policy["spec"]["podSelector"] == {
        "matchExpressions": [{"key": "cnpg.io/cluster", "operator": "Exists"}]
    }
    assert peer == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "paymesh-b"}},
        "podSelector": {"matchLabels": {"strimzi.io/name": "paymesh-connect"}},
    }
    assert rule["ports"] == [{"port": 5432, "protocol": "TCP"}]
