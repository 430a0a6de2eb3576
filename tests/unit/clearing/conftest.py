"""Workers for the reader: a thread, which needs no start."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest


@pytest.fixture(scope="session")
def workers() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool
