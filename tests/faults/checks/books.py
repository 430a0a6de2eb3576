"""Our books against the card networks' books and clearing files."""

from __future__ import annotations

from collections import Counter, defaultdict

from sandbox.networks.cards import Clearing
from tests.faults.checks.finding import Finding, Violation
from tests.faults.evidence import Attempt, Evidence, Intent, LedgerRow, Transaction

# What reconciliation must find of an approval that a network's file has otherwise.
BREAKS: dict[str, str] = {
    Clearing.MISSING: "missing_at_network",
    Clearing.OVER: "amount_over",
    Clearing.TWICE: "duplicate_line",
}


def our_books_equal_the_networks_books(evidence: Evidence) -> Finding:
    """For each payment the networks' ledgers and ours say the same, to the cent."""
    charged, violations = _charged_by_intent(evidence)
    ours = {
        row.id: (
            row.amount_authorized_minor if row.status == "authorized" else 0,
            row.amount_captured_minor,
        )
        for row in evidence.intents
    }
    theirs = {
        row.id: (
            sum(found.held_minor for found in charged[row.id]),
            sum(found.captured_minor for found in charged[row.id]),
        )
        for row in evidence.intents
    }
    violations += [
        Violation(
            row.id,
            "the network has held and captured {}, {}; we say {}, {} ({})".format(
                *theirs[row.id], *ours[row.id], row.status
            ),
        )
        for row in evidence.intents
        if theirs[row.id] != ours[row.id]
    ]
    figures = {
        "payments": len(evidence.intents),
        "charged by us": sum(any(amounts) for amounts in ours.values()),
        "charged by networks": sum(row.is_charged for row in evidence.ledger),
        "reversed by networks": sum(row.reversed for row in evidence.ledger),
        "our minor units": sum(map(sum, ours.values())),
        "their minor units": sum(map(sum, theirs.values())),
    }
    return Finding("our books equal the networks' books", figures, violations)


def no_payment_is_charged_twice(evidence: Evidence) -> Finding:
    """No payment has two authorizations that a network approved and did not reverse."""
    charged, _ = _charged_by_intent(evidence)
    violations = [
        Violation(intent_id, f"charged {len(rows)} times: {[row.rrn for row in rows]}")
        for intent_id, rows in charged.items()
        if len(rows) > 1
    ]
    figures = {"payments charged": sum(bool(rows) for rows in charged.values())}
    return Finding("no payment is charged twice", figures, violations)


def nothing_is_left_open(evidence: Evidence) -> Finding:
    """No intent, transaction or attempt still waits for an outcome."""
    rows: list[tuple[str, Intent | Transaction | Attempt]] = [
        *(("intent", row) for row in evidence.intents),
        *(("transaction", row) for row in evidence.transactions),
        *(("attempt", row) for row in evidence.attempts),
    ]
    violations = [
        Violation(row.id, f"the {kind} is left open: {row.status}")
        for kind, row in rows
        if row.is_open
    ]
    counted = Counter(f"{kind} {row.status}" for kind, row in rows)
    counted.update(f"reversal {row.reversal}" for row in evidence.attempts if row.reversal)
    return Finding("nothing is left open", dict(sorted(counted.items())), violations)


def clearing_files_show_what_cards_caused_and_nothing_else(evidence: Evidence) -> Finding:
    """Each break that a card asked the network for is there, no other, and all lines tie out."""
    charged, _ = _charged_by_intent(evidence)
    caused: Counter[tuple[str, str, str | None]] = Counter(
        (BREAKS[row.clearing], row.network, intent_id)
        for intent_id, rows in charged.items()
        for row in rows
        if row.captured_minor and row.clearing in BREAKS
    )
    found = Counter((row.kind, row.network, row.intent_id) for row in evidence.breaks)
    violations = [
        *(Violation(str(key[2]), f"{key[0]} should be a break") for key in caused - found),
        *(Violation(str(key[2]), f"{key[0]} should be no break") for key in found - caused),
    ]
    for sums in evidence.cleared:
        parts = (sums.matched, sums.waiting, sums.rejected, sums.in_breaks)
        lines, amount = (sum(column) for column in zip(*parts, strict=True))
        if (lines, amount) != sums.declared or sums.waiting[0] or sums.rejected[0]:
            violations.append(Violation(sums.network, f"does not tie out: {sums}"))
    figures = {
        "lines": sum(sums.declared[0] for sums in evidence.cleared),
        "minor units": sum(sums.declared[1] for sums in evidence.cleared),
        "matched": sum(sums.matched[0] for sums in evidence.cleared),
        **dict(sorted(Counter(row.kind for row in evidence.breaks).items())),
    }
    return Finding("clearing files show what cards caused and nothing else", figures, violations)


def _charged_by_intent(evidence: Evidence) -> tuple[dict[str, list[LedgerRow]], list[Violation]]:
    """Return what networks charged, and what they charged for no attempt of ours."""
    intent_by_trace = {(row.network, row.rrn): row.intent_id for row in evidence.attempts}
    charged: dict[str, list[LedgerRow]] = defaultdict(list)
    lost = []
    for row in evidence.ledger:
        intent_id = intent_by_trace.get((row.network, row.rrn))
        if not row.is_charged:
            continue
        if intent_id is None:
            lost.append(Violation(f"{row.network} {row.rrn}", "was charged, and is unknown to us"))
        else:
            charged[intent_id].append(row)
    return charged, lost
