"""What a manifest names is there: secrets with their keys, ConfigMaps, files, accounts, issuers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chassis.networks import read_network_rules
from k8s.kustomize import containers
from k8s.render import OVERLAYS as FOLDERS
from tests.unit.manifests.parts import (
    OVERLAYS,
    WORKLOADS,
    Resource,
    environment,
    named,
    of_kind,
    overlay,
    pod_of,
    walk,
)
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.link import NetworkLink

EVERY = pytest.mark.parametrize("name", OVERLAYS)
DATABASE_SECRETS = {
    "serverTLSSecret": "tls.key",
    "serverCASecret": "ca.crt",
    "clientCASecret": "ca.crt",
    "replicationTLSSecret": "tls.key",
}
CERTIFICATE_KEYS = {"tls.crt", "tls.key", "ca.crt"}
CLUSTER_WIDE_ISSUERS = {"public"}  # the platform team's own


def _secrets(name: str) -> dict[str, set[str]]:
    """Return the keys of each secret that somebody makes."""
    made = {each["spec"]["secretName"]: CERTIFICATE_KEYS for each in of_kind(name, "Certificate")}
    for each in of_kind(name, "ExternalSecret"):
        keys = {item["secretKey"] for item in each["spec"]["data"]}
        assert each["spec"]["target"]["name"] not in made
        made[each["spec"]["target"]["name"]] = keys
    return made


def _used(resource: Resource) -> Iterator[tuple[str, str | None]]:
    """Yield the secrets that a resource uses, with the key where it names one."""
    for node in walk(resource["spec"]):
        yield from _mounted(node)
        yield from _read_by_key(node)
        if resource["kind"] != "Certificate":
            yield from _read_by_operators(node)


def _mounted(node: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    secret = node.get("secret")
    if isinstance(secret, dict):
        source = secret.get("name") or secret["secretName"]
        yield source, None
        yield from ((source, item["key"]) for item in secret.get("items", []))


def _read_by_key(node: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    references = [
        *([node["secretKeyRef"]] if "secretKeyRef" in node else []),
        *node.get("secretTargetRef", []),
        *node.get("s3Credentials", {}).values(),
    ]
    yield from ((each["name"], each["key"]) for each in references)


def _read_by_operators(node: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    if "secretName" in node:
        yield node["secretName"], None
        for field in ("certificate", "key"):
            if isinstance(node.get(field), str):
                yield node["secretName"], node[field]
    for field, key in DATABASE_SECRETS.items():
        if field in node:
            yield node[field], key


@EVERY
def test_every_secret_that_is_used_is_made_and_every_one_that_is_made_is_used(name: str) -> None:
    made = _secrets(name)
    used = [pair for each in overlay(name) if "spec" in each for pair in _used(each)]

    for secret, key in used:
        assert secret in made, f"nobody makes {secret}"
        assert key is None or key in made[secret], f"{secret} has no {key}"
    assert made.keys() - {secret for secret, _ in used} == {"operator-tls"}


@EVERY
def test_every_config_map_that_is_named_has_the_key_that_is_named(name: str) -> None:
    maps = named(name, "ConfigMap")
    for resource in overlay(name):
        for node in walk(resource.get("spec", {})):
            if "configMap" in node:
                assert node["configMap"]["name"] in maps
            for reference in (
                *([node["configMapKeyRef"]] if "configMapKeyRef" in node else []),
                *node.get("customQueriesConfigMap", []),
            ):
                assert reference["key"] in maps[reference["name"]]["data"]


@EVERY
def test_every_volume_account_issuer_and_target_is_there(name: str) -> None:
    claims = named(name, "PersistentVolumeClaim")
    for workload in of_kind(name, *WORKLOADS):
        pod = pod_of(workload)
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["name"] for each in containers(workload) for mount in each["volumeMounts"]}
        assert mounts == volumes
        assert pod["serviceAccountName"] in named(name, "ServiceAccount")
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
    for certificate in of_kind(name, "Certificate"):
        issuer = certificate["spec"]["issuerRef"]
        there = {"Issuer": named(name, "Issuer"), "ClusterIssuer": CLUSTER_WIDE_ISSUERS}
        assert issuer["name"] in there[issuer["kind"]]
    for backup in of_kind(name, "ScheduledBackup"):
        assert backup["spec"]["cluster"]["name"] in named(name, "Cluster")
    for cluster in of_kind(name, "Cluster"):
        for plugin in cluster["spec"]["plugins"]:
            assert plugin["parameters"]["barmanObjectName"] in named(name, "ObjectStore")


def _files(name: str, pod: dict[str, Any], container: dict[str, Any]) -> set[str]:
    """Return the files that a container sees by what is mounted from secrets and ConfigMaps."""
    made, volumes = _secrets(name), {volume["name"]: volume for volume in pod["volumes"]}
    seen = set()
    for mount in container["volumeMounts"]:
        volume, path = volumes[mount["name"]], mount["mountPath"]
        for source in volume.get("projected", {}).get("sources", []):
            secret = source["secret"]
            items = secret.get("items") or [{"path": key} for key in made[secret["name"]]]
            seen |= {f"{path}/{item['path']}" for item in items}
        if "configMap" in volume:
            data = named(name, "ConfigMap")[volume["configMap"]["name"]]["data"]
            seen |= {f"{path}/{key}" for key in data}
    return seen


@EVERY
def test_every_file_that_a_variable_names_is_mounted(name: str) -> None:
    brought = (
        "/hsm/",
        "/card-keys/",
        "/audit-keys/",
        "/dev/",
        "/tls\n",
        "/envoy\n",
    )  # what no secret holds
    for workload in of_kind(name, *WORKLOADS):
        pod = pod_of(workload)
        for container in containers(workload):
            there = _files(name, pod, container)
            for variable, value in environment(name, container).items():
                for path in re.findall(r'(?:^|=|")(/[a-z][\w./-]*)', value):
                    if not f"{path}\n".startswith(brought):
                        assert path in there, f"{variable}: {path}"


@EVERY
def test_no_secret_stands_in_a_manifest(name: str) -> None:
    assert of_kind(name, "Secret") == []
    for workload in of_kind(name, *WORKLOADS):
        for container in containers(workload):
            for variable in container.get("env", []):
                if re.search(r"SECRET|PASSWORD|ACCESS_KEY|_PIN$|_MASTER$", variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"]


@EVERY
def test_debezium_finds_its_certificate_where_the_connectors_look(name: str) -> None:
    [connect] = of_kind(name, "KafkaConnect")
    template = connect["spec"]["template"]
    [mount] = template["connectContainer"]["volumeMounts"]
    [volume] = template["pod"]["volumes"]
    keys = _secrets(name)[volume["secret"]["secretName"]]

    for connector in of_kind(name, "KafkaConnector"):
        config = connector["spec"]["config"]
        for setting in ("sslrootcert", "sslcert", "sslkey"):
            folder, _, file = config[f"database.{setting}"].rpartition("/")
            assert folder == mount["mountPath"]
            assert file in keys


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_rules_and_the_links_are_of_the_networks_that_txn_svc_speaks_with(name: str) -> None:
    rules = read_network_rules(FOLDERS[name] / "networks.yaml")
    links = json.loads((FOLDERS[name] / "links.json").read_text())

    assert rules.keys() == links.keys() == DIALECTS.keys()
    for link in links.values():
        NetworkLink.model_validate(link)
    slowest_s = max(rule.timeout_s for rule in rules.values())
    [container] = pod_of(named(name, "Deployment")["txn"])["containers"]
    assert slowest_s < float(environment(name, container)["PAYMESH_DRAIN_S"])
