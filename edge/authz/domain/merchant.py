"""Merchants and where they are paid out to. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from chassis.errors import ParameterInvalid, ParameterMissing
from chassis.fields import check_text
from chassis.ids import MerchantId
from chassis.money import CURRENCIES

NAME_LENGTH_MAX = 140

_ACCOUNT_NUMBER = re.compile(r"[0-9A-Za-z]{4,34}")


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where a merchant is paid out to."""

    account_holder: str
    country: str
    currency: str
    account_number: str
    routing_number: str

    def __repr__(self) -> str:
        return f"BankAccount(…{self.account_number[-4:]})"


@dataclass(frozen=True, slots=True)
class Merchant:
    """A business that collects payments."""

    id: MerchantId
    name: str
    country: str
    mcc: str
    created: datetime
    bank_account: BankAccount | None = None


def check_name(name: str, param: str) -> str:
    """Return the name. Raises ParameterMissing, ParameterInvalid."""
    if not name.strip():
        raise ParameterMissing(param)
    return check_text(name, NAME_LENGTH_MAX, param)


def check_country(country: str, param: str) -> str:
    """Return the country. Raises ParameterMissing, ParameterInvalid."""
    if not country:
        raise ParameterMissing(param)
    if not re.fullmatch("[a-z]{2}", country):
        raise ParameterInvalid(f"{param} must be two lower-case letters.", param=param)
    return country


def check_mcc(mcc: str) -> str:
    """Return the merchant category code. Raises ParameterMissing, ParameterInvalid."""
    if not mcc:
        raise ParameterMissing("mcc")
    if not re.fullmatch("[0-9]{4}", mcc):
        raise ParameterInvalid("mcc must be 4 digits.", param="mcc")
    return mcc


def check_bank_account(account: BankAccount) -> BankAccount:
    """Return the account. Raises ParameterMissing, ParameterInvalid."""
    check_name(account.account_holder, "bankAccount.accountHolder")
    check_country(account.country, "bankAccount.country")
    if account.currency not in CURRENCIES:
        raise ParameterInvalid(
            "bankAccount.currency must be an ISO 4217 code in lower case.",
            param="bankAccount.currency",
        )
    if not _ACCOUNT_NUMBER.fullmatch(account.account_number):
        raise ParameterInvalid(
            "bankAccount.accountNumber must have 4 to 34 letters and digits.",
            param="bankAccount.accountNumber",
        )
    return account
