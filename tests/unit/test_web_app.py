"""What browsers load comes with the headers that keep a card where it is typed."""

from __future__ import annotations

import json
from typing import Any

from edge.web.app import WebApp

APP = WebApp()


async def _asked(
    path: str, method: str = "GET", headers: dict[bytes, bytes] | None = None
) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": list((headers or {}).items()),
    }
    await APP(scope, receive, send)
    start, body = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    assert len(found) == len(start["headers"])
    return start["status"], found, body["body"]


async def test_the_frame_runs_nothing_of_others_and_shows_on_pages_of_its_merchant_alone() -> None:
    sources = b"https://shop.example"
    status, headers, body = await _asked("/card-frame", headers={b"x-frame-ancestors": sources})

    policy = headers["content-security-policy"].split("; ")
    assert status == 200
    assert policy[0] == "default-src 'none'"
    assert policy[-1] == "frame-ancestors https://shop.example"
    assert {"script-src 'self'", "style-src 'self'", "connect-src 'self'"} < set(policy)
    assert not any("unsafe" in part for part in policy)
    assert headers["cache-control"] == "no-store"
    assert b"card-frame.js" in body


async def test_without_the_edges_word_no_page_may_frame_it() -> None:
    _, headers, _ = await _asked("/card-frame")

    assert headers["content-security-policy"].endswith("frame-ancestors 'none'")


async def test_scripts_are_loaded_by_pages_of_any_origin_and_kept_for_a_while() -> None:
    status, headers, body = await _asked("/js/paymesh.js")
    again, same, nothing = await _asked(
        "/js/paymesh.js", headers={b"if-none-match": headers["etag"].encode()}
    )

    assert (status, again) == (200, 304)
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-length"] == str(len(body))
    assert nothing == b""
    assert "content-length" not in same


async def test_a_head_has_the_headers_alone() -> None:
    _, headers, body = await _asked("/js/card-frame.css", method="HEAD")

    assert body == b""
    assert int(headers["content-length"]) > 0


async def test_there_is_nothing_else() -> None:
    for path in ("/js/integrity.json", "/js/../app.py", "/js/", "/", "/card-frame/"):
        status, headers, body = await _asked(path, headers={b"x-request-id": b"req-1"})

        error = json.loads(body)["error"]
        assert status == 404
        assert (error["code"], error["requestId"]) == ("resource_missing", "req-1")
        assert headers["x-paymesh-error"].encode() == body
