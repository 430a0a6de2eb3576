"""What a merchant may ask for: the fields of a payment intent."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.errors import ParameterInvalid, ParameterMissing
from chassis.fields import check_no_card_number, check_text
from chassis.money import AMOUNT_MINOR_MAX, CURRENCIES

DESCRIPTION_LENGTH_MAX = 1000
METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_VALUE_LENGTH_MAX = 500


def check_amount(amount_minor: int | None) -> int:
    """Return the amount. Raises ParameterMissing, ParameterInvalid."""
    if amount_minor is None:
        raise ParameterMissing("amountInCents")
    if not 1 <= amount_minor <= AMOUNT_MINOR_MAX:
        raise ParameterInvalid(
            f"amountInCents must be 1 to {AMOUNT_MINOR_MAX}, in minor units of the currency.",
            param="amountInCents",
        )
    return amount_minor


def check_amount_to_capture(amount_minor: int | None) -> int | None:
    """Return the amount, or None for all there is. Raises ParameterInvalid."""
    if amount_minor is not None and amount_minor < 1:
        raise ParameterInvalid(
            "amountToCaptureInCents must be at least 1.", param="amountToCaptureInCents"
        )
    return amount_minor


def check_currency(currency: str) -> str:
    """Return the currency. Raises ParameterMissing, ParameterInvalid."""
    if not currency:
        raise ParameterMissing("currency")
    if currency not in CURRENCIES:
        raise ParameterInvalid(
            'currency must be an ISO 4217 code in lower case, e.g. "usd".', param="currency"
        )
    return currency


def check_description(description: str | None) -> str | None:
    """Return the description. Raises ParameterInvalid."""
    if description is not None:
        check_text(description, DESCRIPTION_LENGTH_MAX, "description")
    return description


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata. Raises ParameterInvalid, naming the key."""
    if len(metadata) > METADATA_KEYS_MAX:
        raise ParameterInvalid(
            f"metadata must have at most {METADATA_KEYS_MAX} keys.", param="metadata"
        )
    for key, value in metadata.items():
        param = f"metadata.{key}"
        if not 0 < len(key) <= METADATA_KEY_LENGTH_MAX or "[" in key or "]" in key or "\0" in key:
            raise ParameterInvalid(
                f"A metadata key has 1 to {METADATA_KEY_LENGTH_MAX} characters without square "
                "brackets.",
                param=param,
            )
        check_no_card_number(key, "metadata")
        check_text(value, METADATA_VALUE_LENGTH_MAX, param)
    return dict(metadata)
