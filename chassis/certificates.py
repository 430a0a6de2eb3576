"""Certificates in files that somebody renews: read as a whole, shown by whoever connects next.

Whoever renews them replaces certificate, key and CA at once, by one rename of a link to the folder
that holds them, as Kubernetes does with projected volumes. Connections that stand go on.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import grpc

from chassis.background import keep_running

LOG = logging.getLogger(__name__)
CHECK_S = 1.0
CLOSE_S = 60.0  # longer than any call
ERRORS_MAX = 100  # one after the other, which takes some milliseconds

Version = tuple[tuple[int, int], ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pem:
    """What the files of one moment hold."""

    certificate: bytes
    key: bytes
    ca: bytes


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a party's certificate chain, its private key and the CA of the others are, PEM."""

    certificate: Path
    key: Path
    ca: Path

    def version(self) -> Version:
        """Return what differs after each renewal. Raises OSError."""
        found = (path.stat() for path in (self.certificate, self.key, self.ca))
        return tuple((each.st_ino, each.st_mtime_ns) for each in found)

    def read(self) -> tuple[Version, Pem]:
        """Return the files as they are between two renewals. Raises OSError."""
        return self._between_renewals(
            lambda: Pem(self.certificate.read_bytes(), self.key.read_bytes(), self.ca.read_bytes())
        )

    def newer(self, known: Version) -> tuple[Version, Pem] | None:
        """Return the files if they were renewed since; what can't be read is left alone."""
        try:
            return self.read() if self.version() != known else None
        except OSError:
            LOG.exception("renewed certificates can't be read")
            return None

    def load(self, context: ssl.SSLContext) -> Version:
        """Let new handshakes of a context show the newest certificate.

        Raises OSError; ssl.SSLError, which is one, for files that don't belong together.
        """
        version, _ = self._between_renewals(
            lambda: context.load_cert_chain(self.certificate, self.key)
        )
        return version

    def _between_renewals(self, read: Callable[[], T]) -> tuple[Version, T]:
        """Read until nothing is renewed meanwhile.

        What a renewal replaces may be gone before it is opened, so an error counts if it stays.
        """
        errors_left = ERRORS_MAX
        while True:
            try:
                version = self.version()
                found = read()
                if self.version() == version:
                    return version, found
            except OSError:
                errors_left -= 1
                if not errors_left:
                    raise


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """Return a context that demands a certificate of the CA from every client.

    No session is resumed: it would outlive the certificate that the client had shown for it.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    files.load(context)
    return context


def client_context(files: CertificateFiles) -> ssl.SSLContext:
    """Return a context that shows the certificate and trusts this CA alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=str(files.ca))
    files.load(context)
    return context


def keep_fresh(context: ssl.SSLContext, files: CertificateFiles) -> asyncio.Task[None]:
    """Load each renewed certificate into a server's context until the task is canceled."""

    async def look() -> None:
        version = files.version()
        files.load(context)
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                if files.version() != version:
                    version = files.load(context)
            except OSError:
                LOG.exception("renewed certificates can't be read")

    return keep_running(look(), name="certificates")


def server_credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Return credentials that demand a certificate of the CA; each handshake has the newest."""
    known, pem = files.read()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal known
        newer = files.newer(known)
        if newer is None:
            return None
        known, pem = newer
        return _configuration(pem)

    # gRPC's own description allows None, for no change; its type stubs do not.
    fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(pem), fetch, require_client_authentication=True
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.ca)


def channel_credentials(pem: Pem) -> grpc.ChannelCredentials:
    """Return credentials that show this certificate and trust this CA alone."""
    return grpc.ssl_channel_credentials(pem.ca, pem.key, pem.certificate)


class RenewedChannel(grpc.aio.Channel):
    """A channel that is opened anew when its certificate was renewed.

    A channel of gRPC shows for ever what it was made with. So calls that begin after a renewal go
    over a new one, and the old one is closed when the last of its own has ended.
    """

    def __init__(
        self, files: CertificateFiles, address: str, options: Sequence[tuple[str, int | str]]
    ) -> None:
        self._files = files
        self._address = address
        self._options = options
        self._closing: set[asyncio.Task[None]] = set()
        self._look_at = 0.0
        self._version, pem = files.read()
        self._channel = self._open(pem)

    def unary_unary(self, method: str, *given: Any, **named: Any) -> Any:
        """Return the method on whichever channel is the newest when it is called."""
        return self._newest("unary_unary", method, *given, **named)

    def unary_stream(self, method: str, *given: Any, **named: Any) -> Any:
        """Return the method on whichever channel is the newest when it is called."""
        return self._newest("unary_stream", method, *given, **named)

    def stream_unary(self, method: str, *given: Any, **named: Any) -> Any:
        """Return the method on whichever channel is the newest when it is called."""
        return self._newest("stream_unary", method, *given, **named)

    def stream_stream(self, method: str, *given: Any, **named: Any) -> Any:
        """Return the method on whichever channel is the newest when it is called."""
        return self._newest("stream_stream", method, *given, **named)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the newest channel."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the newest channel is in another state."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the newest channel is connected."""
        await self._channel.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Close every channel."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, self._channel.close(grace), return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _newest(self, kind: str, *given: Any, **named: Any) -> Callable[..., Any]:
        channel, method = self._channel, getattr(self._channel, kind)(*given, **named)

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal channel, method
            self._look()
            if channel is not self._channel:
                channel, method = self._channel, getattr(self._channel, kind)(*given, **named)
            return method(*arguments, **options)

        return call

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + CHECK_S
        newer = self._files.newer(self._version)
        if newer is not None:
            closing = asyncio.create_task(self._channel.close(CLOSE_S))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._version, pem = newer
            self._channel = self._open(pem)

    def _open(self, pem: Pem) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(
            self._address, channel_credentials(pem), options=self._options
        )
