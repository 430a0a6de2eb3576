"""Every workload: who it is, what it may, how it starts, drains, scales and is spread."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from typing import Any

import pytest

from chassis.config import RetentionSettings
from chassis.keystore import config
from chassis.schema import newest_schema
from chassis.server import LIVENESS
from edge.config import EnvoySettings
from k8s.kustomize import containers
from sandbox.state import DATABASES, PURGERS
from tests.unit.manifests.parts import (
    MODULES,
    NAME,
    OVERLAYS,
    WORKLOADS,
    environment,
    named,
    of_kind,
    pod_of,
    settings_types,
)

EVERY = pytest.mark.parametrize("name", OVERLAYS)
PROBES = ("startup", "readiness", "liveness")
DIGEST = re.compile(r"^[a-z0-9.-]+/[a-z0-9./-]+@sha256:[0-9a-f]{64}$")


def served(service: str) -> set[str]:
    """Return the health services of a service: those of `serve`, and each that it registers."""
    main = importlib.import_module(f"{MODULES[service]}.__main__")
    if not hasattr(main, "services"):
        return {"", LIVENESS}
    nothing = [None] * len(inspect.signature(main.services).parameters)
    return {"", LIVENESS, *(each.name for each in main.services(*nothing))}


def grpc_of(probe: dict[str, Any]) -> dict[str, Any]:
    """Return what a probe asks."""
    asked: dict[str, Any] = probe["grpc"]
    return asked


@EVERY
def test_every_service_has_a_deployment_and_there_is_no_other(name: str) -> None:
    assert named(name, "Deployment").keys() == {*MODULES, "edge"}
    for service, package in MODULES.items():
        [container] = pod_of(named(name, "Deployment")[service])["containers"]
        assert container["args"] == ["-m", package]
        assert environment(name, container)["PAYMESH_SERVICE_NAME"] == service


@EVERY
def test_every_database_has_a_migration_by_its_owner(name: str) -> None:
    jobs = named(name, "Job")

    assert jobs.keys() == {f"migrate-{service}" for service in DATABASES}
    for service, database in DATABASES.items():
        [container] = pod_of(jobs[f"migrate-{service}"])["containers"]
        assert container["args"] == ["-m", "chassis.migrate", MODULES[service]]
        assert newest_schema(MODULES[service])
        url = environment(name, container)["PAYMESH_OWNER_DATABASE_URL"]
        assert f"//{service}_owner@{service}-db-rw:5432/{database}?" in url


@EVERY
def test_every_purge_runs_by_itself_as_its_own_role(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = {each.replace("-", "_"): job for each, job in named(name, "CronJob").items()}

    assert jobs.keys() == PURGERS.keys()
    for role, service in PURGERS.items():
        [container] = pod_of(jobs[role])["containers"]
        variables = environment(name, container)
        for key, value in variables.items():
            monkeypatch.setenv(key, value)
        settings = RetentionSettings()
        assert container["args"] == ["-m", f"{MODULES[service]}.retention"]
        assert jobs[role]["spec"]["concurrencyPolicy"] == "Forbid"
        assert settings.service_name == role
        url = settings.database_url.get_secret_value()
        assert f"//{role}@{service}-db-rw:5432/{DATABASES[service]}?" in url


@EVERY
def test_migrations_come_before_the_code_that_needs_them(name: str) -> None:
    def wave(kind: str) -> set[int]:
        notes = [each["metadata"].get("annotations", {}) for each in of_kind(name, kind)]
        return {int(each.get("argocd.argoproj.io/sync-wave", "0")) for each in notes}

    assert max(wave("ExternalSecret")) < min(wave("Cluster"))
    assert max(wave("Cluster")) < min(wave("Job"))
    assert max(wave("Job")) < min(wave("Deployment"))


@EVERY
def test_every_container_is_restricted_and_named_by_a_digest(name: str) -> None:
    for workload in of_kind(name, *WORKLOADS):
        pod = pod_of(workload)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert DIGEST.match(container["image"]), container["image"]
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}
            assert resources["limits"].keys() == {"memory"}, "a CPU limit throttles"


@EVERY
def test_no_pod_has_a_token_of_kubernetes(name: str) -> None:
    accounts = named(name, "ServiceAccount")

    for workload in of_kind(name, *WORKLOADS):
        pod = pod_of(workload)
        assert pod["automountServiceAccountToken"] is False
        assert accounts[pod["serviceAccountName"]]["automountServiceAccountToken"] is False
    services = [pod_of(each)["serviceAccountName"] for each in of_kind(name, "Deployment")]
    assert len(services) == len(set(services))


@EVERY
@pytest.mark.parametrize("service", MODULES)
def test_every_probe_asks_for_a_health_service_that_is_served(name: str, service: str) -> None:
    [container] = pod_of(named(name, "Deployment")[service])["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = {kind: grpc_of(container[f"{kind}Probe"]) for kind in PROBES}

    assert {probe.get("service", "") for probe in probes.values()} <= served(service)
    assert {probe["port"] for probe in probes.values()} == {ports["probe"]}
    assert probes["liveness"]["service"] == LIVENESS
    listens = environment(name, container)
    assert listens["PAYMESH_PROBE_LISTEN"] == f"0.0.0.0:{ports['probe']}"
    assert listens["PAYMESH_METRICS_LISTEN"] == f"0.0.0.0:{ports['metrics']}"
    assert listens["PAYMESH_LISTEN"] == f"0.0.0.0:{ports['grpc']}"


@EVERY
def test_envoy_is_asked_over_https(name: str) -> None:
    [container] = pod_of(named(name, "Deployment")["edge"])["containers"]

    for kind in PROBES:
        assert container[f"{kind}Probe"]["httpGet"] == {
            "path": "/healthz",
            "port": "https",
            "scheme": "HTTPS",
        }


@EVERY
def test_a_pod_lives_until_it_has_drained(name: str) -> None:
    for service, deployment in named(name, "Deployment").items():
        pod = pod_of(deployment)
        [container] = pod["containers"]
        hook = container["lifecycle"]["preStop"]
        if service == "edge":
            slept = int(hook["exec"]["command"][-1].rpartition("sleep ")[2])
            assert slept < pod["terminationGracePeriodSeconds"]
        else:
            drain_s = float(environment(name, container)["PAYMESH_DRAIN_S"])
            needed = hook["sleep"]["seconds"] + drain_s
            assert needed < pod["terminationGracePeriodSeconds"]


@EVERY
def test_everything_is_spread_and_stays_while_nodes_are_drained(name: str) -> None:
    budgets = named(name, "PodDisruptionBudget")

    assert budgets.keys() == named(name, "Deployment").keys()
    for service, deployment in named(name, "Deployment").items():
        selector = deployment["spec"]["selector"]
        assert selector == {"matchLabels": {NAME: service}}
        assert budgets[service]["spec"]["selector"] == selector
        spread = pod_of(deployment)["topologySpreadConstraints"]
        assert "topology.kubernetes.io/zone" in {each["topologyKey"] for each in spread}
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        for each in spread:
            assert each["labelSelector"]["matchLabels"].items() <= labels.items()


@EVERY
def test_every_deployment_is_scaled_by_one_thing_and_holds_no_number_itself(name: str) -> None:
    by_load = [
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(name, "HorizontalPodAutoscaler")
    ]
    by_lag = [each["spec"]["scaleTargetRef"]["name"] for each in of_kind(name, "ScaledObject")]

    assert sorted(by_load + by_lag) == sorted(named(name, "Deployment"))
    assert all("replicas" not in each["spec"] for each in of_kind(name, "Deployment"))


@EVERY
def test_what_reads_kafka_is_scaled_by_the_lag_of_its_group(name: str) -> None:
    topics = {each["spec"]["topicName"]: each["spec"] for each in of_kind(name, "KafkaTopic")}
    consumers = {}
    for service, package in MODULES.items():
        if importlib.util.find_spec(f"{package}.consumer"):
            consumers[service] = importlib.import_module(f"{package}.consumer")

    assert named(name, "ScaledObject").keys() == consumers.keys()
    for service, consumer in consumers.items():
        spec = named(name, "ScaledObject")[service]["spec"]
        [trigger] = [each for each in spec["triggers"] if each["type"] == "kafka"]
        assert trigger["metadata"]["consumerGroup"] == consumer.GROUP
        assert trigger["metadata"]["topic"] in consumer.TOPICS
        assert spec["maxReplicaCount"] <= topics[trigger["metadata"]["topic"]]["partitions"]


@EVERY
@pytest.mark.parametrize("service", MODULES)
def test_a_service_gets_what_it_reads_and_nothing_else(
    name: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [container] = pod_of(named(name, "Deployment")[service])["containers"]
    variables = environment(name, container)
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    types = settings_types(MODULES[service])
    if any(key.startswith("PAYMESH_KEYS_") for key in variables):
        types += key_store_types(variables["PAYMESH_KEYS_STORE"])

    known = {
        f"{each.model_config['env_prefix']}{field}".upper()
        for each in types
        for field in each.model_fields
    }
    given = {key for key in variables if key.startswith("PAYMESH_")}
    assert given <= known, f"unknown: {given - known}"
    for each in types:
        each()  # raises where one is missing or wrong


def key_store_types(store: str) -> list[Any]:
    """Return the settings of a key store."""
    own = {"file": config.FileSettings, "pkcs11": config.Pkcs11Settings}
    return [config.KeyStoreChoice, own[store]]


@EVERY
def test_envoy_gets_a_value_for_every_placeholder(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = pod_of(named(name, "Deployment")["edge"])
    [fill] = edge["initContainers"]
    variables = environment(name, fill)
    for key, value in variables.items():
        monkeypatch.setenv(key, value)

    settings = EnvoySettings()

    assert variables.keys() == {f"PAYMESH_ENVOY_{each.upper()}" for each in settings.model_dump()}
    [container] = edge["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"https": settings.edge_port, "metrics": settings.metrics_port}
    assert str(settings.admin_port) in container["lifecycle"]["preStop"]["exec"]["command"][-1]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"/envoy", str(settings.tls_dir)}


@EVERY
def test_every_service_leads_to_a_port_of_its_pods(name: str) -> None:
    for service in of_kind(name, "Service"):
        wanted = service["spec"]["selector"]
        [deployment] = [
            each
            for each in of_kind(name, "Deployment")
            if wanted.items() <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        [container] = pod_of(deployment)["containers"]
        listens = environment(name, container)
        open_ports = {port["containerPort"] for port in container["ports"]}
        open_ports |= {
            int(value.rpartition(":")[2])
            for key, value in listens.items()
            if key.endswith("HTTP_LISTEN")
        }
        port_names = {port["name"]: port["containerPort"] for port in container["ports"]}
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            assert port_names.get(target, target) in open_ports
