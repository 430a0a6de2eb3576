"""Asks the audit trail, as the platform team would, and proves the archive without any service."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import duckdb
from google.protobuf.json_format import MessageToDict
from paymesh.audit.v1 import audit_service_pb2 as audit_pb2
from paymesh.audit.v1 import audit_service_pb2_grpc as audit_grpc

from audit_svc.handlers.verification import verify
from audit_svc.messages import verdict_message
from audit_svc.store.archive import Archive
from chassis.ids import Kid
from chassis.keystore.store import PublicKey
from sandbox.operator_access import operator_stub
from sandbox.state import StateDir

HISTORY_TIMEOUT_S = 60
VERIFY_TIMEOUT_S = 24 * 3600
NUMBERS = ("committedUs", "transactionId", "logPosition", "offset", "files", "records")


async def history(state: StateDir, status: dict[str, Any], payment: str) -> dict[str, Any]:
    """Return a payment's story."""
    async with _service(state, status) as stub:
        request = audit_pb2.GetPaymentHistoryRequest(payment_intent_id=payment)
        return _shown(await stub.GetPaymentHistory(request, timeout=HISTORY_TIMEOUT_S))


async def verify_running(state: StateDir, status: dict[str, Any]) -> dict[str, Any]:
    """Have the archive verified by audit_svc, which also knows what Kafka was told."""
    async with _service(state, status) as stub:
        request = audit_pb2.VerifyArchiveRequest()
        return _shown(await stub.VerifyArchive(request, timeout=VERIFY_TIMEOUT_S))


def verify_alone(url: str, keys: Iterable[PublicKey]) -> dict[str, Any]:
    """Verify an archive here, with nothing but its files and the public keys."""
    return _shown(verdict_message(verify(Archive(url), list(keys), {})))


def query(folder: Path, sql: str) -> duckdb.DuckDBPyRelation | None:
    """Ask the archive in a folder in SQL: its records are the table `archive`."""
    files = str(folder / "data" / "**" / "*.parquet").replace("'", "''")
    connection = duckdb.connect()
    connection.execute(
        "create view archive as select * replace (decode(key) as key) "  # noqa: S608 our own path
        f"from read_parquet('{files}')"
    )
    return connection.sql(sql)


def jwks(keys: Iterable[PublicKey]) -> str:
    """Return public keys as a JSON Web Key Set."""
    listed = [
        {
            "kty": "EC",
            "crv": "P-256",
            "use": "sig",
            "alg": "ES256",
            "kid": key.kid,
            "x": base64.urlsafe_b64encode(key.x).rstrip(b"=").decode(),
            "y": base64.urlsafe_b64encode(key.y).rstrip(b"=").decode(),
        }
        for key in keys
    ]
    return json.dumps({"keys": listed}, indent=1)


def read_jwks(text: str) -> list[PublicKey]:
    """Return the keys of such a set. Raises ValueError, LookupError."""
    return [
        PublicKey(Kid(key["kid"]), _coordinate(key["x"]), _coordinate(key["y"]))
        for key in json.loads(text)["keys"]
    ]


def _coordinate(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _service(state: StateDir, status: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
    return operator_stub(state.tls, status["audit"], audit_grpc.AuditServiceStub)


def _shown(message: Any) -> dict[str, Any]:
    """Return a message as JSON has it, with its 64-bit integers as numbers."""
    shown: dict[str, Any] = _with_numbers(
        MessageToDict(message, always_print_fields_with_no_presence=True)
    )
    return shown


def _with_numbers(shown: Any) -> Any:
    if isinstance(shown, dict):
        return {
            name: int(value) if name in (*NUMBERS, "provedUntilMs") else _with_numbers(value)
            for name, value in shown.items()
        }
    return [_with_numbers(value) for value in shown] if isinstance(shown, list) else shown
