"""What a whole sandbox consists of: every process, with its addresses and configuration."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sandbox.networks.certificates import network_authority, network_files, server_name
from sandbox.operator_access import operator_channel
from sandbox.platform import envoy, jars
from sandbox.platform.authority import Authority
from sandbox.platform.certificates import Renewals, create_missing_keys, mesh_authority
from sandbox.platform.kafka import Connect, Kafka, resources
from sandbox.platform.postgres import Postgres
from sandbox.process import Check, Spec, Step
from sandbox.state import DATABASES, PURGERS, ROOT, StateDir

NETWORKS = ("visa_sim", "mastercard_sim")
NETWORK_TIMEOUT_S = 2
EVENT_LATE_S = 10
RELAY_AFTER_S = 20  # longer than what a killed connector leaves open in Kafka
HOST = "127.0.0.1"
SERVICES: dict[str, tuple[str, str]] = {  # process name → service name, module
    "authz": ("authz", "edge.authz"),
    "web": ("web", "edge.web"),
    "intent_svc": ("intent", "intent_svc"),
    "txn_svc": ("txn", "txn_svc"),
    "recon_svc": ("recon", "recon_svc"),
    "webhook_svc": ("webhook", "webhook_svc"),
    "audit_svc": ("audit", "audit_svc"),
}
KEY_STORES = {"txn": "cards", "audit": "audit"}  # service → key store
NETWORKS_FILE = ROOT / "sandbox" / "networks.yaml"


@dataclass(frozen=True, slots=True)
class Topology:
    """The parts of one sandbox.

    has_proxies: whether txn_svc reaches the card networks through proxies that can be told to fail.
    mesh: the CA of the mesh. networks: each card network's own.
    """

    state: StateDir
    ports: dict[str, int]
    postgres: Postgres
    kafka: Kafka
    connect: Connect
    has_proxies: bool
    mesh: Authority
    networks: dict[str, Authority]

    def renewals(self, after: Callable[[], Awaitable[None]]) -> Renewals:
        """Return what renews certificates, and then lets parts know that do not look themselves."""
        return Renewals([self.mesh, *self.networks.values()], after)

    def prepare(self) -> None:
        """Fetch and write what the parts need on disk."""
        for authority in (self.mesh, *self.networks.values()):
            authority.renew()
        create_missing_keys(self.state.tls)
        jars.install(self.state.path / "kafka" / "lib", self.connect.plugins)
        self.postgres.prepare()
        self.kafka.prepare()
        self.connect.prepare()
        self.state.clearing_inbox.mkdir(parents=True, exist_ok=True)
        self.state.archive.mkdir(exist_ok=True)

    def address(self, name: str) -> str:
        """Return "host:port" of a port by name."""
        return f"{HOST}:{self.ports[name]}"

    def network(self, name: str) -> Spec:
        """Return how to run a simulated card network."""
        folder = self.state.networks
        folder.mkdir(exist_ok=True)
        admin = self.address(f"{name}_admin")

        return Spec(
            name=name,
            command=[
                *(sys.executable, "-m", "sandbox.networks", name),
                *("--listen", self.address(name), "--admin", admin),
                *("--state-dir", str(folder), "--client-timeout-s", str(NETWORK_TIMEOUT_S)),
                *("--clearing-dir", str(self.state.clearing_inbox)),
                *("--tls-dir", str(self.state.network_tls(name))),
            ],
            is_healthy=_http_health(admin),
            folder=ROOT,
        )

    def proxy(self, name: str) -> Spec:
        """Return how to run the proxy before a simulated card network."""
        admin = self.address(f"{name}_proxy_admin")

        return Spec(
            name=f"{name}_proxy",
            command=[
                *(sys.executable, "-m", "sandbox.networks.proxy", name),
                *("--tls-dir", str(self.state.network_tls(name))),
                *("--listen", self.address(f"{name}_proxy"), "--network", self.address(name)),
                *("--admin", admin),
            ],
            is_healthy=_http_health(admin),
            folder=ROOT,
        )

    def service(self, process_name: str) -> Spec:
        """Return how to run a service of paymesh."""
        name, module = SERVICES[process_name]
        return Spec(
            name=process_name,
            command=[sys.executable, "-m", module],
            is_healthy=self._grpc_health(self.address(name)),
            environment=self._environment(name),
            folder=ROOT,
            metrics=f"http://{self.address(f'{name}_metrics')}/metrics",
            stop_s=15,
        )

    def migrations(self) -> Step:
        """Return how to bring the databases of all services to the schemas that they need."""
        packages = dict(SERVICES.values())
        urls = {
            packages[service]: _for_sqlalchemy(self.postgres.url(f"{service}_owner", database))
            for service, database in DATABASES.items()
        }
        return Step(
            name="migrations",
            command=[sys.executable, "-m", "sandbox.platform.migrations"],
            environment={"PAYMESH_OWNER_DATABASE_URLS": json.dumps(urls)},
            folder=ROOT,
        )

    def envoy(self) -> Spec:
        """Return how to run the edge."""
        values: dict[str, object] = {
            "EDGE_ADDRESS": HOST,
            "EDGE_PORT": self.ports["edge"],
            "ADMIN_PORT": self.ports["edge_admin"],
            "METRICS_PORT": self.ports["edge_metrics"],
            "TLS_DIR": self.state.tls,
            "ACCESS_LOG": self.state.logs / "envoy-access.log",
            "AUTHZ_HOST": HOST,
            "AUTHZ_PORT": self.ports["authz_http"],
            "WEB_HOST": HOST,
            "WEB_PORT": self.ports["web_http"],
            "COLLECTOR_HOST": HOST,
            "COLLECTOR_PORT": self.ports["collector"],
        }
        for name in ("intent", "txn", "webhook"):
            values |= {f"{name.upper()}_HOST": HOST, f"{name.upper()}_PORT": self.ports[name]}
        return envoy.spec(
            self.state.path / "envoy", values, self.ports["edge_admin"], self.ports["edge_metrics"]
        )

    def summary(self) -> dict[str, Any]:
        """Return what `paymesh status --json` says besides the processes."""
        return {
            "edge_url": f"https://localhost:{self.ports['edge']}",
            "ca_file": str(self.state.tls / "ca.crt"),
            "state_dir": str(self.state.path),
            "kafka": self.kafka.bootstrap,
            "connect": self.address("connect"),
            "authz": self.address("authz"),
            "recon": self.address("recon"),
            "audit": self.address("audit"),
            "intent": self.address("intent"),
            "txn": self.address("txn"),
            "postgres_port": self.ports["postgres"],
            "captured": {
                name: self.postgres.url("debezium", DATABASES[name]) for name in DATABASES
            },
            "databases": {name: self.postgres.superuser_url(name) for name in DATABASES.values()},
            "purgers": {
                role: _for_sqlalchemy(self.postgres.url(role, DATABASES[service]))
                for role, service in PURGERS.items()
            },
            "networks": {
                name: {"address": self.address(name), "admin": self.address(f"{name}_admin")}
                for name in NETWORKS
            },
            "proxies": {
                name: self.address(f"{name}_proxy_admin") for name in NETWORKS if self.has_proxies
            },
        }

    def _environment(self, name: str) -> dict[str, str]:
        tls = self.state.tls
        common = {
            "SERVICE_NAME": name,
            "LISTEN": self.address(name),
            "METRICS_LISTEN": self.address(f"{name}_metrics"),
            "TLS_CERTIFICATE": tls / f"{name}.crt",
            "TLS_KEY": tls / f"{name}.key",
            "TLS_CA": tls / "ca.crt",
            "JWKS_FILE": tls / "jwks.json",
            "TRACE_FILE": self.state.logs / f"{name}-spans.log",
            "DRAIN_S": 5,
        }
        own: dict[str, dict[str, object]] = {
            "authz": {
                "HTTP_LISTEN": self.address("authz_http"),
                "MASTER_KEY_FILE": tls / "master.key",
                "JWT_KEY_FILE": tls / "jwt.key",
            },
            "web": {"HTTP_LISTEN": self.address("web_http")},
            "intent": {
                "RELAY_AFTER_S": RELAY_AFTER_S,
                "REQUEST_KEY_FILE": tls / "request.key",
                "TXN_ADDRESS": self.address("txn"),
                "AUDIT_ADDRESS": self.address("audit"),
            },
            "txn": {
                "RELAY_AFTER_S": RELAY_AFTER_S,
                "REQUEST_KEY_FILE": tls / "request.key",
                "INTENT_ADDRESS": self.address("intent"),
                "AUDIT_ADDRESS": self.address("audit"),
                "NETWORKS": json.dumps({name: self._link(name) for name in NETWORKS}),
                "NETWORKS_FILE": NETWORKS_FILE,
            },
            "recon": {
                "TXN_ADDRESS": self.address("txn"),
                "NETWORKS_FILE": NETWORKS_FILE,
                "EVENT_LATE_S": EVENT_LATE_S,
                "INBOX_URL": self.state.clearing_inbox.as_uri(),
            },
            "webhook": {
                "MASTER_KEY_FILE": tls / "master.key",
                "ALLOW_PRIVATE_ADDRESSES": "true",
            },
            "audit": {
                "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
                "ARCHIVE_URL": self.state.archive.as_uri(),
                "FILE_S_MAX": 10,
            },
        }
        if database := DATABASES.get(name):
            common["DATABASE_URL"] = _for_sqlalchemy(self.postgres.url(name, database))
            common["KAFKA_BOOTSTRAP"] = self.kafka.bootstrap
        named = {f"PAYMESH_{key}": str(value) for key, value in (common | own[name]).items()}
        return named | (self.state.key_store(KEY_STORES[name]) if name in KEY_STORES else {})

    def _link(self, name: str) -> dict[str, Any]:
        files = network_files(self.state.network_tls(name), "acquirer")
        return {
            "addresses": [self.address(f"{name}_proxy" if self.has_proxies else name)],
            "server_name": server_name(name),
            "certificate_file": str(files.certificate),
            "key_file": str(files.key),
            "ca_file": str(files.ca),
        }

    def _grpc_health(self, address: str) -> Check:
        tls = self.state.tls
        channel: grpc.aio.Channel | None = None

        async def is_healthy() -> bool:
            nonlocal channel
            if channel is None:
                channel = operator_channel(tls, address)
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=2)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        return is_healthy


def topology(state: StateDir, *, has_proxies: bool, certificate_lifetime: timedelta) -> Topology:
    """Return the sandbox of a state folder, on ports that are free now."""
    ports = state.ports()
    lib = state.path / "kafka" / "lib"
    kafka = Kafka(state.path / "kafka", lib, ports["kafka"], ports["kafka_controller"], state.tls)
    return Topology(
        state,
        ports,
        Postgres(
            state.postgres,
            ports["postgres"],
            state.tls,
            state.postgres_programs,
        ),
        kafka,
        Connect(
            state.path / "connect",
            lib,
            state.path / "connect" / "plugins",
            ports["connect"],
            kafka,
            metrics_port=ports["connect_metrics"],
            connectors=list(resources("connectors.yaml")),
        ),
        has_proxies,
        mesh_authority(state.tls, certificate_lifetime),
        {
            name: network_authority(state.network_tls(name), name, certificate_lifetime)
            for name in NETWORKS
        },
    )


def _for_sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _http_health(admin: str) -> Check:
    async def is_healthy() -> bool:
        return await asyncio.to_thread(_answers, f"http://{admin}/health")

    return is_healthy


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 our own network
        return bool(answer.status == 200)
