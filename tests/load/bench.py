"""What every part of the benchmark works with: a sandbox of its own, merchants, the generator."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from chassis.keystore.store import PublicKey
from sandbox.merchants import create_merchant
from sandbox.state import StateDir
from tests.load.requests import Merchant, charge, create, read
from tests.load.vegeta import Attack, Result, Vegeta

# The command of the code in the working folder, which may be a copy, and not the installed one.
PAYMESH = (sys.executable, "-c", "from sandbox.cli import app; app()")
MERCHANTS = 64  # so that no rate limit is met
WORKERS = 64
WARMING_PAYMENTS = 500


class Sandbox:
    """A sandbox for the benchmark alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> str:
        """Run a paymesh command and return what it prints."""
        return subprocess.run(
            [*PAYMESH, *arguments, "--state-dir", str(self.folder)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout


class Bench:
    """Sends load to a sandbox that runs and keeps every answer. acknowledged: all of them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.status: dict[str, Any] = json.loads(sandbox.run("status", "--json"))
        self.edge: str = self.status["edge_url"]
        self.merchants = itertools.cycle(asyncio.run(self._take_on_merchants()))
        self.acknowledged: list[Result] = []
        self.client_secrets: dict[str, str] = {}  # by intent
        self._vegeta = Vegeta(sandbox.folder, Path(self.status["ca_file"]))
        self._state = StateDir(sandbox.folder)

    async def _take_on_merchants(self) -> list[Merchant]:
        state = StateDir(self.sandbox.folder)
        made = [
            await create_merchant(state, self.status, f"Shop {number}", "test")
            for number in range(MERCHANTS)
        ]
        return [Merchant(keys.publishable_key, keys.secret_key) for keys in made]

    def attack(self, attack: Attack) -> list[Result]:
        """Send the requests and return the answers."""
        results = self._vegeta.attack(attack)
        self.acknowledged += results
        return results

    def check(self, attack: Attack) -> list[Result]:
        """Send what is not for the edge but for a part behind it, as the edge would."""
        return self._vegeta.attack(attack, client=self._state.tls / "edge")

    def created(self, count: int) -> list[tuple[Merchant, str]]:
        """Create intents to be charged later and return each with its merchant."""
        owners = list(itertools.islice(self.merchants, count))
        results = self.attack(
            Attack([create(self.edge, owner) for owner in owners], workers=WORKERS, seconds=600)
        )
        for result in results:
            if result.ok:
                self.client_secrets[result.body["id"]] = result.body["clientSecret"]
        return self.paired(results, owners)

    def paired(self, results: list[Result], owners: list[Merchant]) -> list[tuple[Merchant, str]]:
        """Return each intent that was created with its merchant."""
        by_key = {owner.publishable_key: owner for owner in owners}
        return [
            (by_key[result.publishable_key], result.body["id"]) for result in results if result.ok
        ]

    def encryption_key(self) -> PublicKey:
        """Return the key that browsers encrypt cards with."""
        key = next(self.merchants).publishable_key
        request = urllib.request.Request(
            f"{self.edge}/card-encryption-keys", headers={"Authorization": f"Bearer {key}"}
        )
        trust = ssl.create_default_context(cafile=self.status["ca_file"])
        with urllib.request.urlopen(request, context=trust) as answer:
            [jwk] = json.load(answer)["keys"]
        x, y = (base64.urlsafe_b64decode(jwk[name] + "=") for name in "xy")
        return PublicKey(jwk["kid"], x, y)

    def pay_and_read(self, rate: int, count: int) -> list[Result]:
        """Make so many payments, so many a second: each a create, a charge and a status read."""
        requests = []
        for owner, intent_id in self.created(count):
            requests += [
                create(self.edge, next(self.merchants)),
                charge(self.edge, owner, intent_id),
                read(self.edge, owner, intent_id),
            ]
        return self.attack(Attack(requests, rate=rate * 3, seconds=count // rate))

    def warm(self) -> None:
        """Let the JVM and the prepared statements settle: 10 seconds that are not reported."""
        self.pay_and_read(WARMING_PAYMENTS // 10, WARMING_PAYMENTS)

    def ledgers(self) -> Any:
        """Return the networks' own books."""
        return json.loads(self.sandbox.run("networks", "ledger", "--json"))
