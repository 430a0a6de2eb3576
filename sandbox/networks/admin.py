"""What a simulated network shows and does over HTTP for its operators."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from chassis.money import CURRENCIES
from sandbox.networks.clearing.house import ClearingFile, ClearingHouse
from sandbox.networks.ledger import Ledger

_CODES = {currency.numeric: currency.code for currency in CURRENCIES.values()}


def admin_app(ledger: Ledger, house: ClearingHouse) -> web.Application:
    """Return the application: health, the ledger, and the end of a business day."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def rows(_: web.Request) -> web.Response:
        return web.json_response(ledger.rows())

    async def clear(request: web.Request) -> web.Response:
        try:
            business_date = _business_date(await request.read())
        except ValueError:
            return web.json_response({"error": 'businessDate must be "YYYY-MM-DD"'}, status=400)
        return web.json_response(_shown(await house.close_day(business_date)))

    app = web.Application()
    app.add_routes(
        [web.get("/health", health), web.get("/ledger", rows), web.post("/clearing", clear)]
    )
    return app


def _business_date(body: bytes) -> date:
    asked = json.loads(body or b"{}")
    match asked:
        case {"businessDate": str(day)} if len(asked) == 1:
            return date.fromisoformat(day)
        case {} if not asked:
            return datetime.now(UTC).date()
    raise ValueError("something else")


def _shown(written: ClearingFile) -> dict[str, Any]:
    return {
        "file": written.file.name,
        "lines": written.totals.lines,
        "totals": [
            {"currency": _CODES.get(currency, currency), "count": count, "amountMinor": amount}
            for currency, (count, amount) in sorted(written.totals.sums.items())
        ],
    }
