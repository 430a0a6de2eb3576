"""A card token: stands for a card once, for one payment intent, for a quarter of an hour."""

from __future__ import annotations

from dataclasses import dataclass

from chassis.errors import DomainError, Kind
from chassis.ids import CardTokenId, MerchantId, PaymentIntentId, created_at, is_id
from txn_svc.domain.transaction import KeptCard

LIFETIME_S = 15 * 60
PARAM = "card.token"


class CardTokenRefused(DomainError):
    """A token that pays nothing."""

    kind = Kind.INVALID

    def __init__(self, message: str) -> None:
        super().__init__(message, param=PARAM)


class CardTokenUnknown(CardTokenRefused):
    """Never made for this merchant and mode, or lost."""

    reason = "CARD_TOKEN_UNKNOWN"

    def __init__(self) -> None:
        super().__init__("No such card token for this key. Ask the customer for the card again.")


class CardTokenExpired(CardTokenRefused):
    """Its time is over."""

    reason = "CARD_TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__(
            "The card token is more than 15 minutes old. Ask the customer for the card again."
        )


class CardTokenUsed(CardTokenRefused):
    """Another transaction was begun with it."""

    reason = "CARD_TOKEN_USED"

    def __init__(self) -> None:
        super().__init__("The card token was used for another transaction. Each works once.")


class CardTokenForAnotherIntent(CardTokenRefused):
    """Made for another intent."""

    reason = "CARD_TOKEN_FOR_ANOTHER_INTENT"

    def __init__(self) -> None:
        super().__init__("The card token was made for another payment intent.")


@dataclass(frozen=True, slots=True)
class CardToken:
    """What is known of a token without opening it. created: Unix seconds."""

    id: CardTokenId
    merchant_id: MerchantId
    mode: str
    payment_intent_id: PaymentIntentId
    card: KeptCard
    created: int

    @property
    def expires(self) -> int:
        """From when on it pays nothing, Unix seconds."""
        return self.created + LIFETIME_S

    @property
    def owner(self) -> str:
        """What its card is bound to: put into another row, it can't be opened."""
        return f"{self.id} {self.payment_intent_id} {self.merchant_id} {self.mode}"


def missing(token_id: str, now: float) -> CardTokenRefused:
    """Return why there is no such token: its id says how old it would be."""
    if is_id("tok", token_id) and created_at(token_id) + LIFETIME_S <= now:
        return CardTokenExpired()
    return CardTokenUnknown()


def check_usable(token: CardToken, mode: str, intent_id: str, now: float) -> None:
    """Return if the token may pay this intent. Raises a CardTokenRefused."""
    if token.mode != mode:
        raise CardTokenUnknown
    if token.payment_intent_id != intent_id:
        raise CardTokenForAnotherIntent
    if token.expires <= now:
        raise CardTokenExpired
