"""How long payments and webhooks stand still when a part is killed, for each part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sandbox.merchants import create_merchant
from tests.e2e.merchant import Keys, Merchant, session
from tests.faults.inject import kill
from tests.faults.mesh import VICTIMS, Mesh
from tests.faults.receiver import Receiver
from tests.load.own_sandbox import own_sandbox
from tests.load.report import CONSOLE

PARTS = (*VICTIMS, "web")
CALLERS = 2
ANSWER_S_MAX = 5.0  # a caller that gets none by then tries another payment
STEADY = 20  # payments in a row that went well: it is over
STEADY_S_MAX = 300.0
SUBSCRIBED = "payment.succeeded"


@dataclass(frozen=True, slots=True)
class Made:
    """A payment: when it was begun and answered, and whether it succeeded."""

    begun_s: float
    ended_s: float
    intent_id: str
    is_well: bool


def measure_recovery() -> None:
    """Kill each part once under a few payments a second, and print how long it was missed."""
    with own_sandbox() as mesh:
        asyncio.run(_kill_each(mesh))


async def _kill_each(mesh: Mesh) -> None:
    CONSOLE.print("seconds after a SIGKILL (PostgreSQL: SIGQUIT, its immediate stop)")
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        http = await stack.enter_async_context(session(Path(mesh.status()["ca_file"])))
        keys = await create_merchant(mesh.state, mesh.status(), "Shop", "test")
        merchant = Merchant(
            http,
            mesh.status()["edge_url"],
            Keys(keys.merchant_id, keys.publishable_key, keys.secret_key),
        )
        await _subscribe(merchant, receiver)
        async with _paying(merchant) as made:
            await _steady(made, time.monotonic())
            for part in PARTS:
                CONSOLE.print(f"{part}: {await _killed(mesh, part, made, receiver)}")
                await _steady(made, time.monotonic())


async def _subscribe(merchant: Merchant, receiver: Receiver) -> None:
    body = {"url": receiver.url(merchant.keys.merchant_id), "enabledEvents": [SUBSCRIBED]}
    answer = await merchant.call("POST", "/webhook-endpoints", body)
    receiver.trust(merchant.keys.merchant_id, answer.json["secret"])


@asynccontextmanager
async def _paying(merchant: Merchant) -> AsyncIterator[list[Made]]:
    """Let some callers pay, one payment after the other; yield what comes of them."""
    made: list[Made] = []
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(_pay_on(merchant, made)) for _ in range(CALLERS)]
        yield made
        for caller in callers:
            caller.cancel()


async def _pay_on(merchant: Merchant, made: list[Made]) -> None:
    while True:
        begun_s = time.monotonic()
        intent_id, is_well = "", False
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                body = {"amountInCents": 1099, "currency": "usd"}
                created = await merchant.call("POST", "/payment-intents", body)
                if created.status == 200:
                    intent_id = created.json["id"]
                    charged = await merchant.charge(intent_id)
                    is_well = charged.status == 200 and charged.json["status"] == "succeeded"
        except (TimeoutError, aiohttp.ClientError):
            pass
        made.append(Made(begun_s, time.monotonic(), intent_id, is_well))
        await asyncio.sleep(0.05)


async def _killed(mesh: Mesh, part: str, made: list[Made], receiver: Receiver) -> str:
    """Kill a part and say what was missed for how long."""
    pid, killed_s = mesh.pid(part), time.monotonic()
    kill(mesh, part)
    flowing_s, told_s, healthy_s = await asyncio.gather(
        _steady(made, killed_s), _told(made, killed_s, receiver), _healthy(mesh, part, pid)
    )
    failed = sum(not each.is_well for each in made if each.ended_s > killed_s)
    again = (
        f"again after {flowing_s - killed_s:.1f}, {failed} failed" if failed else "never stopped"
    )
    return (
        f"payments {again}; first webhook of a later payment after {told_s - killed_s:.1f}; "
        f"all healthy after {healthy_s - killed_s:.1f}"
    )


async def _healthy(mesh: Mesh, part: str, other_than: int | None) -> float:
    """Wait until another process is in its place and all are healthy; return when."""
    deadline = time.monotonic() + STEADY_S_MAX
    while time.monotonic() < deadline:
        if mesh.pid(part) not in {None, other_than}:
            await mesh.healthy()
            return time.monotonic()
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{part} does not come back")


async def _steady(made: list[Made], since_s: float) -> float:
    """Wait until payments go well; return when the first of them was answered."""
    deadline = time.monotonic() + STEADY_S_MAX
    while time.monotonic() < deadline:
        begun = sorted(
            (each for each in made if each.begun_s > since_s), key=lambda each: each.begun_s
        )
        bad = [number for number, each in enumerate(begun) if not each.is_well]
        well = begun[bad[-1] + 1 :] if bad else begun
        if len(well) >= STEADY:
            return min(each.ended_s for each in well)
        await asyncio.sleep(0.1)
    raise TimeoutError("payments do not flow again")


async def _told(made: list[Made], since_s: float, receiver: Receiver) -> float:
    """Wait until the webhook of a payment that was begun since has arrived; return when."""
    deadline = time.monotonic() + STEADY_S_MAX
    while time.monotonic() < deadline:
        wanted = {each.intent_id for each in made if each.begun_s > since_s and each.is_well}
        for delivery in receiver.deliveries:
            if delivery.intent_id in wanted:
                return time.monotonic()
        await asyncio.sleep(0.05)
    raise TimeoutError("no webhook arrives")
