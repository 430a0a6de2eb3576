"""A broker of the tests' own, and questions to it with any certificate."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chassis.identity import kafka_credentials
from sandbox.operator_access import operator_kafka
from sandbox.platform import jars
from sandbox.platform.certificates import issue
from sandbox.platform.kafka import Kafka
from sandbox.process import Process
from tests.integration.authz_client import free_port

HOST = "127.0.0.1"
CORRELATION_ID = 77
# ApiVersions, version 0, without a client id.
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, CORRELATION_ID, -1)


@dataclass(frozen=True)
class Broker:
    """A broker with the topics and users of `k8s/`. folder: has `tls` and what it writes."""

    kafka: Kafka
    folder: Path
    port: int
    controller_port: int

    @property
    def tls(self) -> Path:
        """The certificates of its mesh."""
        return self.folder / "tls"

    def client(self, name: str) -> dict[str, Any]:
        """Return what a client of Kafka takes to come as a service."""
        own = kafka_credentials(
            self.tls / f"{name}.crt", self.tls / f"{name}.key", self.tls / "ca.crt"
        )
        return {"bootstrap_servers": self.kafka.bootstrap, **own}

    def operator(self) -> dict[str, Any]:
        """Return what a client of Kafka takes to come as the platform team."""
        return operator_kafka(self.kafka.bootstrap, self.tls)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it, on the same ports and data each time."""
        await asyncio.to_thread(self.kafka.prepare)
        process = Process(self.kafka.spec(), self.folder / "kafka.log", lambda: None)
        await process.start()
        try:
            await process.healthy()
            await self.kafka.create_users_and_topics()
            yield
        finally:
            await process.stop()


def a_broker(folder: Path) -> Broker:
    """Return a broker that does not run yet, in a mesh of its own."""
    issue(folder / "tls")
    lib = folder / "lib"
    jars.install(lib, folder / "plugins")
    port, controller_port = free_port(), free_port()
    kafka = Kafka(folder / "kafka", lib, port, controller_port, folder / "tls")
    return Broker(kafka, folder, port, controller_port)


def put_certificate(of: Path, tls: Path, name: str) -> None:
    """Put the certificate and key of one folder into another, as whoever renews them does."""
    for kind in ("crt", "key"):
        shutil.copy(of / f"{name}.{kind}", tls / f"{name}.{kind}")


def trust(tls: Path, *folders: Path) -> None:
    """Let those who read this folder trust the CAs of these."""
    (tls / "ca.crt").write_bytes(b"".join((each / "ca.crt").read_bytes() for each in folders))


def put_odd_certificate(tls: Path, name: str) -> None:
    """Make a certificate whose subject also names an organization, by a CA that is trusted here."""
    key = ec.generate_private_key(ec.SECP256R1())
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x")
    subject = x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tls / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tls / f"{name}.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with (tls / "ca.crt").open("ab") as trusted:
        trusted.write(certificate.public_bytes(Encoding.PEM))


def answers(port: int, context: ssl.SSLContext | None) -> bool:
    """Return whether Kafka's protocol is spoken to whoever comes with this context, or without."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 5) as plain:
        connection = plain
        if context is not None:
            connection = context.wrap_socket(plain, server_hostname=HOST)
        with connection:
            connection.sendall(API_VERSIONS)
            return connection.recv(8)[4:] == struct.pack(">i", CORRELATION_ID)
    return False


def context_of(tls: Path, name: str | None) -> ssl.SSLContext:
    """Return a context that trusts a folder's CA and shows a certificate of it, or none."""
    context = ssl.create_default_context(cafile=tls / "ca.crt")
    if name is not None:
        context.load_cert_chain(tls / f"{name}.crt", tls / f"{name}.key")
    return context
