"""Two parts of the benchmark: what a merchant waits for at a fixed rate, what a request costs."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterator

from tests.jose import Sender
from tests.load.bench import WORKERS, Bench
from tests.load.measure import Usage, batch_sizes, resident_bytes, settle
from tests.load.report import print_latency, print_memory, print_saturation
from tests.load.requests import APPROVED, Merchant, Request, charge, create, read, token
from tests.load.vegeta import Attack


def latency(bench: Bench, rate: int, seconds: int) -> None:
    """Open loop: so many payments a second, each a create, a charge and a status read."""
    results = bench.pay_and_read(rate, rate * seconds)
    print_latency(f"open loop, {rate} payments/s (create, charge, read)", results)


def saturation(bench: Bench, seconds: int) -> None:
    """Closed loop: CPU of a create, a card token, a charge and a status read, then memory."""
    for name, requests in _saturating(bench, seconds):
        before = Usage.now(bench.status)
        results = bench.attack(Attack(requests, workers=WORKERS, seconds=seconds))
        settle(bench.status)
        spent = Usage.now(bench.status) - before
        print_saturation(name, results, spent, batch_sizes(bench.status))
    print_memory(resident_bytes(bench.status))


def _saturating(bench: Bench, seconds: int) -> Iterator[tuple[str, list[Request]]]:
    """Yield each kind of request with more of them than can be answered in the time."""
    count = 3000 * seconds
    yield "create", [create(bench.edge, next(bench.merchants)) for _ in range(count)]
    pairs = bench.created(1000 * seconds)
    yield "token", list(_tokens(bench, pairs))
    yield "charge", [charge(bench.edge, *pair) for pair in pairs]
    again = itertools.islice(itertools.cycle(pairs), count)
    yield "read", [read(bench.edge, *pair) for pair in again]


def _tokens(bench: Bench, pairs: list[tuple[Merchant, str]]) -> Iterator[Request]:
    """Yield the making of a card token for each intent, with a card of its own."""
    key = bench.encryption_key()
    for owner, intent_id in pairs:
        card = {"number": APPROVED, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
        fresh = {"iat": int(time.time()), "nonce": str(uuid.uuid4())}
        sealed = ".".join(Sender(key).encrypt(json.dumps(card | fresh).encode()))
        yield token(bench.edge, owner, intent_id, bench.client_secrets[intent_id], sealed)
