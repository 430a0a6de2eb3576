"""Who reaches Kafka, and what each may do there: PEM stores, and the users of k8s as ACLs."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

HOST = "127.0.0.1"
STORE = "keystore.pem"
SHOWN_S_MAX = 10.0
LOOKS = 8  # connections go to the broker's threads in turn, and each thread reads the files itself
# A certificate that names anything but its owner is nobody's and is refused.
PRINCIPAL_RULE = "RULE:^CN=([a-z]+)$/$1/"
SUPER_USERS = ("kafka", "operator")
RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}
EVERY_ACL = ACLFilter(
    None,
    None,
    ACLOperation.ANY,
    ACLPermissionType.ANY,
    ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
)


def write_store(tls: Path, name: str, folder: Path) -> Path:
    """Write a key and its certificate in one file, as Kafka wants them, and return that file."""
    store = folder / STORE
    fresh = store.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes((tls / f"{name}.key").read_bytes() + (tls / f"{name}.crt").read_bytes())
    fresh.replace(store)
    return store


def is_half_over(folder: Path) -> bool:
    """Return whether half of the life of the certificate in a folder's store is over."""
    own = x509.load_pem_x509_certificate((folder / STORE).read_bytes())
    begins, ends = own.not_valid_before_utc, own.not_valid_after_utc
    return datetime.now(UTC) >= begins + (ends - begins) / 2


def until_shown(port: int, tls: Path, name: str) -> None:
    """Wait until a port shows the certificate of that name in the folder. Raises TimeoutError."""
    deadline = time.monotonic() + SHOWN_S_MAX
    while not all(_shows(port, tls, name) for _ in range(LOOKS)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"port {port} does not show the certificate {name}")
        time.sleep(0.1)


def _shows(port: int, tls: Path, name: str) -> bool:
    context = ssl.create_default_context(cafile=tls / "ca.crt")
    context.load_cert_chain(tls / "operator.crt", tls / "operator.key")
    own = x509.load_pem_x509_certificates((tls / f"{name}.crt").read_bytes())[0]
    try:
        with (
            socket.create_connection((HOST, port), SHOWN_S_MAX) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as connection,
        ):
            return connection.getpeercert(binary_form=True) == own.public_bytes(Encoding.DER)
    except OSError:
        return False


def stores(folder: Path, tls: Path) -> dict[str, object]:
    """Return the settings of what a process shows and trusts."""
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": folder / STORE,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": tls / "ca.crt",
    }


def broker_settings(folder: Path, tls: Path) -> dict[str, object]:
    """Return the settings of a broker that lets in who has a certificate and a right."""
    return {
        **stores(folder, tls),
        "ssl.client.auth": "required",
        "ssl.principal.mapping.rules": PRINCIPAL_RULE,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(f"User:{name}" for name in SUPER_USERS),
    }


def worker_settings(folder: Path, tls: Path) -> dict[str, object]:
    """Return the settings by which each kind of client in a worker of Connect shows who it is."""
    own = {"security.protocol": "SSL", **stores(folder, tls)}
    kinds = ("", "producer.", "consumer.", "admin.")
    return {f"{kind}{name}": value for kind in kinds for name, value in own.items()}


def apply_users(admin: KafkaAdminClient, users: Iterable[dict[str, Any]]) -> None:
    """Give the users of custom resources their rights and take all others away."""
    wanted = {acl for user in users for acl in _acls(user)}
    found = set(admin.describe_acls(EVERY_ACL)[0])
    if wanted - found:
        failed = admin.create_acls(sorted(wanted - found, key=repr))["failed"]
        if failed:
            raise RuntimeError(f"Kafka's users: {failed}")
    if found - wanted:
        admin.delete_acls(sorted(found - wanted, key=repr))


def _acls(user: dict[str, Any]) -> Iterator[ACL]:
    for rule in user["spec"]["authorization"]["acls"]:
        resource = rule["resource"]
        pattern = ResourcePattern(RESOURCES[resource["type"]], resource["name"])
        for operation in rule["operations"]:
            yield ACL(
                f"User:{user['metadata']['name']}",
                "*",
                OPERATIONS[operation],
                ACLPermissionType.ALLOW,
                pattern,
            )
