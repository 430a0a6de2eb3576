"""The TLS of links to card networks: who is let in, and that a refusal sends nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest

from chassis.certificates import server_context
from chassis.money import Money
from sandbox.networks.certificates import network_authority, network_files, server_name
from sandbox.platform.authority import LIFETIME
from tests.integration.authz_client import free_port
from tests.integration.network_parts import (
    RULES,
    Simulator,
    a_link,
    a_pool,
    card_fields,
    network_tls,
    signed_on,
)
from txn_svc.domain.card import check_card
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.framing import frame, read_frame
from txn_svc.networks.link import NetworkLink
from txn_svc.networks.messages import SIGN_ON, Trace, pack_network_management
from txn_svc.networks.pool import CardNetworkUnavailable, NetworkPool

pytestmark = pytest.mark.integration

NETWORK = "visa_sim"
USD = Money(1099, "usd")
CARD = check_card(card_fields(NETWORK, "approved"), date(2026, 11, 24))


@dataclass
class Stranger:
    """Listens where a network should, and keeps whatever it is sent in clear or after TLS."""

    got: bytearray = field(default_factory=bytearray)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while content := await reader.read(1024):
                self.got += content
                writer.write(struct.pack(">H", 4) + b"0810")
        except OSError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def _pool(link: NetworkLink) -> AsyncIterator[NetworkPool]:
    pool = NetworkPool(NETWORK, link, RULES, connections=1)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


def _foreign(folder: Path, name: str = NETWORK) -> Path:
    network_authority(folder, name, LIFETIME).renew()
    return folder


async def _until_ended(log: pytest.LogCaptureFixture, times: int = 2) -> set[str]:
    """Wait until connections have ended, and return at which stages."""
    for _ in range(600):
        ended = [record for record in log.records if record.getMessage() == "connection ended"]
        if len(ended) >= times:
            return {vars(record)["stage"] for record in ended}
        await asyncio.sleep(0.05)
    pytest.fail("no connection ended")


@pytest.mark.parametrize("case", ["plain text", "foreign CA", "wrong name", "expired"])
async def test_a_network_that_can_not_prove_itself_gets_no_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    caplog.set_level(logging.WARNING)
    shown = network_tls(NETWORK)
    if case == "foreign CA":
        shown = _foreign(tmp_path)
    elif case == "expired":
        shown = _expired(tmp_path)
    party = "acquirer" if case == "wrong name" else "network"
    context = None if case == "plain text" else server_context(network_files(shown, party))
    stranger = Stranger()
    server = await asyncio.start_server(stranger.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async with _pool(a_link(NETWORK, f"127.0.0.1:{port}")) as pool:
        assert await _until_ended(caplog) == {"refused"}
        with pytest.raises(CardNetworkUnavailable):
            pool.reserve()
    server.close()

    assert case == "plain text" or not stranger.got
    assert b"0800" not in stranger.got


@pytest.mark.parametrize("case", ["plain text", "none", "foreign CA", "expired", "the network's"])
async def test_who_can_not_prove_to_be_the_acquirer_gets_no_answer(
    tmp_path: Path, case: str
) -> None:
    simulator = Simulator(NETWORK, free_port(), free_port(), tmp_path)
    context = None if case == "plain text" else _client(tmp_path / "tls", case)

    with simulator.running():
        async with a_pool(simulator):
            stranger = await _signed_on_by(simulator.port, context)
            good = await _signed_on_by(simulator.port, simulator.link.context())

    assert stranger == b""
    assert good.endswith(b"00" + SIGN_ON.encode())


def _client(folder: Path, case: str) -> ssl.SSLContext:
    own = network_tls(NETWORK)
    context = ssl.create_default_context(cafile=str(own / "ca.crt"))
    if case == "foreign CA":
        network_files(_foreign(folder), "acquirer").load(context)
    elif case == "expired":
        network_files(_expired(folder), "acquirer").load(context)
    elif case == "the network's":
        network_files(own, "network").load(context)
    return context


async def _signed_on_by(port: int, context: ssl.SSLContext | None) -> bytes:
    """Sign on and return what the network says; nothing if it hangs up."""
    trace = Trace("1124120000", "000001", "ABCDEFGHIJKL", "P0000001")
    name = None if context is None else server_name(NETWORK)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    try:
        writer.write(frame(pack_network_management(DIALECTS[NETWORK], trace, SIGN_ON)))
        return await asyncio.wait_for(read_frame(reader), 20)
    except (OSError, EOFError):
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("late", ["acquirer", "network"])
async def test_a_certificate_that_is_renewed_late_brings_the_connections_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, late: str
) -> None:
    caplog.set_level(logging.WARNING)
    folder = _expired(tmp_path / "tls")
    own = folder if late == "acquirer" else network_tls(NETWORK)
    simulator = Simulator(
        NETWORK, free_port(), free_port(), tmp_path, folder if late == "network" else None
    )
    files = network_files(own, "acquirer")
    link = a_link(
        NETWORK, simulator.address, certificate_file=files.certificate, key_file=files.key
    )

    with simulator.running():
        async with _pool(link) as pool:
            while "unreachable" in await _until_ended(caplog, 1):
                caplog.clear()
            with pytest.raises(CardNetworkUnavailable):
                pool.reserve()
            network_authority(folder, NETWORK, LIFETIME).renew()
            await signed_on(pool)
            with pool.reserve() as reservation:
                response = await reservation.authorize(CARD, USD, math.inf)

    assert response.response_code == "00"


def _expired(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ca.key").write_bytes((network_tls(NETWORK) / "ca.key").read_bytes())
    network_authority(folder, NETWORK, timedelta(seconds=-1)).renew()
    return folder
