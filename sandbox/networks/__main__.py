"""Runs one simulated card network: `python -m sandbox.networks visa_sim --listen … --admin …`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import iso8583
import uvloop
from aiohttp import web

from chassis.certificates import keep_fresh, server_context
from sandbox.networks.admin import admin_app
from sandbox.networks.cards import Delivery
from sandbox.networks.certificates import ACQUIRER, network_files
from sandbox.networks.clearing.house import ClearingHouse
from sandbox.networks.dialect import SPECIFICATIONS
from sandbox.networks.issuer import Issuer, Reply
from sandbox.networks.ledger import Ledger

LOG = logging.getLogger("network")
SLOW_S = 0.8
LATE_AFTER_TIMEOUT_S = 3.0


class Network:
    """Speaks one dialect on a TCP port; answers as its issuer says."""

    def __init__(self, name: str, issuer: Issuer, client_timeout_s: float) -> None:
        self._specification = SPECIFICATIONS[name]
        self._issuer = issuer
        self._client_timeout_s = client_timeout_s
        self._later: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes; nobody but the acquirer is one."""
        certificate = writer.get_extra_info("peercert")
        if ("DNS", ACQUIRER) not in certificate.get("subjectAltName", ()):
            LOG.warning("hung up on %s", certificate.get("subject"))
            writer.close()
            return
        try:
            while True:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                message = await reader.readexactly(length)
                try:
                    request, _ = iso8583.decode(message, self._specification)
                except (iso8583.DecodeError, KeyError, ValueError):
                    LOG.warning("a message that can't be read")
                    continue
                self._deliver(self._issuer.answer(request), writer)
        except (asyncio.IncompleteReadError, OSError):
            LOG.info("a client is gone")
        finally:
            writer.close()

    def _deliver(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        if reply.elements is None or reply.delivery is Delivery.LOST:
            return
        if reply.delivery is Delivery.CLOSED:
            writer.close()
            return
        raw, _ = iso8583.encode(reply.elements, self._specification)
        frame = struct.pack(">H", len(raw)) + raw
        delay_s = {
            Delivery.SLOW: SLOW_S,
            Delivery.LATE: self._client_timeout_s + LATE_AFTER_TIMEOUT_S,
        }.get(reply.delivery, 0.0)
        if delay_s:
            task = asyncio.create_task(_send_later(frame, writer, delay_s))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
            return
        writer.write(frame * 2 if reply.delivery is Delivery.TWICE else frame)


async def _send_later(frame: bytes, writer: asyncio.StreamWriter, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    if not writer.is_closing():
        writer.write(frame)


async def clear_regularly(house: ClearingHouse, every_s: float) -> None:
    """Write a clearing file now and then, when there is something to present."""
    while True:
        await asyncio.sleep(every_s)
        if house.has_news():
            await house.close_day(datetime.now(UTC).date())


async def main(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    name, state_dir = arguments.name, arguments.state_dir
    ledger = Ledger(state_dir / f"{name}.jsonl")
    issuer = Issuer(ledger, offers_inquiry=name == "mastercard_sim")
    house = ClearingHouse(name, ledger, arguments.clearing_dir, state_dir / f"{name}-files.json")
    network = Network(name, issuer, arguments.client_timeout_s)
    host, _, port = arguments.listen.rpartition(":")
    files = network_files(arguments.tls_dir, "network")
    context = server_context(files)
    server = await asyncio.start_server(network.serve, host, int(port), ssl=context)
    renewing = keep_fresh(context, files)
    runner = web.AppRunner(admin_app(ledger, house), access_log=None)
    await runner.setup()
    admin_host, _, admin_port = arguments.admin.rpartition(":")
    await web.TCPSite(runner, admin_host, int(admin_port)).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work: set[asyncio.Task[Any]] = {asyncio.create_task(stop.wait())}
    if arguments.clearing_every_s:
        work.add(asyncio.create_task(clear_regularly(house, arguments.clearing_every_s)))
    done, pending = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    renewing.cancel()
    server.close()
    await runner.cleanup()
    ledger.close()
    for task in done:
        task.result()


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="sandbox.networks", description=__doc__)
    parser.add_argument("name", choices=sorted(SPECIFICATIONS))
    parser.add_argument("--listen", required=True, help="host:port for ISO 8583")
    parser.add_argument("--admin", required=True, help="host:port for HTTP")
    parser.add_argument("--state-dir", required=True, type=Path)
    parser.add_argument("--tls-dir", required=True, type=Path, help="see certificates.py")
    parser.add_argument("--clearing-dir", required=True, type=Path, help="for clearing files")
    parser.add_argument("--clearing-every-s", type=float, default=0.0, help="0: on request only")
    parser.add_argument("--client-timeout-s", type=float, default=2.0)
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(main(read_arguments()))
