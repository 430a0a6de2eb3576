"""What a network's response code means (ISO 8583:1987 DE39): approved, declined or unknown.

A code that is not in the table is unknown: it is never taken for a decline.
"""

from __future__ import annotations

from txn_svc.domain.transaction import Failure

APPROVED = frozenset({"00", "08", "11", "85"})

# An issuer's codes → the decline code that a merchant is told. A card that is lost, stolen or
# suspected says so to nobody: the person at the till may be the thief.
DECLINE_CODES: dict[str, str] = {
    "01": "call_issuer",
    "02": "call_issuer",
    "03": "service_not_allowed",
    "04": "pickup_card",
    "05": "do_not_honor",
    "07": "pickup_card",
    "12": "transaction_not_allowed",
    "13": "invalid_amount",
    "19": "reenter_transaction",
    "21": "no_action_taken",
    "34": "generic_decline",
    "36": "restricted_card",
    "38": "pin_try_exceeded",
    "39": "invalid_account",
    "41": "generic_decline",
    "43": "generic_decline",
    "51": "insufficient_funds",
    "52": "invalid_account",
    "53": "invalid_account",
    "55": "incorrect_pin",
    "56": "invalid_account",
    "57": "transaction_not_allowed",
    "58": "service_not_allowed",
    "59": "generic_decline",
    "61": "card_velocity_exceeded",
    "62": "restricted_card",
    "63": "security_violation",
    "65": "withdrawal_count_limit_exceeded",
    "75": "pin_try_exceeded",
    "76": "invalid_account",
    "77": "invalid_account",
    "86": "incorrect_pin",
    "89": "incorrect_pin",
    "R0": "stop_payment_order",
    "R1": "revocation_of_authorization",
    "R3": "revocation_of_all_authorizations",
}

# Codes that have a failure code of their own.
FAILURE_CODES: dict[str, str] = {
    "06": "processing_error",
    "14": "incorrect_number",
    "15": "incorrect_number",
    "30": "processing_error",
    "33": "expired_card",
    "54": "expired_card",
    "82": "incorrect_cvc",
    "N7": "incorrect_cvc",
}

MESSAGES: dict[str, str] = {
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card verification code is incorrect.",
    "incorrect_number": "The card number is incorrect.",
    "insufficient_funds": "The card has insufficient funds.",
    "processing_error": "The card could not be processed. Nothing was charged.",
}

# Not the issuer's word, or not its last: the money may have moved (late answers, a request in
# progress, a duplicate of something, an issuer or switch in trouble, an approval of a part).
UNKNOWN = frozenset({"09", "10", "68", "90", "91", "92", "94", "96", "97", "98"})


def is_approved(response_code: str) -> bool:
    """Return whether the issuer approved the whole amount."""
    return response_code in APPROVED


def decline(response_code: str) -> Failure | None:
    """Return what a decline is told as, or None when the code is not a decline."""
    code = FAILURE_CODES.get(response_code)
    if code is not None:
        return Failure(code, MESSAGES[code])
    decline_code = DECLINE_CODES.get(response_code)
    if decline_code is None:
        return None
    message = MESSAGES.get(decline_code, "The card was declined.")
    return Failure("card_declined", message, decline_code)
