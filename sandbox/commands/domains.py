"""The commands `paymesh merchants domains …`: where a merchant takes cards."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import typer
from paymesh.merchant.v1 import payment_domain_service_pb2 as domain_pb2
from paymesh.merchant.v1 import payment_domain_service_pb2_grpc as domain_grpc

from sandbox.commands.options import StateOption, running
from sandbox.operator_access import operator_stub

domains_app = typer.Typer(
    no_args_is_help=True, help="Say whose pages may show the card fields of a merchant."
)
TIMEOUT_S = 10


@domains_app.command("add")
def add(merchant_id: str, domain: str, state_dir: StateOption = None) -> None:
    """Register a domain, e.g. shop.example."""
    typer.echo(asyncio.run(_add(state_dir, merchant_id, domain)))


@domains_app.command("list")
def list_domains(merchant_id: str, state_dir: StateOption = None) -> None:
    """List a merchant's domains."""
    for domain in asyncio.run(_list(state_dir, merchant_id)):
        typer.echo(domain)


@domains_app.command("remove")
def remove(merchant_id: str, domain: str, state_dir: StateOption = None) -> None:
    """Remove a domain; its pages stop showing the card fields within seconds."""
    asyncio.run(_remove(state_dir, merchant_id, domain))


async def _add(state_dir: Path | None, merchant_id: str, domain: str) -> str:
    async with _service(state_dir) as stub:
        request = domain_pb2.AddPaymentDomainRequest(merchant_id=merchant_id, domain=domain)
        added = await stub.AddPaymentDomain(request, timeout=TIMEOUT_S)
    return str(added.payment_domain.domain)


async def _list(state_dir: Path | None, merchant_id: str) -> list[str]:
    async with _service(state_dir) as stub:
        request = domain_pb2.ListPaymentDomainsRequest(merchant_id=merchant_id)
        found = await stub.ListPaymentDomains(request, timeout=TIMEOUT_S)
    return [one.domain for one in found.payment_domains]


async def _remove(state_dir: Path | None, merchant_id: str, domain: str) -> None:
    async with _service(state_dir) as stub:
        request = domain_pb2.RemovePaymentDomainRequest(merchant_id=merchant_id, domain=domain)
        await stub.RemovePaymentDomain(request, timeout=TIMEOUT_S)


def _service(state_dir: Path | None) -> AbstractAsyncContextManager[Any]:
    state, status = running(state_dir)
    return operator_stub(state.tls, status["authz"], domain_grpc.PaymentDomainServiceStub)
