"""Alarms and dashboards: every metric exists, every alarm has its page in the runbook."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from paymesh.intent.v1 import payment_intent_service_pb2
from paymesh.txn.v1 import transaction_service_pb2
from prometheus_client import CollectorRegistry, generate_latest

from chassis.errors import RENDERINGS
from k8s.kustomize import containers
from sandbox.top.figures import CALLS, FIGURES, KINDS
from sandbox.top.series import Elsewhere
from tests.unit.manifests.parts import MODULES, OVERLAYS, environment, named, of_kind, pod_of
from txn_svc.networks.connection import Stage

ROOT = Path(__file__).resolve().parents[3]
EVERY = pytest.mark.parametrize("name", OVERLAYS)
RUNBOOKS = (ROOT / "docs" / "operations.md").read_text()
FOREIGN = {
    *("cnpg_pg_stat_archiver_seconds_since_last_archival",),  # CloudNativePG 1.30's own queries
    *("cnpg_pg_replication_streaming_replicas",),
    *("kafka_consumergroup_lag",),  # Strimzi's Kafka exporter
    *("certmanager_certificate_expiration_timestamp_seconds",),  # cert-manager
    *("kube_deployment_status_replicas_available", "kube_job_status_failed"),  # kube-state-metrics
    *("kube_pod_status_ready",),
    *("envoy_http_downstream_rq_xx", "envoy_http_downstream_rq_time_bucket"),  # Envoy itself
    *("process_cpu_seconds_total", "process_resident_memory_bytes"),  # prometheus_client
}
WORDS = {  # of PromQL, and labels that expressions name
    *("sum", "max", "min", "rate", "increase", "histogram_quantile", "by", "time"),
    *("le", "service", "network", "stage", "group", "status", "server", "connector", "cluster"),
    *("slot", "database", "consumergroup", "name", "namespace", "job_name", "deployment"),
    *("condition", "pod", "e9", "kind", "method", "envoy_response_code_class"),
    "envoy_http_conn_manager_prefix",
}


def _instruments() -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and unit of each instrument in the code of chassis and services."""
    for folder in ("chassis", "edge", *(each for each in MODULES.values() if "." not in each)):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                kind = node.func.attr.removeprefix("create_")
                if kind in ("counter", "gauge", "histogram") and node.args:
                    unit = next(each.value for each in node.keywords if each.arg == "unit")
                    yield kind, ast.literal_eval(node.args[0]), ast.literal_eval(unit)


def of_the_services() -> set[str]:
    """Return the names under which Prometheus reads the instruments, as the exporter makes them."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader()
    meter = MeterProvider([reader]).get_meter("paymesh")
    for kind, name, unit in _instruments():
        instrument = getattr(meter, f"create_{kind}")(name, unit=unit)
        getattr(instrument, {"counter": "add", "gauge": "set", "histogram": "record"}[kind])(1)
    registry.register(reader._collector)  # noqa: SLF001 it registers with a global one only
    found = re.findall(r"^(paymesh_\w+)", generate_latest(registry).decode(), re.MULTILINE)
    return set(found)


def of_the_platform(name: str) -> set[str]:
    """Return the names that our configuration of Connect makes."""
    connect = named(name, "ConfigMap")["connect-metrics"]
    return {rule["name"] for rule in yaml.safe_load(connect["data"]["metrics.yaml"])["rules"]}


def expressions(name: str) -> Iterator[tuple[str, str]]:
    """Yield each expression with where it stands."""
    for rule in of_kind(name, "PrometheusRule"):
        for group in rule["spec"]["groups"]:
            for alarm in group["rules"]:
                yield alarm["alert"], alarm["expr"]
    for file, text in named(name, "ConfigMap")["dashboards"]["data"].items():
        for panel in json.loads(text)["panels"]:
            for target in panel["targets"]:
                yield f"{file}: {panel['title']}", target["expr"]


def test_every_expression_uses_metrics_that_exist() -> None:
    existing = of_the_services() | of_the_platform("production") | FOREIGN
    for place, expression in expressions("production"):
        bare = re.sub(r'"[^"]*"|\[\d+[smh]\]', "", expression)
        used = set(re.findall(r"[a-z_][a-z0-9_]{2,}", bare)) - WORDS
        assert used, place
        assert used <= existing, f"{place}: {used - existing}"


def test_every_metric_of_the_services_is_on_a_dashboard_or_raises_an_alarm() -> None:
    shown = " ".join(expression for _, expression in expressions("production"))
    for _, name, _ in _instruments():
        assert name in shown, name


def test_dashboards_show_what_top_shows_and_the_reverse() -> None:
    boards = named("production", "ConfigMap")["dashboards"]["data"].values()
    shown = [
        (panel["title"], panel["fieldConfig"]["defaults"]["unit"], target["expr"])
        for board in boards
        for panel in json.loads(board)["panels"]
        for target in panel["targets"]
    ]

    assert sorted(shown) == sorted((f.panel, f.unit, f.reading.expression) for f in FIGURES)


def test_top_leaves_out_what_no_process_of_ours_tells_and_nothing_else() -> None:
    elsewhere = {each.name for each in FIGURES if isinstance(each.reading, Elsewhere)}

    of_operators = ("cnpg_", "kafka_consumergroup_lag", "certmanager_")
    assert elsewhere == {
        each.name
        for each in FIGURES
        if any(operator in each.reading.expression for operator in of_operators)
    }


def test_every_kind_of_request_is_answered_by_methods_that_exist() -> None:
    methods = {
        f"/{service.full_name}/{method.name}"
        for module in (payment_intent_service_pb2, transaction_service_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }

    by_kind = {
        kind: {method.rpartition("/")[2] for method in methods if re.fullmatch(pattern, method)}
        for kind, pattern in KINDS.items()
    }
    assert by_kind == {
        "creates": {"CreatePaymentIntent"},
        "charges": {"CreateTransaction"},
        "reads": {"GetPaymentIntent", "ListPaymentIntents", "GetTransaction", "ListTransactions"},
    }
    assert f"{CALLS}_bucket" in of_the_services()


def test_label_values_in_expressions_are_those_of_the_code() -> None:
    shown = " ".join(expression for _, expression in expressions("production"))

    assert set(re.findall(r'stage="(\w+)"', shown)) <= {str(stage) for stage in Stage}
    statuses = {rendering.grpc_status.name for rendering in RENDERINGS.values()} | {"INTERNAL"}
    for each in re.findall(r'status=~"([\w|]+)"', shown):
        assert set(each.split("|")) <= statuses


@EVERY
def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm(name: str) -> None:
    [rule] = of_kind(name, "PrometheusRule")
    alarms = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    chapter = RUNBOOKS.partition("\n## Runbooks\n")[2].partition("\n## ")[0]

    headings = re.findall(r"^### (\w+)$", chapter, re.MULTILINE)
    assert sorted(headings) == sorted(each["alert"] for each in alarms)
    for each in alarms:
        url = each["annotations"]["runbook_url"]
        assert url.endswith(f"docs/operations.md#{each['alert'].lower()}")


@EVERY
def test_metrics_of_every_deployment_are_read_from_a_port_that_its_pods_have(name: str) -> None:
    read = []
    for monitor in ("services", "edge"):
        spec = named(name, "PodMonitor")[monitor]["spec"]
        wanted = spec["selector"]["matchLabels"].items()
        [endpoint] = spec["podMetricsEndpoints"]
        for deployment in of_kind(name, "Deployment"):
            if wanted <= deployment["spec"]["template"]["metadata"]["labels"].items():
                ports = {
                    port["name"]
                    for each in containers(deployment)
                    for port in each.get("ports", [])
                }
                assert endpoint["port"] in ports
                read.append(deployment["metadata"]["name"])

    assert sorted(read) == sorted(named(name, "Deployment"))


@EVERY
def test_envoys_statistics_are_for_monitoring_and_its_admin_interface_for_nobody(name: str) -> None:
    [container] = pod_of(named(name, "Deployment")["edge"])["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    [fill] = pod_of(named(name, "Deployment")["edge"])["initContainers"]
    admin = int(environment(name, fill)["PAYMESH_ENVOY_ADMIN_PORT"])
    rules = named(name, "NetworkPolicy")["edge"]["spec"]["ingress"]
    allowed = {port["port"]: rule.get("from") for rule in rules for port in rule["ports"]}

    monitoring = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    assert allowed == {ports["https"]: None, ports["metrics"]: [{"namespaceSelector": monitoring}]}
    assert admin not in allowed
    assert admin not in ports.values()
    targets = named(name, "Service")["edge"]["spec"]["ports"]
    assert [each["targetPort"] for each in targets] == ["https"]


def test_the_listener_of_envoys_statistics_leads_to_nothing_else() -> None:
    resources = yaml.safe_load((ROOT / "edge" / "envoy.yaml").read_text())["static_resources"]
    by_name = {each["name"]: each for each in resources["listeners"]}
    [chain] = by_name["stats"]["filter_chains"]
    [connections] = [each["typed_config"] for each in chain["filters"]]
    [host] = connections["route_config"]["virtual_hosts"]
    [route] = host["routes"]
    path = named("production", "PodMonitor")["edge"]["spec"]["podMetricsEndpoints"][0]["path"]

    assert route["match"]["path"] == path == "/stats/prometheus"
    matched = {each["name"]: each["string_match"] for each in route["match"]["headers"]}
    assert matched == {":method": {"exact": "GET"}, ":path": {"exact": path}}
    assert route["route"].keys() == {"cluster", "timeout"}
    others = [each for name, each in by_name.items() if name != "stats"]
    assert "'cluster': 'admin'" not in str(others)


def test_dashboards_are_named_and_their_panels_do_not_overlap() -> None:
    boards = named("production", "ConfigMap")["dashboards"]["data"]
    for text in boards.values():
        board = json.loads(text)
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(places) == len(set(places))
        assert len({panel["id"] for panel in board["panels"]}) == len(places)
        assert board["uid"].startswith("paymesh-")
