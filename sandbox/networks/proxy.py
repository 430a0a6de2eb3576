"""Stands between a client and a simulated card network and does badly what networks do badly.

`python -m sandbox.networks.proxy visa_sim --listen … --network … --admin … --tls-dir …`. Without
faults it passes every byte on. It reads frames, so TLS ends here and begins anew: its certificate,
of the network's CA, stands for either side. `POST /cut` breaks all connections; `PUT /faults` says
what goes wrong from now on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import struct
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from chassis.certificates import CertificateFiles, client_context, keep_fresh, server_context
from sandbox.networks.certificates import network_files, server_name

LOG = logging.getLogger("proxy")
WAITING_FRAMES_MAX = 1000

Queue = asyncio.Queue[tuple[float, bytes]]


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to the frames of one direction.

    delay_ms: how much later each arrives. duplicate_every, drop_every: 1 for each frame, 2 for
    every second one, and so on; 0 for none.
    """

    delay_ms: int = 0
    duplicate_every: int = 0
    drop_every: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. holds: nothing arrives until it ends. refuses: no new connections."""

    refuses: bool = False
    holds: bool = False
    requests: Course = field(default_factory=Course)
    responses: Course = field(default_factory=Course)

    @classmethod
    def read(cls, body: dict[str, Any]) -> Faults:
        """Return the faults of a JSON body; what it leaves out is well. Raises TypeError."""
        courses = {name: Course(**body.get(name, {})) for name in ("requests", "responses")}
        return cls(**{**body, **courses})


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    connections: int = 0
    refused: int = 0
    cut: int = 0
    frames: int = 0
    duplicated: int = 0
    dropped: int = 0


class Proxy:
    """Joins each client to the network at an address. server_name: what that has to show."""

    def __init__(self, host: str, port: int, files: CertificateFiles, server_name: str) -> None:
        self._address = (host, port)
        self._files = files
        self._server_name = server_name
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.faults = Faults()
        self.counts = Counts()

    def set_faults(self, faults: Faults) -> None:
        """Let this go wrong from now on, and what went wrong before no more."""
        self.faults = faults
        if faults.holds:
            self._flowing.clear()
        else:
            self._flowing.set()

    def cut(self) -> None:
        """Break every connection, with what was on its way."""
        self.counts.cut += len(self._connections)
        for connection in self._connections:
            connection.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until either side goes."""
        if self.faults.refuses:
            self.counts.refused += 1
            writer.transport.abort()
            return
        self.counts.connections += 1
        connection = asyncio.create_task(self._join(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        await asyncio.wait([connection])

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            network_reader, network_writer = await asyncio.open_connection(
                *self._address,
                ssl=client_context(self._files),
                server_hostname=self._server_name,
            )
            writers.append(network_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, network_writer, is_request=True))
                group.create_task(self._pass(network_reader, writer, is_request=False))
        except* OSError:
            LOG.warning("the network can't be reached")
        except* asyncio.CancelledError:
            for end in writers:
                end.transport.abort()
        for end in writers:
            end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        queue: Queue = asyncio.Queue(WAITING_FRAMES_MAX)
        writing = asyncio.create_task(self._write(queue, writer))
        try:
            await self._read(reader, queue, is_request=is_request)
            await queue.join()
            writer.close()
        finally:
            writing.cancel()

    async def _read(self, reader: asyncio.StreamReader, queue: Queue, *, is_request: bool) -> None:
        number = 0
        while frame := await _next_frame(reader):
            course = self.faults.requests if is_request else self.faults.responses
            number += 1
            self.counts.frames += 1
            if _is_turn(number, course.drop_every):
                self.counts.dropped += 1
                continue
            due_at = time.monotonic() + course.delay_ms / 1000
            await queue.put((due_at, frame))
            if _is_turn(number, course.duplicate_every):
                self.counts.duplicated += 1
                await queue.put((due_at, frame))

    async def _write(self, queue: Queue, writer: asyncio.StreamWriter) -> None:
        while True:
            due_at, frame = await queue.get()
            await asyncio.sleep(due_at - time.monotonic())
            await self._flowing.wait()
            with contextlib.suppress(OSError):  # what is late meets a closed door
                writer.write(frame)
                await writer.drain()
            queue.task_done()


def _is_turn(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


async def _next_frame(reader: asyncio.StreamReader) -> bytes:
    """Return a frame with its length, what is left of one at the end, and then nothing."""
    prefix = b""
    try:
        prefix = await reader.readexactly(2)
        return prefix + await reader.readexactly(*struct.unpack(">H", prefix))
    except asyncio.IncompleteReadError as end:
        return prefix + end.partial
    except OSError:
        return b""


def admin_app(proxy: Proxy) -> web.Application:
    """Return the HTTP application that orders faults."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def show(_: web.Request) -> web.Response:
        return web.json_response({"faults": asdict(proxy.faults), "counts": asdict(proxy.counts)})

    async def set_faults(request: web.Request) -> web.Response:
        try:
            proxy.set_faults(Faults.read(await request.json()))
        except TypeError as unknown:
            return web.Response(status=400, text=str(unknown))
        return await show(request)

    async def cut(request: web.Request) -> web.Response:
        proxy.cut()
        return await show(request)

    app = web.Application()
    app.add_routes(
        [
            web.get("/health", health),
            web.get("/faults", show),
            web.put("/faults", set_faults),
            web.post("/cut", cut),
        ]
    )
    return app


async def main(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    host, _, port = arguments.network.rpartition(":")
    files = network_files(arguments.tls_dir, "proxy")
    proxy = Proxy(host, int(port), files, server_name(arguments.name))
    host, _, port = arguments.listen.rpartition(":")
    context = server_context(files)
    server = await asyncio.start_server(proxy.serve, host, int(port), ssl=context)
    renewing = keep_fresh(context, files)
    runner = web.AppRunner(admin_app(proxy), access_log=None)
    await runner.setup()
    host, _, port = arguments.admin.rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    renewing.cancel()
    server.close()
    proxy.cut()
    await runner.cleanup()


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="sandbox.networks.proxy", description=__doc__)
    parser.add_argument("name", help="the network's")
    parser.add_argument("--tls-dir", required=True, type=Path, help="see certificates.py")
    parser.add_argument("--listen", required=True, help="host:port for clients")
    parser.add_argument("--network", required=True, help="host:port of the network")
    parser.add_argument("--admin", required=True, help="host:port for HTTP")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(main(read_arguments()))
