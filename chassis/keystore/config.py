"""Which key store, from variables `PAYMESH_KEYS_…`. No secret is ever an argument of a command."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.clock import Clock
from chassis.config import read_settings
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import KeyStoreRefused, Purpose
from chassis.keystore.pkcs11 import Pkcs11KeyStore, Token
from chassis.keystore.store import KEY_BYTES, KeyStore

_CONFIG = SettingsConfigDict(env_prefix="PAYMESH_KEYS_", extra="ignore", frozen=True)


class KeyStoreChoice(BaseSettings):
    """Where the keys are."""

    model_config = _CONFIG

    store: Literal["file", "pkcs11"]
    """An encrypted file, or an HSM."""


class FileSettings(BaseSettings):
    """Variables of the encrypted file."""

    model_config = _CONFIG

    file: Path
    """The file; it is made when the first key is."""
    master: SecretStr | None = None
    """The master key, 32 bytes in base64, or `master_file`."""
    master_file: Path | None = None
    """A file that holds it."""

    @field_validator("master")
    @classmethod
    def _is_key(cls, master: SecretStr | None) -> SecretStr | None:
        if master is not None:
            _decode(master.get_secret_value())
        return master

    @model_validator(mode="after")
    def _one_master(self) -> FileSettings:
        if (self.master is None) == (self.master_file is None):
            raise ValueError("give one of PAYMESH_KEYS_MASTER and PAYMESH_KEYS_MASTER_FILE")
        return self

    def open(self, clock: Clock) -> FileKeyStore:
        """Open the store. Raises KeyStoreRefused, KeyStoreUnavailable."""
        try:
            master_key = _decode(_secret(self.master, self.master_file))
        except ValueError as refused:
            raise KeyStoreRefused(str(refused)) from None
        return FileKeyStore(self.file, master_key, clock)


class Pkcs11Settings(BaseSettings):
    """Variables of the HSM."""

    model_config = _CONFIG

    library: Path
    """The HSM's PKCS#11 module, e.g. /usr/lib/softhsm/libsofthsm2.so."""
    token: str
    """The token's label."""
    pin: SecretStr | None = None
    """The user's PIN, or `pin_file`."""
    pin_file: Path | None = None
    """A file that holds it."""

    @model_validator(mode="after")
    def _one_pin(self) -> Pkcs11Settings:
        if (self.pin is None) == (self.pin_file is None):
            raise ValueError("give one of PAYMESH_KEYS_PIN and PAYMESH_KEYS_PIN_FILE")
        return self

    def open(self, clock: Clock) -> Pkcs11KeyStore:
        """Open the store. Raises KeyStoreRefused, KeyStoreUnavailable."""
        token = Token(self.library, self.token, _secret(self.pin, self.pin_file))
        return Pkcs11KeyStore(token, clock)


def open_key_store(clock: Clock) -> KeyStore[Any]:
    """Open the store that the environment names, or end the process with what is wrong there.

    Raises KeyStoreRefused for a wrong master key or PIN, KeyStoreUnavailable.
    """
    if read_settings(KeyStoreChoice).store == "file":
        return read_settings(FileSettings).open(clock)
    return read_settings(Pkcs11Settings).open(clock)


def require_keys(store: KeyStore[Any], purposes: Iterable[Purpose]) -> None:
    """End the process with a line for each of these purposes that has no key."""
    there = {key.purpose for key in store.list_keys()}
    missing = [purpose for purpose in purposes if purpose not in there]
    for purpose in missing:
        sys.stderr.write(
            f"configuration: the key store has no key for {purpose}; "
            f"make the first with `paymesh keys rotate {purpose}`\n"
        )
    if missing:
        sys.exit(2)


def _secret(value: SecretStr | None, file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text().strip()
        except OSError as absent:
            raise KeyStoreRefused(f"{file}: {absent.strerror}") from None
    return value.get_secret_value() if value is not None else ""


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("the master key must be 32 bytes in base64")
    return key
