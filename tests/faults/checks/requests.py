"""What merchants asked for, against what there is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.faults.checks.finding import Finding, Violation
from tests.faults.evidence import Evidence, Intent, Request, Step, Told, Transaction

CAPTURES = {Step.CAPTURE: 1, Step.CAPTURE_AGAIN: 2}
ENDINGS = {Step.CANCEL, *CAPTURES}
# What may have become of a capture, by what its merchant was told.
TOLD_OF_CAPTURES = {
    "succeeded": {"succeeded"},
    "authorized": {"failed"},
    "processing": {"succeeded", "failed"},
}


def every_request_is_done_once_or_never(evidence: Evidence) -> Finding:
    """Each request answered OK made one thing, each other one at most; asking again settles it.

    One whose card token was lost made nothing.
    """
    violations = []
    made = _made_by_request(evidence)
    for request in evidence.requests:
        told, found = request.last_told, made[request.key]
        if told is None:
            violations.append(Violation(request.key, "asking again did not settle it"))
        elif told.is_token_lost:
            if found:
                violations.append(Violation(request.key, f"its token was lost, and made {found}"))
        elif not told.is_ok:
            violations.append(Violation(request.key, f"refused: {told.status} {told.body}"))
        elif found != [told.object_id]:
            violations.append(
                Violation(request.key, f"answered with {told.object_id}, and there is {found}")
            )
        if len(request.found_before) > 1:
            violations.append(Violation(request.key, f"made {request.found_before} unanswered"))
    asked = evidence.requests
    unanswered = [request for request in asked if request.told is None]
    figures = {
        "requests": len(asked),
        "answered OK": sum(bool(row.told and row.told.is_ok) for row in asked),
        "tokens lost": sum(bool(row.last_told and row.last_told.is_token_lost) for row in asked),
        "sent more than once": sum(row.tries > 1 for row in asked),
        "unanswered until healed": len(unanswered),
        "of these done already": sum(bool(row.found_before) for row in unanswered),
    }
    return Finding("every request is done once or never", figures, violations)


def what_a_merchant_was_told_stays_true(evidence: Evidence) -> Finding:
    """A charge that was answered is that for ever; a capture or cancel that was taken is done."""
    by_id = {row.id: row for row in evidence.transactions}
    intent_by_id = {row.id: row for row in evidence.intents}
    captures = {(row.intent_id, row.capture_number): row.status for row in evidence.attempts}
    counted: Counter[str] = Counter()
    violations: list[Violation] = []
    for request in evidence.requests:
        told = request.last_told
        if request.step is Step.CREATE or told is None or not told.is_ok:
            continue
        said = str(told.body["status"])
        counted[f"{request.step} told {said}"] += 1
        if request.step in ENDINGS:
            number = CAPTURES.get(request.step, 0)
            capture = captures.get((request.intent_id, number), "") if number else None
            violations += _otherwise(request, said, intent_by_id.get(told.object_id), capture)
            continue
        now = by_id.get(told.object_id)
        status = now.status if now else None
        if said not in ("pending_verification", status):
            violations.append(Violation(told.object_id, f"told {said}, and it is {status}"))
        violations += _approved_otherwise(request, told, now)
        asked_minor = request.payment.amount_minor
        counted["parts taken"] += now is not None and 0 < now.approved_minor < asked_minor
    return Finding("what a merchant was told stays true", dict(counted), violations)


def _approved_otherwise(
    request: Request, told: Told, transaction: Transaction | None
) -> Iterator[Violation]:
    """Yield what of an amount was approved otherwise than was told, or though parts are refused."""
    if transaction is None:
        return
    told_minor = told.body.get("amountApprovedInCents", 0)
    if told.body["status"] == "succeeded" and told_minor != transaction.approved_minor:
        yield Violation(
            transaction.id, f"told of {told_minor}, and approved are {transaction.approved_minor}"
        )
    asked = request.payment.amount_minor
    is_part = transaction.approved_minor not in {0, asked}
    if transaction.approved_minor > asked or (is_part and not request.payment.accepts_part):
        yield Violation(
            transaction.id, f"of {asked} it should not take {transaction.approved_minor}"
        )


def _otherwise(
    request: Request, said: str, intent: Intent | None, capture: str | None
) -> Iterator[Violation]:
    """Yield what is not as a cancel or a capture was told. capture: the status of its attempt."""
    if capture is not None and capture not in TOLD_OF_CAPTURES[said]:
        yield Violation(request.intent_id, f"told {said}, and the {request.step} is {capture}")
    if capture == "failed":
        return  # the funds are held again; the books tell whether they are
    wanted = ("canceled", 0)
    if capture is not None and intent is not None:
        collected_minor = request.payment.amount_to_collect_minor(intent.amount_authorized_minor)
        wanted = ("succeeded", collected_minor)
    found = (intent.status, intent.amount_captured_minor) if intent else None
    if found != wanted:
        yield Violation(request.intent_id, f"{request.step} was taken, and it is {found}")


def _made_by_request(evidence: Evidence) -> dict[str, list[str]]:
    """Return the ids of what there is for each request, by its key."""
    made: dict[tuple[str, str], list[str]] = defaultdict(list)
    for intent in evidence.intents:
        made[intent.merchant_id, intent.description].append(intent.id)
    for transaction in evidence.transactions:
        made[transaction.merchant_id, transaction.key].append(transaction.id)
    ended = {
        Step.CANCEL: [row.id for row in evidence.intents if row.status == "canceled"],
        **{
            step: [row.intent_id for row in evidence.attempts if row.capture_number == number]
            for step, number in CAPTURES.items()
        },
    }
    return {
        request.key: [found for found in ended[request.step] if found == request.intent_id]
        if request.step in ended
        else made[request.merchant_id, request.key]
        for request in evidence.requests
    }
