"""What a network answers to each message, and what its issuers write down."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sandbox.networks.cards import APPROVES, BEHAVIORS, Behavior, Delivery
from sandbox.networks.ledger import Ledger, Row

ECHOED = ("3", "4", "7", "11", "32", "37", "41", "42", "49")
APPROVED_CODES = frozenset({"00", "10"})
INVALID_TRANSACTION = "12"
INVALID_AMOUNT = "13"
CAPTURE_REFUSED = "05"
NOT_FOUND = "25"
FORMAT_ERROR = "30"
DUPLICATE = "94"
PREAUTHORIZED = "06"  # the point of service condition (DE25) of a request to hold funds only

Elements = dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and what becomes of it; no elements: there is none."""

    elements: Elements | None
    delivery: Delivery = Delivery.PROMPT


SILENCE = Reply(None)


class Issuer:
    """Decides and keeps the books of one network. offers_inquiry: whether it can be asked later."""

    def __init__(self, ledger: Ledger, *, offers_inquiry: bool) -> None:
        self._ledger = ledger
        self._offers_inquiry = offers_inquiry
        self._silent_left: dict[str, int] = {}

    def answer(self, request: Elements) -> Reply:
        """Return the reply to a message."""
        mti = request["t"]
        if mti == "0800":
            return Reply(_response(request, "00"))
        if mti == "0100" and request.get("3", "").startswith("31"):
            return self._inquire(request)
        if mti == "0100":
            return self._authorize(request)
        if mti in {"0220", "0221"}:
            return self._capture(request)
        if mti in {"0400", "0401", "0420", "0421"}:
            return self._reverse(request)
        return Reply(_response(request, INVALID_TRANSACTION))

    def _authorize(self, request: Elements) -> Reply:
        behavior = BEHAVIORS.get(request["2"], APPROVES)
        if behavior.delivery is Delivery.DROPPED:
            return SILENCE
        row = self._ledger.find(request["37"])
        if row is not None and row.messages[0]["mti"] == "0100":
            _note(row, request, DUPLICATE)
            self._ledger.write(row)
            return Reply(_response(request, DUPLICATE))
        if row is not None:  # its reversal came first, and kills it
            _note(row, request, "05")
            self._ledger.write(row)
            return Reply(_response(request, "05"))
        row = _new_row(request, behavior)
        _note(row, request, behavior.response_code)
        self._ledger.write(row)
        self._silent_left[row.rrn] = behavior.silent_inquiries or behavior.silent_captures
        return Reply(_authorization(request, row), behavior.delivery)

    def _inquire(self, request: Elements) -> Reply:
        if not self._offers_inquiry:
            return Reply(_response(request, INVALID_TRANSACTION))
        row = self._ledger.find(request["37"])
        if row is not None:
            _note(row, request, row.response_code)
            self._ledger.write(row)
            if self._stays_silent(row):
                return SILENCE
        if row is None or not row.messages or row.messages[0]["mti"] != "0100":
            return Reply(_response(request, NOT_FOUND))
        if not _is_about(row, request):
            return Reply(_response(request, FORMAT_ERROR))
        return Reply(_authorization(request, row))

    def _capture(self, request: Elements) -> Reply:
        """Take what is held, all or a part; the rest is released. Again changes nothing."""
        row = self._ledger.find(request["37"])
        if row is None:
            return Reply(_response(request, NOT_FOUND))
        code, amount = "00", int(request["4"])
        said = _said_before(row, request)
        if not _is_about(row, request):
            code = FORMAT_ERROR
        elif said is not None:
            code = said
        elif row.held and row.refused_captures:
            row.refused_captures -= 1
            code = CAPTURE_REFUSED
        elif not row.approved or row.reversed or (not row.held and row.captured != amount):
            code = INVALID_TRANSACTION
        elif row.held and amount > row.held:
            code = INVALID_AMOUNT
        else:
            row.held, row.captured = 0, amount
        _note(row, request, code)
        self._ledger.write(row)
        return SILENCE if self._stays_silent(row) else Reply(_response(request, code))

    def _reverse(self, request: Elements) -> Reply:
        """Undo an exchange. Its amount is that approved, or that asked for if no answer came."""
        row = self._ledger.find(request["37"])
        if row is None:
            row = Row(
                rrn=request["37"],
                stan=request["11"],
                transmitted_at=request["7"],
                card=_masked(request.get("2", "")),
                currency=request.get("49", ""),
                asked=int(request["4"]),
                amount=0,
            )
            _note(row, request, NOT_FOUND)
            self._ledger.write(row)
            return Reply(_response(request, NOT_FOUND))
        if int(request["4"]) not in {row.asked, row.amount}:
            _note(row, request, INVALID_AMOUNT)
            self._ledger.write(row)
            return Reply(_response(request, INVALID_AMOUNT))
        if not _is_about(row, request):
            _note(row, request, FORMAT_ERROR)
            self._ledger.write(row)
            return Reply(_response(request, FORMAT_ERROR))
        row.reversed = row.approved
        row.held = row.captured = 0
        _note(row, request, "00")
        self._ledger.write(row)
        return SILENCE if self._stays_silent(row) else Reply(_response(request, "00"))

    def _stays_silent(self, row: Row) -> bool:
        left = self._silent_left.get(row.rrn, 0)
        self._silent_left[row.rrn] = left - 1
        return left > 0


def _new_row(request: Elements, behavior: Behavior) -> Row:
    asked = int(request["4"])
    amount = asked // 2 if behavior.approves_half else asked
    approved = behavior.response_code in APPROVED_CODES
    is_hold = request.get("25") == PREAUTHORIZED
    return Row(
        rrn=request["37"],
        stan=request["11"],
        transmitted_at=request["7"],
        card=_masked(request["2"]),
        currency=request["49"],
        asked=asked,
        amount=amount,
        approved=approved,
        held=amount if approved and is_hold else 0,
        captured=amount if approved and not is_hold else 0,
        response_code=behavior.response_code,
        approval_code=f"{secrets.randbelow(1_000_000):06d}" if approved else "",
        acquirer=request.get("32", ""),
        mcc=request.get("18", ""),
        card_acceptor=request.get("42", "").strip(),
        refused_captures=behavior.refused_captures,
        clearing=behavior.clearing,
    )


def _masked(pan: str) -> str:
    return f"{pan[:6]}…{pan[-4:]}" if pan else ""


def _is_about(row: Row, request: Elements) -> bool:
    """Return whether a later message names the card (DE2), by which networks find the issuer."""
    return row.card == _masked(request.get("2", ""))


def _said_before(row: Row, request: Elements) -> str | None:
    """Return what was answered to the capture that this one repeats."""
    return next(
        (
            message["response_code"]
            for message in row.messages
            if message["mti"] in {"0220", "0221"} and message["stan"] == request["11"]
        ),
        None,
    )


def _note(row: Row, request: Elements, response_code: str) -> None:
    row.messages.append(
        {
            "mti": request["t"],
            "processing_code": request.get("3", ""),
            "amount": request.get("4", ""),
            "response_code": response_code,
            "at": request["7"],
            "stan": request["11"],
            "terminal_id": request.get("41", ""),
        }
    )


def _authorization(request: Elements, row: Row) -> Elements:
    answer = _response(request, row.response_code)
    answer |= {"4": f"{row.amount:012d}", "63": row.trace_id}
    if row.approved:
        answer["38"] = row.approval_code
    return answer


def _response(request: Elements, response_code: str) -> Elements:
    mti = request["t"]
    echoed = {name: request[name] for name in ECHOED if name in request}
    return {"t": f"{mti[:2]}{int(mti[2]) + 1}0", "39": response_code, **echoed}
