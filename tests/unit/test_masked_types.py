"""Whatever holds a secret says nothing of it as text: every type of the tree is looked at."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, SecretStr

ROOTS = ("chassis", "edge", "intent_svc", "txn_svc", "recon_svc", "webhook_svc", "sandbox")
# Fields of text or bytes with such names hold secrets; a stored response may show a client secret.
SECRET = re.compile(
    r"digits|number|cvc|secrets?|.*_secret|secret_key|encrypted_card|plain\w*|pin|master|passwords?"
    r"|account_number|signature|response|replay|environment|\w*dek|data_key|\w*database_url"
)
RAW = re.compile(r"\b(?:str|bytes)\b")
CANARY = "canary-0123456789"


class Part:
    """Stands for any other value."""

    def __getattr__(self, name: str) -> Part:
        return self

    def __repr__(self) -> str:
        return "part"


def _types() -> Iterator[type]:
    for root in ROOTS:
        package = importlib.import_module(root)
        for module in pkgutil.walk_packages(package.__path__, f"{root}."):
            if ".migrations" in module.name or module.name.endswith("__main__"):
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(value) and value.__module__ == module.name:
                    yield value


def _secrets(of: type) -> list[str]:
    return [
        field.name
        for field in dataclasses.fields(of)
        if SECRET.fullmatch(field.name) and RAW.search(str(field.type))
    ]


HOLDERS = [of for of in _types() if dataclasses.is_dataclass(of) and _secrets(of)]


def test_the_types_that_hold_secrets_are_found() -> None:
    names = {of.__name__ for of in HOLDERS}

    assert {"Pan", "Card", "CardFields", "CardTokenWish", "NewKey", "SecretKey", "Claim"} <= names


@pytest.mark.parametrize("of", HOLDERS, ids=lambda of: f"{of.__module__}.{of.__qualname__}")
def test_a_type_that_holds_secrets_is_masked(of: type) -> None:
    made: object = object.__new__(of)
    for field in dataclasses.fields(of):
        value = CANARY if field.name in _secrets(of) else Part()
        object.__setattr__(made, field.name, value)

    for text in (repr(made), str(made), f"{made}", repr([made])):
        assert CANARY not in text


def test_secret_settings_are_of_a_type_that_hides_them() -> None:
    plain = [
        f"{of.__module__}.{name}"
        for of in _types()
        if issubclass(of, BaseModel)
        for name, field in of.model_fields.items()
        if SECRET.fullmatch(name) and SecretStr.__name__ not in str(field.annotation)
    ]

    assert plain == []
