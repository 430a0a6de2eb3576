"""The simulated card networks as tests run them, each its own process over TCP."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chassis.networks import ClearingRule, InquiryRule, NetworkRules, ReversalRule
from sandbox.networks.certificates import network_authority, network_files, server_name
from sandbox.platform.authority import LIFETIME
from txn_svc.domain.card import Card, CardFields, check_card
from txn_svc.networks.link import NetworkLink
from txn_svc.networks.pool import CardNetworkUnavailable, NetworkPool

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 1.0
RULES = NetworkRules(
    timeout_s=TIMEOUT_S,
    reversal=ReversalRule(repeat_s=(0.1, 0.1, 0.1), then_every_s=60),
    clearing=ClearingRule(cut_off="on_request", late_after_h=0),
    capture_deadline_h=168,
)
ASKABLE = RULES.model_copy(
    update={"inquiry": InquiryRule(backoff_s=(0.1, 0.1), not_found_is_failed_after_s=5)}
)
NETWORKS = ["visa_sim", "mastercard_sim"]
CARDS = {
    "approved": ("4242424242424242", "5555555555554444"),
    "answer lost": ("4000000000990012", "5200000000990017"),
    "answer late": ("4000000000990020", "5200000000990025"),
    "answer twice": ("4000000000990038", "5200000000990033"),
    "never received": ("4000000000990046", "5200000000990041"),
    "decline lost": ("4000000000990079", "5200000000990074"),
    "three answers lost": ("4000000000990095", "5200000000990090"),
    "closed": ("4000000000990087", "5200000000990082"),
    "slow": ("4000000000990111", "5200000000990116"),
    "half": ("4000000000990129", "5200000000990124"),
    "half, answer lost": ("4000000000990160", "5200000000990165"),
    "missing in clearing": ("4000000000990053", "5200000000990058"),
    "over in clearing": ("4000000000990061", "5200000000990066"),
    "twice in clearing": ("4000000000990103", "5200000000990108"),
    "captures refused": ("4000000000990145", "5200000000990140"),
    "first capture refused": ("4000000000990152", "5200000000990157"),
    "capture unanswered": ("4000000000990137", "5200000000990132"),
}


@cache
def network_tls(name: str) -> Path:
    """Return a folder with certificates of a network's CA, for this run of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-network-tls-"))
    atexit.register(shutil.rmtree, folder)
    network_authority(folder, name, LIFETIME).renew()
    return folder


def a_link(name: str, *addresses: str, **changes: object) -> NetworkLink:
    """Return how the acquirer reaches a network."""
    files = network_files(network_tls(name), "acquirer")
    fields = {
        "addresses": addresses,
        "server_name": server_name(name),
        "certificate_file": files.certificate,
        "key_file": files.key,
        "ca_file": files.ca,
    }
    return NetworkLink.model_validate(fields | changes)


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulated network. tls: certificates of its CA, if not those of all tests."""

    name: str
    port: int
    admin_port: int
    folder: Path
    tls: Path | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def link(self) -> NetworkLink:
        return a_link(self.name, self.address)

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def suffix(self) -> str:
        return {"visa_sim": "tc33", "mastercard_sim": "ipm"}[self.name]

    @contextmanager
    def running(self, *more: str) -> Iterator[None]:
        """Run the network's process."""
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox.networks", self.name),
                *("--listen", self.address, "--admin", f"127.0.0.1:{self.admin_port}"),
                *("--state-dir", str(self.folder), "--client-timeout-s", str(TIMEOUT_S)),
                *("--tls-dir", str(self.tls or network_tls(self.name))),
                *("--clearing-dir", str(self.inbox), *more),
            ],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)

    async def ledger(self) -> list[dict[str, object]]:
        """Return the issuers' books."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.admin_port}/ledger") as answer,
        ):
            rows: list[dict[str, object]] = await answer.json()
            return rows

    async def clear(self, body: str = "") -> tuple[int, Any]:
        """Ask for a clearing file; return the status and the answer."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{self.admin_port}/clearing", data=body) as answer,
        ):
            return answer.status, await answer.json()


def card_fields(network: str, behavior: str) -> CardFields:
    """Return a test card for which the network behaves so."""
    return CardFields(CARDS[behavior][NETWORKS.index(network)], 12, 2034, "123")


def a_card(simulator: Simulator, behavior: str) -> Card:
    return check_card(card_fields(simulator.name, behavior), date(2026, 11, 24))


@asynccontextmanager
async def a_pool(
    simulator: Simulator, rules: NetworkRules = RULES, *, connections: int = 2
) -> AsyncIterator[NetworkPool]:
    """Return a started pool that the network has let in."""
    pool = NetworkPool(simulator.name, simulator.link, rules, connections=connections)
    await pool.start()
    try:
        await signed_on(pool)
        yield pool
    finally:
        await pool.stop()


async def signed_on(pool: NetworkPool) -> None:
    """Wait until the network has let the pool in."""
    for _ in range(600):
        try:
            reservation = pool.reserve()
        except CardNetworkUnavailable:
            await asyncio.sleep(0.05)
        else:
            with reservation:
                return
    pytest.fail("the network did not let us in")
