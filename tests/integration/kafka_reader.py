"""A process that reads a topic as a service does, and prints the ids of the events it got.

A process of its own, because Kafka's client leaves sockets open while a broker is away.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.consumer import Consumer, Record
from tests.integration.settings import settings_of


async def _read(name: str, tls: Path, bootstrap: str, group: str, topic: str) -> None:
    async def handle(records: Sequence[Record]) -> None:
        for record in records:
            sys.stdout.write(f"{record.event_id}\n")
        sys.stdout.flush()

    own = settings_of(name, tls).model_copy(update={"kafka_bootstrap": bootstrap})
    await Consumer(own, group, [topic], handle).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, name, tls, *rest = sys.argv
    asyncio.run(_read(name, Path(tls), *rest))
