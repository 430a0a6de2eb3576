"""PostgreSQL crashes: card tokens are gone without a trace, and what was taken stays taken."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chassis.database import Database
from chassis.identity import Caller
from chassis.migrate import migrate
from sandbox.platform.postgres import Postgres
from tests.integration.authz_client import free_port
from tests.integration.card_token_parts import Browsing, a_token_wish, browsing
from tests.integration.conftest import DatabaseServer, start_server
from tests.integration.resolution_parts import Networks
from tests.integration.settings import database_and_settings
from tests.integration.txn_parts import NETWORK
from txn_svc.cards.encrypted_card import EncryptedCardReused
from txn_svc.domain.card_token import CardTokenUnknown
from txn_svc.domain.transaction import TransactionStatus

pytestmark = pytest.mark.integration


@dataclass
class Server:
    """A PostgreSQL that can crash, with an empty database of txn_svc."""

    postgres: Postgres
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return DatabaseServer(self.postgres).url("txn", "txn")

    def crash(self) -> None:
        """End without a checkpoint, as all processes do at once when the machine fails."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)

    def start(self) -> None:
        """Recover from the WAL."""
        self.process = start_server(self.postgres, self.folder / "postgres.log")

    def wal(self) -> bytes:
        """Return all that was written to the WAL."""
        segments = sorted((self.folder / "postgres" / "data" / "pg_wal").glob("0*"))
        return b"".join(segment.read_bytes() for segment in segments)


@pytest.fixture
def server(tls: Path) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="paymesh-crash-"))
    folder.chmod(0o755)  # root's server runs as a user who must be let in
    postgres = Postgres(folder / "postgres", free_port(), tls, folder / "programs")
    postgres.prepare()
    running = Server(postgres, folder, start_server(postgres, folder / "postgres.log"))
    try:
        postgres.create_databases({"txn": "txn"})
        migrate(DatabaseServer(postgres).url("txn_owner", "txn"), "txn_svc")
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def databases(server: Server, tls: Path) -> AsyncIterator[list[Database]]:
    first, _ = await database_and_settings(server.url, tls)
    second, _ = await database_and_settings(server.url, tls)
    yield [first, second]
    await first.close()
    await second.close()


@pytest.fixture
async def cards(
    databases: list[Database], networks: Networks, tmp_path: Path, caller: Caller
) -> AsyncIterator[Browsing]:
    simulator, pool = networks.simulators[NETWORK], networks.pools[NETWORK]
    async with browsing(databases, simulator, pool, tmp_path / "keys", caller) as processes:
        yield processes


async def test_a_crash_leaves_no_token_and_a_charge_says_so(
    server: Server, cards: Browsing, tls: Path
) -> None:
    wish = await cards.wish(cards.intent_id(), nonce := secrets.token_hex(16))
    token = await cards.tokens.create(cards.caller, wish)
    [row] = await cards.database.fetch("select sealed from card_tokens")

    server.crash()
    wal = server.wal()
    server.start()
    fresh, _ = await database_and_settings(server.url, tls)
    left = await fresh.fetch("select from card_tokens")
    await fresh.close()
    await _reconnected(cards)

    with pytest.raises(CardTokenUnknown):
        await cards.charges.charge(cards.caller, a_token_wish(token))
    with pytest.raises(EncryptedCardReused):
        await cards.tokens.create(cards.caller, wish)
    again = await cards.token(token.payment_intent_id)
    paid = await cards.charges.charge(cards.caller, a_token_wish(again))

    assert left == []
    assert await cards.process.count(cards.caller) == 1
    assert paid.transaction.status is TransactionStatus.SUCCEEDED
    assert nonce.encode() in wal
    assert row["sealed"] not in wal
    assert row["sealed"][12:28] not in wal


async def _reconnected(cards: Browsing) -> None:
    """Let the processes find out that their connections broke."""
    for database in (cards.process.database, cards.other.database):
        await database._pool.check()  # noqa: SLF001 what a call would do, without its failure
