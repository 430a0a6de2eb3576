"""Serves what browsers load: an ASGI application over the files of `dist/`, read once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from chassis.errors import ResourceMissing, public_error
from chassis.server import ERROR_HEADER

DIST = Path(__file__).parent / "dist"
FRAME = "/card-frame"
# Which pages may frame the card fields is edge/authz's to say: it knows the key's merchant.
ANCESTORS = b"x-frame-ancestors"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors "
)
COMMON: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
]
FRAME_HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"x-robots-tag", b"noindex"),
]
KINDS = {".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8"}

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asset:
    """A file with its headers. tag: its strong ETag."""

    content: bytes
    headers: list[tuple[bytes, bytes]]
    tag: bytes


class WebApp:
    """Answers GET and HEAD for the scripts, the styles and the card frame."""

    def __init__(self, dist: Path = DIST) -> None:
        integrity = json.loads((dist / "integrity.json").read_text())
        self._assets = {f"/js/{name}": _asset(dist / name) for name in integrity}
        self._frame = (dist / "card-frame.html").read_bytes()

    async def __call__(self, scope: dict[str, Any], _: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        status, answer, content = self._answer(scope["path"], headers)
        answer = [*COMMON, *answer]
        if status != HTTPStatus.NOT_MODIFIED:
            answer.append((b"content-length", str(len(content)).encode()))
        if scope["method"] == "HEAD":
            content = b""
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": content})

    def _answer(
        self, path: str, headers: dict[bytes, bytes]
    ) -> tuple[HTTPStatus, list[tuple[bytes, bytes]], bytes]:
        if path == FRAME:
            policy = POLICY.encode() + headers.get(ANCESTORS, b"'none'")
            return (
                HTTPStatus.OK,
                [*FRAME_HEADERS, (b"content-security-policy", policy)],
                self._frame,
            )
        asset = self._assets.get(path)
        if asset is None:
            return HTTPStatus.NOT_FOUND, *_no_such_path(headers)
        if headers.get(b"if-none-match") == asset.tag:
            return HTTPStatus.NOT_MODIFIED, asset.headers, b""
        return HTTPStatus.OK, asset.headers, asset.content


def _no_such_path(headers: dict[bytes, bytes]) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the one error body, and the header by which the edge takes it for ours."""
    request_id = headers.get(b"x-request-id", b"").decode("latin-1")
    body = public_error(ResourceMissing("There is nothing at this path."), request_id)
    return [(b"content-type", b"application/json"), (ERROR_HEADER.encode(), body)], body


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
    headers = [
        (b"content-type", KINDS[file.suffix]),
        (b"cache-control", b"public, max-age=300"),
        (b"etag", tag),
        # Pages of other origins load it with an integrity digest, which takes CORS.
        (b"access-control-allow-origin", b"*"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    ]
    return Asset(content, headers, tag)
