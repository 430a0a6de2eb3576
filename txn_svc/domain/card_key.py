"""What stands against the end of a key of card data."""

from __future__ import annotations

from chassis.errors import DomainError, Kind


class CardKeyInUse(DomainError):
    """The key is still needed, so it is not destroyed."""

    kind, reason = Kind.WRONG_STATE, "CARD_KEY_IN_USE"

    def __init__(self, message: str) -> None:
        super().__init__(message, param="kid")
