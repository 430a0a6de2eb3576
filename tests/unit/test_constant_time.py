"""Secrets are compared in constant time, and who guesses learns nothing from how much was done."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from chassis.errors import ResourceMissing
from chassis.ids import KeyId, MerchantId
from edge.authz.app import AuthzApp
from edge.authz.domain.key import ApiKey
from edge.authz.domain.signature import SignatureInvalid, Signed, is_signed_with
from edge.authz.keys import KeyCache
from edge.authz.store.checks import SecretKey
from intent_svc.handlers import IntentHandlers
from tests.fakes import FakeClock

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = b"sk_test_an_example_of_a_secret_key"
KNOWN, UNKNOWN = "pk_test_" + "a" * 24, "pk_test_" + "b" * 24
NONCE = "0e4a1c7e-6b1f-4c38-9d0a-1f5f5c7d2b11"
INTENT = "pi_00" + "0" * 24


class Compared(str):
    """A text that counts how often it is compared by anything but `hmac.compare_digest`."""

    __slots__ = ()
    seen: list[str] = []

    def __eq__(self, other: object) -> bool:
        self.seen.append("==")
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        self.seen.append("!=")
        return super().__ne__(other)

    def startswith(self, *arguments: Any) -> bool:
        self.seen.append("startswith")
        return super().startswith(*arguments)

    __hash__ = str.__hash__


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, Any]]]:
    """Return what is given to `hmac.compare_digest`, which still compares."""
    genuine, found = hmac.compare_digest, list[tuple[Any, Any]]()

    def compare(first: Any, second: Any) -> bool:
        found.append((first, second))
        one, two = (str(each) if isinstance(each, Compared) else each for each in (first, second))
        return genuine(one, two)

    Compared.seen.clear()
    monkeypatch.setattr(hmac, "compare_digest", compare)
    yield found
    assert Compared.seen == []


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """Return the keys and texts that HMACs are made of."""
    genuine, found = hmac.digest, list[tuple[bytes, bytes]]()

    def digest(key: bytes, text: bytes, name: str) -> bytes:
        found.append((key, text))
        return genuine(key, text, name)

    monkeypatch.setattr(hmac, "digest", digest)
    return found


def _signed(signature: str) -> Signed:
    return Signed(KNOWN, "2026-03-01T12:00:00Z", UUID(NONCE), NONCE, signature)


@pytest.mark.parametrize("signature", ["0" * 64, "f" * 64])
def test_a_signature_is_compared_whole(compared: list[tuple[Any, Any]], signature: str) -> None:
    given = Compared(signature)

    assert not is_signed_with(SECRET, _signed(given), "GET", b"/events", b"")

    [(expected, found)] = compared
    assert found is given
    assert len(expected) == 64


async def test_a_client_secret_is_compared_whole_before_anything_is_read(
    compared: list[tuple[Any, Any]],
) -> None:
    nothing: Any = None  # whatever was read would fail here
    handlers = IntentHandlers(nothing, nothing, nothing, nothing, FakeClock(), b"key")
    genuine = handlers.client_secret(INTENT)

    for given in (genuine[:-1] + "_", "", "x"):
        with pytest.raises(ResourceMissing):
            await handlers.check_client_secret("mer_1", "test", INTENT, Compared(given))

    assert [found for _, found in compared] == [genuine[:-1].encode() + b"_", b"", b"x"]
    assert {expected for expected, _ in compared} == {genuine.encode()}


class Asked:
    """The database of keys: one is known, and each question counts."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    async def read(self, publishable_key: str) -> SecretKey | None:
        """Return the pair of keys, if it is the one."""
        self.questions.append(publishable_key)
        if publishable_key != KNOWN:
            return None
        api_key = ApiKey(
            KeyId("key_1"), MerchantId("mer_1"), "test", KNOWN, SECRET[-4:].decode(), NOW
        )
        return SecretKey(api_key, SECRET)


async def _refused(asked: Asked, publishable_key: str) -> str:
    nothing: Any = None  # neither nonce nor token is to be reached
    app = AuthzApp(nothing, KeyCache(asked.read), nothing, nothing, FakeClock(NOW))
    events: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(event: dict[str, Any]) -> None:
        events.append(event)

    headers = {
        "authorization": f"Bearer {publishable_key}",
        "x-request-timestamp": "2026-03-01T12:00:00Z",
        "x-request-nonce": NONCE,
        "x-signature": "sha256=" + "0" * 64,
        "x-request-id": "req-1",
    }
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/events",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    return repr(events)


async def test_an_unknown_key_costs_what_a_wrong_signature_costs(
    compared: list[tuple[Any, Any]], digests: list[tuple[bytes, bytes]]
) -> None:
    work = []
    answers = []
    for publishable_key in (KNOWN, UNKNOWN):
        asked = Asked()
        compared.clear()
        digests.clear()
        answers.append(await _refused(asked, publishable_key))
        work.append((len(asked.questions), [text for _, text in digests], len(compared)))

    assert SignatureInvalid.reason.lower() in answers[0]
    assert answers[0] == answers[1]
    assert work[0] == work[1]
    assert (work[0][0], len(work[0][1]), work[0][2]) == (1, 1, 1)
