"""What a whole sandbox consists of: every process, with its addresses and configuration."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sandbox.operator_access import operator_channel
from sandbox.platform import certificates, envoy, jars
from sandbox.platform.kafka import Connect, Kafka
from sandbox.platform.postgres import Postgres
from sandbox.process import Check, Spec
from sandbox.state import ROOT, StateDir

NETWORKS = ("visa_sim", "mastercard_sim")
NETWORK_TIMEOUT_S = 2
HOST = "127.0.0.1"
SERVICES: dict[str, tuple[str, str]] = {  # process name → service name, module
    "authz": ("authz", "edge.authz"),
    "intent_svc": ("intent", "intent_svc"),
    "txn_svc": ("txn", "txn_svc"),
    "recon_svc": ("recon", "recon_svc"),
    "webhook_svc": ("webhook", "webhook_svc"),
}
DATABASES = {
    "authz": "edge",
    "intent": "intent",
    "txn": "txn",
    "recon": "recon",
    "webhook": "webhook",
}
NETWORKS_FILE = ROOT / "sandbox" / "networks.yaml"


@dataclass(frozen=True, slots=True)
class Topology:
    """The parts of one sandbox.

    has_proxies: whether txn_svc reaches the card networks through proxies that can be told to fail.
    """

    state: StateDir
    ports: dict[str, int]
    postgres: Postgres
    kafka: Kafka
    connect: Connect
    has_proxies: bool

    def prepare(self) -> None:
        """Fetch and write what the parts need on disk."""
        certificates.issue(self.state.tls)
        jars.install(self.state.path / "kafka" / "lib", self.state.path / "connect" / "plugins")
        self.postgres.prepare()
        self.kafka.prepare()
        self.connect.prepare()
        self.state.clearing_inbox.mkdir(parents=True, exist_ok=True)

    def address(self, name: str) -> str:
        """Return "host:port" of a port by name."""
        return f"{HOST}:{self.ports[name]}"

    def network(self, name: str) -> Spec:
        """Return how to run a simulated card network."""
        folder = self.state.path / "networks"
        folder.mkdir(exist_ok=True)
        admin = self.address(f"{name}_admin")

        return Spec(
            name=name,
            command=[
                *(sys.executable, "-m", "sandbox.networks", name),
                *("--listen", self.address(name), "--admin", admin),
                *("--state-dir", str(folder), "--client-timeout-s", str(NETWORK_TIMEOUT_S)),
                *("--clearing-dir", str(self.state.clearing_inbox)),
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
                *(sys.executable, "-m", "sandbox.networks.proxy"),
                *("--listen", self.address(f"{name}_proxy"), "--network", self.address(name)),
                *("--admin", admin),
            ],
            is_healthy=_http_health(admin),
            folder=ROOT,
        )

    def service(self, process_name: str) -> Spec:
        """Return how to run a service of paymesh."""
        name, module = SERVICES[process_name]
        metrics = self.address(f"{name}_metrics")
        return Spec(
            name=process_name,
            command=[sys.executable, "-m", module],
            is_healthy=self._grpc_health(self.address(name)),
            environment=self._environment(name),
            folder=ROOT,
            metrics=metrics,
            stop_s=15,
        )

    def envoy(self) -> Spec:
        """Return how to run the edge."""
        values: dict[str, object] = {
            "EDGE_ADDRESS": HOST,
            "EDGE_PORT": self.ports["edge"],
            "ADMIN_PORT": self.ports["edge_admin"],
            "TLS_DIR": self.state.tls,
            "DESCRIPTOR_SET": ROOT / "gen" / "api.binpb",
            "ACCESS_LOG": self.state.logs / "envoy-access.log",
            "AUTHZ_HOST": HOST,
            "AUTHZ_PORT": self.ports["authz_http"],
            "COLLECTOR_HOST": HOST,
            "COLLECTOR_PORT": self.ports["collector"],
        }
        for name in ("intent", "txn", "webhook"):
            values |= {f"{name.upper()}_HOST": HOST, f"{name.upper()}_PORT": self.ports[name]}
        return envoy.spec(self.state.path / "envoy", values, self.ports["edge_admin"])

    def summary(self) -> dict[str, Any]:
        """Return what `paymesh status --json` says besides the processes."""
        return {
            "edge_url": f"https://localhost:{self.ports['edge']}",
            "ca_file": str(self.state.tls / "ca.crt"),
            "state_dir": str(self.state.path),
            "kafka": self.kafka.bootstrap,
            "authz": self.address("authz"),
            "recon": self.address("recon"),
            "databases": {name: self.postgres.dsn(name, name) for name in DATABASES.values()},
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
        database = DATABASES[name]
        dsn = self.postgres.dsn(database, database).replace(
            "postgresql://", "postgresql+psycopg://"
        )
        common = {
            "SERVICE_NAME": name,
            "LISTEN": self.address(name),
            "METRICS_LISTEN": self.address(f"{name}_metrics"),
            "DATABASE_URL": dsn,
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
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
                "JWT_KEY_ID": certificates.KEY_ID,
            },
            "intent": {
                "REQUEST_KEY_FILE": tls / "request.key",
                "TXN_ADDRESS": self.address("txn"),
            },
            "txn": {
                "REQUEST_KEY_FILE": tls / "request.key",
                "INTENT_ADDRESS": self.address("intent"),
                "NETWORKS": json.dumps(
                    {
                        name: [self.address(f"{name}_proxy" if self.has_proxies else name)]
                        for name in NETWORKS
                    }
                ),
                "NETWORKS_FILE": NETWORKS_FILE,
            },
            "recon": {
                "TXN_ADDRESS": self.address("txn"),
                "NETWORKS_FILE": NETWORKS_FILE,
                "EVENT_LATE_S": 10,
                "INBOX_URL": self.state.clearing_inbox.as_uri(),
            },
            "webhook": {
                "MASTER_KEY_FILE": tls / "master.key",
                "ALLOW_PRIVATE_ADDRESSES": "true",
            },
        }
        return {f"PAYMESH_{key}": str(value) for key, value in (common | own[name]).items()}

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


def topology(state: StateDir, *, has_proxies: bool) -> Topology:
    """Return the sandbox of a state folder, on ports that are free now."""
    ports = state.ports()
    lib = state.path / "kafka" / "lib"
    kafka = Kafka(state.path / "kafka", lib, ports["kafka"], ports["kafka_controller"])
    return Topology(
        state,
        ports,
        Postgres(state.path / "postgres", ports["postgres"], state.passwords()),
        kafka,
        Connect(
            state.path / "connect",
            lib,
            state.path / "connect" / "plugins",
            ports["connect"],
            kafka,
        ),
        has_proxies,
    )


def _http_health(admin: str) -> Check:
    async def is_healthy() -> bool:
        return await asyncio.to_thread(_answers, f"http://{admin}/health")

    return is_healthy


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 our own network
        return bool(answer.status == 200)
