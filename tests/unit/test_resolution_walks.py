"""Any order of facts about one exchange keeps what a merchant was told, and loses no approval."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_resolution import (
    ACKNOWLEDGMENT,
    ADVICE,
    APPROVED,
    DECLINED,
    DOUBTFUL,
    NOT_FOUND,
    PART,
    RULE,
    TIMED_OUT,
    recorded,
)
from txn_svc.domain.attempt import Attempt, AttemptStatus, event_type
from txn_svc.domain.resolution import (
    AttemptInUnexpectedState,
    Exchange,
    acknowledge_reversal,
    address_reversal,
    begin_reversal,
    expire,
    is_undone,
    note,
    resolve,
    retry_reversal,
    take_late_answer,
)
from txn_svc.domain.transaction import FINAL, Transaction, TransactionStatus

ANSWERS = {
    "late approval": APPROVED,
    "late part": PART,
    "late decline": DECLINED,
    "late doubt": DOUBTFUL,
}
SAID = {
    "said approved": APPROVED,
    "said part": PART,
    "said declined": DECLINED,
    "said not found": NOT_FOUND,
}
# Networks that contradict themselves, and of each kind one that does not.
ANYTHING = [*ANSWERS, *SAID]
CONSISTENT = {
    "approves": ["late approval", "late doubt", "said approved", "said not found"],
    "approves a part": ["late part", "late doubt", "said part", "said not found"],
    "declines": ["late decline", "late doubt", "said declined", "said not found"],
    "never got it": ["said not found"],
}
OURS = ["too early", "time out", "note", "begin reversal", "address", "acknowledge", "retry"]
# What may follow an event in an attempt's history; "attempt.failed" repeats when its undoing
# begins or is overdue, as "attempt.timeout" does.
MAY_FOLLOW: dict[str | None, set[str]] = {
    None: {"attempt.recorded"},
    "attempt.recorded": {"attempt.timeout", "attempt.succeeded", "attempt.failed"},
    "attempt.timeout": {"attempt.timeout", "attempt.resolved", "attempt.reversed"},
    "attempt.resolved": {"attempt.failed", "attempt.reversed"},
    "attempt.failed": {"attempt.failed", "attempt.reversed"},
    "attempt.succeeded": set(),
    "attempt.reversed": set(),
}


@dataclass
class Walk:
    """An exchange on its way, and what is known of the network."""

    exchange: Exchange = field(default_factory=recorded)
    last_event: str | None = None
    approval_came: bool = False

    def __post_init__(self) -> None:
        self._tell(None, self.exchange[1])

    def take(self, fact: str) -> None:
        """Let a fact happen, and check all that must hold after any of them."""
        was = self.exchange
        try:
            self.exchange = self._after(fact)
        except AttemptInUnexpectedState:
            return
        if fact in {"late approval", "late part"}:
            self.approval_came = True
        self._check_change(*was)
        self._check_state()

    def _after(self, fact: str) -> Exchange:
        transaction, attempt = self.exchange
        if fact in ANSWERS:
            return take_late_answer(transaction, attempt, ANSWERS[fact])
        if fact in SAID:
            return resolve(transaction, attempt, SAID[fact])
        if fact == "too early":
            return expire(transaction, attempt, attempt.deadline, "asked about")
        if fact == "time out":
            return expire(transaction, attempt, attempt.deadline + 1, "asked about")
        if fact == "acknowledge":
            return acknowledge_reversal(transaction, attempt, ACKNOWLEDGMENT)
        return transaction, self._reversing(fact, attempt)

    @staticmethod
    def _reversing(fact: str, attempt: Attempt) -> Attempt:
        if fact == "begin reversal":
            return begin_reversal(attempt, TIMED_OUT)
        if fact == "address":
            return address_reversal(attempt, "000009", "1124120009", "P0000001")
        if fact == "retry":
            return retry_reversal(attempt, RULE, 100, ADVICE)
        return note(attempt, ADVICE)

    def _check_change(self, was_told: Transaction, was: Attempt) -> None:
        told, attempt = self.exchange
        if attempt is was:
            assert told is was_told
            return
        assert attempt.version == was.version + 1
        assert attempt.messages[: len(was.messages)] == was.messages
        self._tell(was, attempt)

    def _check_state(self) -> None:
        transaction, attempt = self.exchange
        told = transaction.status
        if attempt.status is AttemptStatus.REVERSED:
            assert is_undone(attempt)
        if told is TransactionStatus.FAILED and self.approval_came:
            assert attempt.reversal is not None, "an approval stands and nobody undoes it"
        if told is TransactionStatus.SUCCEEDED:
            assert attempt.reversal is None, "what was told to be paid is undone"
        assert (told is TransactionStatus.FAILED) == (transaction.failure is not None)

    def _tell(self, was: Attempt | None, attempt: Attempt) -> None:
        event = event_type(was, attempt)
        if event is not None:
            assert event in MAY_FOLLOW[self.last_event]
            self.last_event = event


def _walk(facts: list[str]) -> Walk:
    walk = Walk()
    told: TransactionStatus | None = None
    for fact in facts:
        walk.take(fact)
        status = walk.exchange[0].status
        assert told is None or status is told, "what the merchant was told flipped"
        told = status if status in FINAL else None
    return walk


@given(st.lists(st.sampled_from([*ANYTHING, *OURS]), max_size=14))
def test_nothing_that_a_network_says_in_any_order_flips_what_was_told(facts: list[str]) -> None:
    _walk(facts)


@given(
    st.sampled_from(sorted(CONSISTENT)).flatmap(
        lambda kind: st.tuples(
            st.just(kind), st.lists(st.sampled_from([*CONSISTENT[kind], *OURS]), max_size=14)
        )
    )
)
def test_a_network_that_keeps_its_word_ends_with_books_that_agree(
    walked: tuple[str, list[str]],
) -> None:
    kind, facts = walked
    last = {"approves": "late approval", "approves a part": "late part", "declines": "late decline"}

    walk = _walk([*facts, "time out", *([last[kind]] if kind in last else [])])
    transaction, attempt = walk.exchange
    if attempt.status is AttemptStatus.TIMEOUT and attempt.reversal is None:
        walk.take("begin reversal")
    if walk.exchange[1].reversal is not None:
        walk.take("acknowledge")

    transaction, attempt = walk.exchange
    stands = kind in {"approves", "approves a part"} and not is_undone(attempt)
    assert transaction.status in FINAL
    assert stands == (transaction.status is TransactionStatus.SUCCEEDED)


@given(st.permutations(["time out", "begin reversal", "late approval", "acknowledge", "retry"]))
def test_an_approval_and_a_reversal_in_any_order_come_to_one_of_two_ends(facts: list[str]) -> None:
    transaction, attempt = _walk(facts).exchange

    assert (transaction.status, attempt.status) in {
        (TransactionStatus.SUCCEEDED, AttemptStatus.SUCCEEDED),
        (TransactionStatus.FAILED, AttemptStatus.REVERSED),
        (TransactionStatus.PENDING_VERIFICATION, AttemptStatus.TIMEOUT),
    }
    if attempt.status is AttemptStatus.TIMEOUT:
        assert attempt.reversal is not None
