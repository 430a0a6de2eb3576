"""ISO 8583 messages as values: what is asked for, and what was answered."""

from __future__ import annotations

from dataclasses import dataclass

import iso8583

from chassis.money import CURRENCIES, Money
from txn_svc.domain.card import Card, Pan
from txn_svc.networks.dialect import Dialect

ACQUIRER_ID = "400001"
CARD_ACCEPTOR_ID = "PAYMESH"
MCC_MISCELLANEOUS_RETAIL = "5999"
ENTRY_MODE_ECOMMERCE = "812"
CONDITION_ECOMMERCE = "59"
CONDITION_PREAUTHORIZED = "06"
PURCHASE = "000000"
STATUS_INQUIRY = "310000"

SIGN_ON, SIGN_OFF, ECHO = "001", "002", "301"

MatchKey = tuple[str, ...]


class MessageInvalid(ValueError):
    """A message that can't be read. Holds no element's value."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What names an exchange: DE7, DE11, DE37, DE41."""

    transmitted_at: str
    stan: str
    rrn: str
    terminal_id: str


@dataclass(frozen=True, slots=True)
class ReversalAdvice:
    """That an earlier exchange is undone.

    trace: names the advice, the same in every repeat. original: names what is undone. money: what
    the answer to it approved, or what was asked for without one. reason: four digits, as ISO
    8583:2003 has them. pan: None where the card is not kept any more.
    """

    trace: Trace
    original: Trace
    money: Money
    pan: Pan | None
    reason: str
    is_repeat: bool

    @property
    def mti(self) -> str:
        """Return the message type: a repeat has one of its own."""
        return "0421" if self.is_repeat else "0420"


@dataclass(frozen=True, slots=True)
class CaptureAdvice:
    """That held funds are claimed.

    trace: names the advice, the same in every repeat. original: names the authorization.
    money: what is claimed of it. pan: None where the card is not kept any more.
    """

    trace: Trace
    original: Trace
    money: Money
    pan: Pan | None
    approval_code: str | None
    is_repeat: bool

    @property
    def mti(self) -> str:
        """Return the message type: a repeat has one of its own."""
        return "0221" if self.is_repeat else "0220"


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """What the network answered.

    amount_minor: as approved (DE4), which may be less than asked. currency_number: of that amount,
    three digits (DE49). What is None was not said.
    """

    response_code: str
    amount_minor: int | None
    approval_code: str | None
    network_trace_id: str | None
    currency_number: str | None = None


def pack_authorization(
    dialect: Dialect, trace: Trace, card: Card, money: Money, *, is_hold: bool = False
) -> bytes:
    """Return a 0100 for a purchase; is_hold: the funds wait for a capture."""
    return _pack(
        dialect,
        {
            "t": "0100",
            "2": card.pan.digits,
            "3": PURCHASE,
            "4": f"{money.amount_minor:012d}",
            "14": f"{card.exp_year % 100:02d}{card.exp_month:02d}",
            "18": MCC_MISCELLANEOUS_RETAIL,
            "22": ENTRY_MODE_ECOMMERCE,
            "25": CONDITION_PREAUTHORIZED if is_hold else CONDITION_ECOMMERCE,
            "37": trace.rrn,
            "42": f"{CARD_ACCEPTOR_ID:<15}",
            "48": f"CVC{card.cvc}",
            "49": CURRENCIES[money.currency].numeric,
            **_named(trace),
        },
    )


def pack_inquiry(dialect: Dialect, trace: Trace, money: Money, pan: Pan | None) -> bytes:
    """Return a 0100 that asks what became of the exchange with the trace's RRN."""
    return _pack(
        dialect,
        {
            "t": "0100",
            **_card(pan),
            "3": STATUS_INQUIRY,
            "4": f"{money.amount_minor:012d}",
            "37": trace.rrn,
            "42": f"{CARD_ACCEPTOR_ID:<15}",
            "49": CURRENCIES[money.currency].numeric,
            **_named(trace),
        },
    )


def pack_reversal(dialect: Dialect, advice: ReversalAdvice) -> bytes:
    """Return a 0420, or a repeat of it, that undoes the original authorization.

    DE90 names the original: MTI, STAN, transmission time, acquirer, and no forwarder. DE25 has two
    digits in ISO 8583:1987: the last two of the 2003 edition's reason.
    """
    return _pack(
        dialect,
        {
            "t": advice.mti,
            **_card(advice.pan),
            "3": PURCHASE,
            "4": f"{advice.money.amount_minor:012d}",
            "25": advice.reason[-2:],
            "37": advice.trace.rrn,
            "42": f"{CARD_ACCEPTOR_ID:<15}",
            "49": CURRENCIES[advice.money.currency].numeric,
            "90": _original(advice.original),
            **_named(advice.trace),
        },
    )


def pack_capture(dialect: Dialect, advice: CaptureAdvice) -> bytes:
    """Return a 0220, or a repeat of it, that claims what the original authorization holds."""
    approval = {} if advice.approval_code is None else {"38": advice.approval_code}
    return _pack(
        dialect,
        {
            "t": advice.mti,
            **_card(advice.pan),
            "3": PURCHASE,
            "4": f"{advice.money.amount_minor:012d}",
            "25": CONDITION_PREAUTHORIZED,
            "37": advice.trace.rrn,
            **approval,
            "42": f"{CARD_ACCEPTOR_ID:<15}",
            "49": CURRENCIES[advice.money.currency].numeric,
            "90": _original(advice.original),
            **_named(advice.trace),
        },
    )


def pack_network_management(dialect: Dialect, trace: Trace, code: str) -> bytes:
    """Return a 0800: sign-on, sign-off or echo."""
    return _pack(dialect, {"t": "0800", "37": trace.rrn, "70": code, **_named(trace)})


def unpack(dialect: Dialect, message: bytes) -> dict[str, str]:
    """Return the elements of a message. Raises MessageInvalid."""
    try:
        decoded, _ = iso8583.decode(message, dialect.spec)
    except (iso8583.DecodeError, KeyError, ValueError) as error:
        where = getattr(error, "field", "?")
        raise MessageInvalid(f"element {where} can't be read") from None
    for name, text in decoded.items():
        if not (text.isascii() and text.isprintable()):
            raise MessageInvalid(f"element {name} can't be text")
    return decoded


def match_key(dialect: Dialect, elements: dict[str, str]) -> MatchKey:
    """Return what names the request that a response answers: its own type and the trace."""
    return (elements["t"], *(elements.get(name, "").strip() for name in dialect.match))


def request_key(dialect: Dialect, mti: str, trace: Trace) -> MatchKey:
    """Return the key that the response to this request will have."""
    response = f"{mti[:2]}{int(mti[2]) + 1}0"  # 0100 has 0110; 0420 and its repeat 0421 have 0430
    return match_key(dialect, {"t": response, "37": trace.rrn, **_named(trace)})


def authorization_response(elements: dict[str, str]) -> AuthorizationResponse:
    """Return what a 0110 says."""
    amount = elements.get("4", "")
    return AuthorizationResponse(
        response_code=elements.get("39", ""),
        amount_minor=int(amount) if amount.isdecimal() else None,
        approval_code=elements.get("38", "").strip() or None,
        network_trace_id=elements.get("63", "").strip() or None,
        currency_number=elements.get("49", "").strip() or None,
    )


def _card(pan: Pan | None) -> dict[str, str]:
    """Return DE2, by which a network finds the issuer."""
    return {} if pan is None else {"2": pan.digits}


def _original(trace: Trace) -> str:
    return f"0100{trace.stan}{trace.transmitted_at}{ACQUIRER_ID:0>11}{'':0>11}"


def _named(trace: Trace) -> dict[str, str]:
    return {
        "7": trace.transmitted_at,
        "11": trace.stan,
        "32": ACQUIRER_ID,
        "41": trace.terminal_id,
    }


def _pack(dialect: Dialect, elements: dict[str, str]) -> bytes:
    raw, _ = iso8583.encode(elements, dialect.spec)
    return bytes(raw)
