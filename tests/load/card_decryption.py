"""How many encrypted cards one process decrypts and makes tokens of a second, over each key store.

`python -m tests.load.card_decryption` prints the figures and asserts nothing.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chassis.clock import SystemClock
from chassis.identity import Caller
from chassis.ids import PaymentIntentId, new_id, new_merchant_id
from chassis.keystore.file import FileKeyStore
from chassis.keystore.pkcs11 import Pkcs11KeyStore
from chassis.keystore.store import KeyStore
from tests.integration.keystore.parts import a_token
from tests.jose import Sender
from txn_svc.cards.jwe import decrypt_jwe, parse_jwe
from txn_svc.cards.token import Sealing, seal_card

SECONDS = 3.0
NOW = datetime(2026, 11, 26, tzinfo=UTC)
CALLER = Caller(new_merchant_id(), "test")
INTENT = PaymentIntentId(new_id("pi", CALLER.merchant_id))
CARD = (
    b'{"number":"4242424242424242","exp_month":12,"exp_year":2034,"cvc":"123",'
    b'"iat":%d,"nonce":"0b54aa31-3b2f-4d5c-9a0e-0d8f6f7f1c11"}' % NOW.timestamp()
)


def main() -> None:
    """Print operations a second by store."""
    sys.stdout.write(f"{platform.machine()}, {os.cpu_count()} cores, one process, one thread\n")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        file_store = FileKeyStore(Path(folder) / "keys", bytes(32), SystemClock())
        _measure("file", file_store)
        token = a_token(Path(folder), environment).token
        _measure("SoftHSM", Pkcs11KeyStore(token, SystemClock()))


def _measure(name: str, store: KeyStore[Any]) -> None:
    store.create_missing()
    text = ".".join(Sender(store.public_keys()[0]).encrypt(CARD))
    token, wrapped = store.seal_token(CARD, "tok_1"), store.wrap_data_key(bytes(32))
    with closing(store):
        for what, call in {
            "card token made": lambda: seal_card(Sealing(CALLER, INTENT, text), store, NOW),
            "JWE decrypted": lambda: decrypt_jwe(parse_jwe(text), store),
            "token sealed": lambda: store.seal_token(CARD, "tok_1"),
            "token opened": lambda: store.open_token(token, "tok_1"),
            "data key wrapped": lambda: store.wrap_data_key(bytes(32)),
            "data key unwrapped": lambda: store.unwrap_data_key(wrapped),
            "fingerprint": lambda: store.fingerprint(CARD),
        }.items():
            wall, cpu = _rates(call)
            sys.stdout.write(f"{name:8} {what:20} {wall:9,.0f}/s {cpu:9,.0f} per CPU second\n")


def _rates(call: Callable[[], object]) -> tuple[float, float]:
    count, began, cpu_began = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < SECONDS:
        call()
        count += 1
    return count / (time.perf_counter() - began), count / (time.process_time() - cpu_began)


if __name__ == "__main__":
    main()
