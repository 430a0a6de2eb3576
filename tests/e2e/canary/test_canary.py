"""A card number that went through everything is found nowhere, and would be found anywhere."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import psycopg
import pytest
from aiohttp import web

from tests.changed_code import Change
from tests.e2e.canary.artefacts import Artefact, archived, artefacts, files, records, wal
from tests.e2e.canary.conftest import CopiedMesh
from tests.e2e.canary.needles import Needles, needles
from tests.e2e.canary.run import (
    CANARY,
    CANARY_MASTERCARD,
    CVC,
    MARKER,
    TEST_CARDS,
    charge,
    charge_while_it_dies,
    pay_in_a_browser,
    pay_in_all_ways,
    send_it_where_it_does_not_belong,
    until_all_answer,
)
from tests.e2e.merchant import Merchant, session

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FORMS = needles([CANARY, CANARY_MASTERCARD], TEST_CARDS, CVC)
CHANGES = "cdc.intent.payment_intents"
REQUESTS_ARE_LOGGED = Change(
    "requests-are-logged",
    "txn_svc/service/transactions.py",
    old="        card = request.card\n",
    new="""        card = request.card
        import logging, sys
        logging.getLogger("scrubbed").warning("got %s", request, extra={"number": card.number})
        sys.stderr.write(f"bare {request}")
""",
)


@pytest.fixture
async def merchant(copied: CopiedMesh) -> AsyncIterator[Merchant]:
    status = copied.status()
    async with session(status["ca_file"]) as http:
        yield Merchant(http, status["edge_url"], copied.new_keys())


@pytest.fixture
async def careless_receiver() -> AsyncIterator[str]:
    """A merchant's receiver of webhooks that answers with a card number; its URL."""

    async def take(_: web.Request) -> web.Response:
        return web.Response(text=f"thank you for {CANARY}", status=500)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


async def _until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not await asyncio.to_thread(is_so):
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.2)


Places = dict[str, list[str]]


def _places(held: Iterable[Artefact], *wanted: Needles) -> tuple[Places, ...]:
    """Return in which artefacts something is found, with what, for each that is wanted."""
    places: tuple[Places, ...] = tuple({} for _ in wanted)
    for name, content in held:
        for forms, found in zip(wanted, places, strict=True):
            if names := forms.found_in(content):
                found[name] = names
    return places


def _has(places: Places, *beginnings: str) -> bool:
    return all(any(name.startswith(begin) for name in places) for begin in beginnings)


def _settled(mesh: CopiedMesh) -> bool:
    """Return whether nothing is open, told nobody or not tried."""
    open_attempts = mesh.query(
        "txn", "select count(*) from attempts where status in ('recorded', 'timeout')"
    )
    tries = mesh.query("webhook", "select count(*) from delivery_attempts where response <> ''")
    lines = mesh.query("recon", "select count(*) from clearing_lines")
    return open_attempts == [(0,)] and tries[0][0] > 0 and lines[0][0] > 0


def _is_archived(mesh: CopiedMesh, text: str) -> bool:
    held = archived(mesh.state_dir / "archive")
    return any(
        name.startswith(f"archived data/{CHANGES}")
        for name in _places(held, Needles({"text": text.encode()}))[0]
    )


async def test_a_card_number_is_nowhere_but_in_memory(
    copied: CopiedMesh, merchant: Merchant, careless_receiver: str
) -> None:
    await copied.trace_everything()
    await until_all_answer(merchant)
    hook = {"url": careless_receiver, "enabledEvents": ["*"]}
    assert (await merchant.call("POST", "/webhook-endpoints", hook)).status == 200
    await asyncio.gather(pay_in_all_ways(merchant), pay_in_a_browser(merchant))
    refused = await send_it_where_it_does_not_belong(merchant)
    # What was written until a crash of PostgreSQL may be written over after it.
    segments = copied.state_dir / "postgres" / "data" / "pg_wal"
    written = itertools.chain(files(copied.state_dir, segments), wal(copied))
    marker = Needles({"marker": MARKER.encode()})
    before, marked_before = await asyncio.to_thread(_places, written, FORMS, marker)
    await charge_while_it_dies(copied, merchant, "txn_svc")
    await charge_while_it_dies(copied, merchant, "postgres")
    copied.run("networks", "clear")
    await _until(lambda: _settled(copied), "something is still open")
    await _until(lambda: _is_archived(copied, MARKER), "a change is not in the archive")

    found, marked = await asyncio.to_thread(_places, artefacts(copied), FORMS, marker)

    assert {answer.status for answer in refused} <= {400, 401, 404}
    assert before == {}
    assert found == {}
    # What a merchant writes is seen everywhere that the search looks, so it does look there.
    # Kafka keeps what it is given compressed, so topics are read, as a consumer does.
    assert _has(marked, "dump intent", "topic cdc.intent.", "topic events.", "postgres/data/base/")
    assert _has(marked, "archived data/cdc.intent.", "pg_waldump pages")
    assert _has(marked_before, "postgres/data/pg_wal/")


def test_no_process_would_leave_a_core_file(copied: CopiedMesh) -> None:
    status = copied.status()
    pids = {row["name"]: row["pid"] for row in status["processes"]}
    pids["supervisor"] = status["supervisor"]["pid"]

    limits = {
        name: re.findall(
            r"Max core file size +(\S+) +(\S+)", Path(f"/proc/{pid}/limits").read_text()
        )
        for name, pid in pids.items()
    }

    assert limits == {name: [("0", "0")] for name in pids}


async def test_a_card_number_that_leaks_is_found(copied: CopiedMesh, merchant: Merchant) -> None:
    """Runs after the search: the sandbox is not clean any more."""
    REQUESTS_ARE_LOGGED.apply(copied.code)
    await copied.killed("txn_svc")
    await _until_charged(merchant)
    rows = copied.query("intent", "select id from payment_intents where status = 'succeeded'")
    with psycopg.connect(copied.status()["databases"]["intent"]) as connection:
        connection.execute(
            "update payment_intents set description = %s where id = %s", [CANARY, rows[0][0]]
        )
    await _until(lambda: CANARY.encode() in records(copied, CHANGES), "the change is not in Kafka")
    await _until(lambda: _is_archived(copied, CANARY), "the change is not in the archive")

    [places] = await asyncio.to_thread(_places, artefacts(copied), needles([CANARY], [], CVC))

    assert _has(places, "logs/txn_svc.log", "dump intent", f"topic {CHANGES}")
    assert _has(places, "postgres/data/base/", "postgres/data/pg_wal/")
    assert _has(places, f"archived data/{CHANGES}", "pg_waldump pages")
    assert "code" in " ".join(places["logs/txn_svc.log"])
    assert not any(name.startswith(("dump txn", "topic events.")) for name in places)
    log = (copied.state_dir / "logs" / "txn_svc.log").read_text()
    lines = [line for line in log.splitlines() if '"logger": "scrubbed"' in line]
    assert lines
    assert all("[card number]" in line and CANARY not in line for line in lines)


async def _until_charged(merchant: Merchant) -> None:
    for _ in range(100):
        _, answer = await charge(merchant)
        if answer.status == 200:
            return
        await asyncio.sleep(0.2)
    pytest.fail("no charge is answered")
