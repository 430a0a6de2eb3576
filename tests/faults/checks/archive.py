"""The archive, against what is in Kafka."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.faults.checks.finding import Finding, Violation
from tests.faults.evidence import Evidence


def the_archive_holds_everything_once_in_order(evidence: Evidence) -> Finding:
    """Each record of Kafka is in the archive once, byte for byte and in order, and it is proved."""
    archive = evidence.archive
    figures = {
        "in Kafka": sum(len(rows) for rows in archive.in_kafka.values()),
        "archived": sum(len(rows) for rows in archive.archived.values()),
    }
    violations = [Violation(file, reason) for file, reason in archive.broken]
    violations += _differing(evidence)
    return Finding("the archive holds everything once, in order", figures, violations)


def every_history_ends_as_the_databases_are(evidence: Evidence) -> Finding:
    """What a payment's history tells of each of its rows is the row, column by column.

    It tells of a row that was deleted while nothing was captured: the repair names that as gone.
    """
    gone = {name for gap in evidence.gaps for name in gap.gone}
    figures = dict(sorted(Counter(row.table for row in evidence.rows).items()))
    violations = []
    for row in evidence.rows:
        if row.gap is not None:
            violations.append(Violation(row.id, row.gap))
        if row.told is None and row.kept is not None:
            violations.append(Violation(row.id, f"is in {row.table}, and no history tells of it"))
        elif row.told is not None and row.kept is None:
            if (row.table, row.id) not in gone:
                violations.append(Violation(row.id, f"is told of, and not in {row.table}"))
        elif row.told != row.kept:
            told, kept = row.told or {}, row.kept or {}
            columns = [name for name in sorted({*told, *kept}) if told.get(name) != kept.get(name)]
            violations.append(Violation(row.id, f"is told of with other {columns}"))
    return Finding("every history ends as the databases are", figures, violations)


def _differing(evidence: Evidence) -> Iterator[Violation]:
    archive = evidence.archive
    for place in sorted(archive.in_kafka.keys() | archive.archived.keys()):
        in_kafka, archived = archive.in_kafka.get(place, []), archive.archived.get(place, [])
        if in_kafka != archived:
            known = set(archived)
            missing = [row.offset for row in in_kafka if row not in known]
            yield Violation(place, f"differs from the archive; not archived: {missing[:5]}")
