"""What Kubernetes asks a process: its health without TLS, and nothing else on that port."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from paymesh.recon.v1 import reconciliation_service_pb2, reconciliation_service_pb2_grpc

from chassis.server import LIVENESS, serve
from recon_svc import __main__ as recon_main
from recon_svc.service import ReconciliationService
from tests.fakes import FakeClock
from tests.integration.authz_client import free_port
from tests.integration.settings import settings_of

pytestmark = pytest.mark.integration
RECON = "paymesh.recon.v1.ReconciliationService"
SERVING = health_pb2.HealthCheckResponse.SERVING


async def test_health_is_told_without_tls_and_no_other_service_is_there(tls: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = settings_of("recon", tls).model_copy(update={"probe_listen": address})
    nothing: object = None
    service = ReconciliationService(nothing, nothing, FakeClock())  # type: ignore[arg-type]
    serving = asyncio.create_task(serve(settings, recon_main.services(service)))

    async with grpc.aio.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answers = [
            await health.Check(
                health_pb2.HealthCheckRequest(service=name), timeout=20, wait_for_ready=True
            )
            for name in ("", LIVENESS, RECON)
        ]
        stub = reconciliation_service_pb2_grpc.ReconciliationServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListBreaks(reconciliation_service_pb2.ListBreaksRequest(), timeout=5)
    os.kill(os.getpid(), signal.SIGTERM)
    await serving

    assert [answer.status for answer in answers] == [SERVING] * 3
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
