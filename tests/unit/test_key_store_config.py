"""Which key store: the environment says, secrets included, and what is wrong is named."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from chassis.keystore.config import open_key_store
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import KeyStoreRefused
from tests.fakes import FakeClock

MASTER = base64.b64encode(bytes(range(32))).decode()


def _set(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"PAYMESH_KEYS_{name}", value)


def test_the_master_key_comes_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _set(monkeypatch, STORE="file", FILE=str(tmp_path / "keys"), MASTER=MASTER)
    made = open_key_store(FakeClock()).create_missing()

    (tmp_path / "master").write_text(MASTER + "\n")
    monkeypatch.delenv("PAYMESH_KEYS_MASTER")
    _set(monkeypatch, MASTER_FILE=str(tmp_path / "master"))
    store = open_key_store(FakeClock())

    assert isinstance(store, FileKeyStore)
    assert store.list_keys() == made


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "PAYMESH_KEYS_STORE: Field required"),
        ({"STORE": "vault"}, "PAYMESH_KEYS_STORE: Input should be 'file' or 'pkcs11'"),
        ({"STORE": "file", "MASTER": MASTER}, "PAYMESH_KEYS_FILE: Field required"),
        ({"STORE": "file", "FILE": "x"}, "give one of PAYMESH_KEYS_MASTER and"),
        (
            {"STORE": "file", "FILE": "x", "MASTER": MASTER, "MASTER_FILE": "x"},
            "give one of PAYMESH_KEYS_MASTER and",
        ),
        (
            {"STORE": "file", "FILE": "x", "MASTER": "c2VjcmV0"},
            "PAYMESH_KEYS_MASTER: Value error, the master key must be 32 bytes in base64",
        ),
        ({"STORE": "pkcs11", "TOKEN": "x", "PIN": "1"}, "PAYMESH_KEYS_LIBRARY: Field required"),
        ({"STORE": "pkcs11", "TOKEN": "x", "LIBRARY": "x"}, "give one of PAYMESH_KEYS_PIN and"),
    ],
)
def test_a_wrong_variable_is_named_and_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    said: str,
) -> None:
    _set(monkeypatch, **variables)

    with pytest.raises(SystemExit):
        open_key_store(FakeClock())

    shown = capsys.readouterr().err
    assert said in shown
    assert "c2VjcmV0" not in shown
    assert MASTER not in shown


@pytest.mark.parametrize(
    ("content", "said"), [("c2VjcmV0", "32 bytes in base64"), (None, "No such file")]
)
def test_a_file_without_a_master_key_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "master"
    if content is not None:
        file.write_text(content)
    _set(monkeypatch, STORE="file", FILE=str(tmp_path / "keys"), MASTER_FILE=str(file))

    with pytest.raises(KeyStoreRefused, match=said) as refused:
        open_key_store(FakeClock())

    assert "c2VjcmV0" not in str(refused.value)
