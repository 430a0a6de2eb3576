"""Who may dial whom: the network policies allow what the configuration says, both ways, no more."""

from __future__ import annotations

import importlib
import inspect
import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from k8s.render import OVERLAYS as FOLDERS
from sandbox.platform.certificates import NAMES
from tests.unit.manifests.parts import (
    MODULES,
    NAME,
    OVERLAYS,
    WORKLOADS,
    environment,
    named,
    of_kind,
    pod_of,
)
from webhook_svc.domain.address import is_allowed_port, is_public

EVERY = pytest.mark.parametrize("name", OVERLAYS)
Edge = tuple[str, str, int]  # from, to, port
CONNECT, KAFKA, COLLECTOR, INTERNET = "connect", "kafka", "collector", "internet"
# What watches and operates comes from other namespaces.
WATCHERS = {"monitoring", "cnpg-system", "keda"}
OPERATORS = {"entity-operator", "kafka-exporter"}
INTERNET_PEER = {"podSelector": {"matchLabels": {NAME: INTERNET}}}
STRIMZI = {"paymesh-kafka": KAFKA, "paymesh-connect": CONNECT}


def _dialled(variables: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Yield whom a process calls by its variables."""
    for name, value in variables.items():
        if name.endswith("DATABASE_URL"):
            url = urlsplit(value)
            yield str(url.hostname).removesuffix("-rw"), int(url.port or 0)
        elif name.endswith(("_ADDRESS", "_BOOTSTRAP", "_ENDPOINT")) and ":" in value:
            host, _, port = value.rpartition(":")
            yield _short(host), int(port)
        elif found := re.fullmatch(r"PAYMESH_ENVOY_(\w+)_HOST", name):
            yield _short(value), int(variables[f"PAYMESH_ENVOY_{found[1]}_PORT"])


def _short(host: str) -> str:
    return {"paymesh-kafka-bootstrap": KAFKA}.get(host, host.partition(".")[0])


def graph(name: str) -> set[Edge]:
    """Return who calls whom by the configuration."""
    edges = set()
    for workload in of_kind(name, *WORKLOADS):
        pod = pod_of(workload)
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            for to, port in _dialled(environment(name, container)):
                edges.add((workload["metadata"]["name"], to, port))
    for connector in of_kind(name, "KafkaConnector"):
        config = connector["spec"]["config"]
        database = config["database.hostname"].removesuffix("-rw")
        edges.add((CONNECT, database, config["database.port"]))
    [connect] = of_kind(name, "KafkaConnect")
    host, _, port = connect["spec"]["bootstrapServers"].rpartition(":")
    edges.add((CONNECT, _short(host), int(port)))
    return edges


def _who(peer: dict[str, Any]) -> str:
    """Return whom a selector of pods means, or the namespace where it selects that."""
    labels = peer.get("podSelector", {}).get("matchLabels", {})
    if NAME in labels:
        return str(labels[NAME])
    if "cnpg.io/cluster" in labels:
        return str(labels["cnpg.io/cluster"])
    if "strimzi.io/name" in labels:
        name = str(labels["strimzi.io/name"])
        return STRIMZI.get(name, name.removeprefix("paymesh-"))
    namespace = peer.get("namespaceSelector", {}).get("matchLabels", {})
    return str(namespace.get("kubernetes.io/metadata.name", peer))


def _allowed(name: str, way: str) -> set[Edge]:
    """Return what the policies allow one way, "ingress" or "egress"; inside a cluster aside."""
    peers = {"ingress": "from", "egress": "to"}[way]
    edges = set()
    for policy in of_kind(name, "NetworkPolicy"):
        owner = _who(policy["spec"])
        for rule in policy["spec"].get(way, []):
            if any("ipBlock" in peer for peer in rule.get(peers, [])) or owner.startswith("{"):
                continue
            for other in map(_who, rule.get(peers, [INTERNET_PEER])):
                for port in rule["ports"]:
                    pair = (other, owner) if way == "ingress" else (owner, other)
                    edges.add((*pair, port["port"]))
    return {edge for edge in edges if edge[0] != edge[1] and edge[0] not in WATCHERS | OPERATORS}


@EVERY
def test_what_goes_out_of_a_pod_is_what_its_configuration_dials(name: str) -> None:
    assert _allowed(name, "egress") == graph(name)


@EVERY
def test_what_comes_into_a_pod_is_what_others_dial(name: str) -> None:
    [kafka] = of_kind(name, "Kafka")
    [listener] = kafka["spec"]["kafka"]["listeners"]
    into_kafka = {
        (who, KAFKA, listener["port"]) for who in map(_who, listener["networkPolicyPeers"])
    } - {("keda", KAFKA, 9093)}

    allowed = _allowed(name, "ingress") | into_kafka
    outside = {edge for edge in graph(name) if edge[1] == COLLECTOR}
    assert allowed == (graph(name) - outside) | {(INTERNET, "edge", 8443)}


@EVERY
def test_services_dial_those_who_let_them_call_a_method(name: str) -> None:
    permitted = set()
    for service, package in MODULES.items():
        main = importlib.import_module(f"{package}.__main__")
        if hasattr(main, "services"):
            nothing = [None] * len(inspect.signature(main.services).parameters)
            for each in main.services(*nothing):
                callers = set().union(*each.callers.values())
                names = {caller.replace("_", "-") for caller in callers}
                permitted |= {(caller, service, 50051) for caller in names}

    dialled = {edge for edge in graph(name) if edge[2] == 50051}
    assert dialled == {edge for edge in permitted if edge[0] != "operator"}


@EVERY
def test_nobody_is_left_out_of_the_policies(name: str) -> None:
    policies = [policy["spec"] for policy in of_kind(name, "NetworkPolicy")]

    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    chosen = {_who(policy) for policy in policies}
    names = {each["metadata"]["name"] for each in of_kind(name, *WORKLOADS, "Cluster")}
    assert names <= chosen
    assert {CONNECT, KAFKA} <= chosen


@EVERY
def test_the_card_networks_that_are_dialled_can_be_reached(name: str) -> None:
    links = json.loads((FOLDERS[name] / "links.json").read_text())
    [rule] = named(name, "NetworkPolicy")["card-networks"]["spec"]["egress"]

    dialled = {address for link in links.values() for address in link["addresses"]}
    [port] = rule["ports"]
    reachable = {
        f"{ipaddress.ip_network(peer['ipBlock']['cidr']).network_address}:{port['port']}"
        for peer in rule["to"]
    }
    assert dialled == reachable


@EVERY
def test_webhooks_go_to_the_public_internet_alone(name: str) -> None:
    [rule] = named(name, "NetworkPolicy")["webhook-receivers"]["spec"]["egress"]
    [peer] = rule["to"]
    closed = [ipaddress.ip_network(text) for text in peer["ipBlock"]["except"]]

    for network in closed:
        for address in (network.network_address, network.broadcast_address):
            assert not is_public(str(address)), f"{address} may be somebody's receiver"
    for first in range(256):
        for rest in ("0.0.1", "0.2.1", "64.0.1", "88.99.1", "168.0.1", "254.169.254"):
            address = ipaddress.ip_address(f"{first}.{rest}")
            is_closed = any(address in network for network in closed)
            assert is_closed or is_public(str(address)), f"{address} can be reached"
    for port in rule["ports"]:
        for number in (port["port"], port.get("endPort", port["port"])):
            assert is_allowed_port(number)


@EVERY
def test_every_certificate_names_one_party_and_every_party_has_one(name: str) -> None:
    certificates = [each["spec"] for each in of_kind(name, "Certificate")]
    common = [each.get("commonName", "") for each in certificates if not each.get("isCA")]
    named_parties = {each for each in common if each}

    assert len(named_parties) == len([each for each in common if each])
    of_a_machine = {"collector", "postgres"}  # another namespace's, and one per database here
    assert set(NAMES) - named_parties == of_a_machine
    for each in certificates:
        for uri in each.get("uris", []):
            assert uri == f"spiffe://paymesh/{each['commonName']}"
    for user in of_kind(name, "KafkaUser"):
        assert user["metadata"]["name"] in named_parties
    hosts = {host for each in certificates for host in each.get("dnsNames", [])}
    for _, to, _ in graph(name):
        host = {KAFKA: "paymesh-kafka-bootstrap"}.get(to, f"{to}-rw" if "-db" in to else to)
        assert host in hosts | {COLLECTOR}
