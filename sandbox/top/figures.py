"""The figures that an operator looks at: `paymesh top` and the dashboards of `k8s/` show these.

`tests/unit/manifests/test_watching.py` holds the dashboards against this list, both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandbox.top.series import Elsewhere, Increase, Level, Quantile, Rate, Reading, Series, Share

Unit = Literal["reqps", "percentunit", "s", "ms", "bytes", "short"]  # as Grafana calls them


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. panel: where dashboards show it. legend: what tells it from others there."""

    name: str
    panel: str
    unit: Unit
    reading: Reading | Elsewhere
    legend: str = ""


CALLS = "paymesh_rpc_duration_seconds"
FAILING = {"status": "INTERNAL|UNAVAILABLE"}
KINDS = {  # of requests: which methods answer them
    "creates": "/paymesh.intent.v1.PaymentIntentService/CreatePaymentIntent",
    "charges": "/paymesh.txn.v1.TransactionService/CreateTransaction",
    "reads": (
        "/paymesh.(intent.v1.PaymentIntentService|txn.v1.TransactionService)/(Get|List)[A-Za-z]+"
    ),
}
EDGE = {"envoy_http_conn_manager_prefix": "edge"}
QUANTILES = (0.5, 0.99)


def _answered(kind: str) -> dict[str, str]:
    return {"method": KINDS[kind], "status": "OK"}


def _percent(quantile: float) -> str:
    return f"p{quantile * 100:.0f}"


PAYMENTS = [
    *(
        Figure(
            kind,
            "Payments a second",
            "reqps",
            Rate(Series(f"{CALLS}_count", _answered(kind))),
            legend=kind,
        )
        for kind in KINDS
    ),
    *(
        Figure(
            f"{kind}_{_percent(quantile)}",
            "Time to answer by kind, p50 and p99",
            "s",
            Quantile(quantile, Series(CALLS, _answered(kind))),
            legend=f"{kind} {_percent(quantile)}",
        )
        for kind in KINDS
        for quantile in QUANTILES
    ),
    Figure(
        "edge_requests",
        "Requests at the edge",
        "reqps",
        Rate(Series("envoy_http_downstream_rq_xx", EDGE), ("envoy_response_code_class",)),
        legend="xx",
    ),
    *(
        Figure(
            f"edge_{_percent(quantile)}",
            "Time to answer at the edge, p50 and p99",
            "ms",
            Quantile(quantile, Series("envoy_http_downstream_rq_time", EDGE)),
            legend=_percent(quantile),
        )
        for quantile in QUANTILES
    ),
    Figure("calls", "Calls a second", "reqps", Rate(Series(f"{CALLS}_count"), ("service",))),
    Figure(
        "failing_calls",
        "Calls that fail on our side",
        "percentunit",
        Share(Series(f"{CALLS}_count", FAILING), Series(f"{CALLS}_count"), ("service",)),
    ),
    *(
        Figure(
            f"calls_{_percent(quantile)}",
            "Time to answer, p50 and p99",
            "s",
            Quantile(quantile, Series(CALLS), ("service",)),
            legend=_percent(quantile),
        )
        for quantile in QUANTILES
    ),
]
OUTCOMES = [
    Figure(
        "unresolved_attempts",
        "Attempts without an outcome",
        "short",
        Level("max", Series("paymesh_unresolved_attempts")),
        legend="attempts",
    ),
    Figure(
        "oldest_unresolved_attempt",
        "The oldest of them, past its deadline",
        "s",
        Level("max", Series("paymesh_oldest_unresolved_attempt_seconds")),
        legend="oldest",
    ),
    Figure(
        "time_to_certainty_p99",
        "Time to certainty, p99",
        "s",
        Quantile(0.99, Series("paymesh_time_to_certainty_seconds"), ("network",), "15m"),
    ),
    Figure(
        "overdue_reversals",
        "Overdue",
        "short",
        Level("max", Series("paymesh_overdue_reversals")),
        legend="reversals",
    ),
    Figure(
        "overdue_captures",
        "Overdue",
        "short",
        Level("max", Series("paymesh_overdue_captures")),
        legend="captures",
    ),
    Figure(
        "open_breaks",
        "Open breaks",
        "short",
        Level("max", Series("paymesh_open_breaks"), ("kind",)),
    ),
    Figure(
        "oldest_open_break",
        "The oldest open break",
        "s",
        Level("max", Series("paymesh_oldest_open_break_seconds"), ("kind",)),
    ),
    Figure(
        "ended_connections",
        "Connections to card networks that ended",
        "short",
        Increase(Series("paymesh_network_connections_ended_total"), ("network", "stage")),
    ),
    Figure(
        "unmatched_replies",
        "Replies that answer nothing that waits",
        "short",
        Increase(Series("paymesh_network_unmatched_replies_total"), ("network",)),
    ),
    Figure(
        "lost_replies",
        "Replies that answer nothing that waits",
        "short",
        Increase(Series("paymesh_network_lost_replies_total"), ("network",)),
        legend="lost",
    ),
    Figure(
        "oldest_card_envelope",
        "The oldest card number that is kept",
        "s",
        Level("max", Series("paymesh_oldest_card_envelope_seconds")),
        legend="oldest",
    ),
    Figure(
        "stale_card_envelopes",
        "Card numbers kept too long",
        "short",
        Level("max", Series("paymesh_stale_card_envelopes")),
        legend="numbers",
    ),
    Figure(
        "pending_deliveries",
        "Webhooks that wait",
        "short",
        Level("max", Series("paymesh_pending_deliveries")),
        legend="deliveries",
    ),
    Figure(
        "oldest_due_delivery",
        "The webhook that is due longest",
        "s",
        Level("max", Series("paymesh_oldest_due_delivery_seconds")),
        legend="oldest",
    ),
]
EVENTS = [
    Figure(
        "consumer_lag",
        "Records behind, as consumers see it",
        "short",
        Level("sum", Series("paymesh_consumer_lag"), ("group",)),
    ),
    Figure(
        "exported_lag",
        "Records behind, by group",
        "short",
        Elsewhere("sum by (consumergroup) (kafka_consumergroup_lag)"),
    ),
    Figure(
        "dead_letters",
        "Dead letters",
        "short",
        Increase(Series("paymesh_dead_letters_total"), ("group",)),
    ),
    Figure(
        "capture_behind",
        "Debezium behind its database",
        "ms",
        Level("max", Series("paymesh_connect_behind_source_milliseconds"), ("server",)),
    ),
    Figure(
        "capture_since_last_event",
        "Since the last change that Debezium saw",
        "ms",
        Level("max", Series("paymesh_connect_since_last_event_milliseconds"), ("server",)),
    ),
    Figure(
        "heartbeat_age",
        "Age of the newest heartbeat behind Kafka",
        "s",
        Level("min", Series("paymesh_heartbeat_age_seconds"), ("database",)),
    ),
    Figure(
        "relayed_events",
        "Events that services brought themselves",
        "short",
        Increase(Series("paymesh_relayed_events_total"), ("service",)),
    ),
    Figure(
        "late_attempt_events",
        "Events that are late",
        "short",
        Level("max", Series("paymesh_late_attempt_events")),
        legend="attempts",
    ),
    Figure(
        "running_tasks",
        "Connectors' tasks",
        "short",
        Level("sum", Series("paymesh_connect_running_tasks"), ("connector",)),
        legend="running",
    ),
    Figure(
        "failed_tasks",
        "Connectors' tasks",
        "short",
        Level("sum", Series("paymesh_connect_failed_tasks"), ("connector",)),
        legend="failed",
    ),
    Figure(
        "oldest_unarchived",
        "The oldest record that is not archived",
        "s",
        Level("max", Series("paymesh_oldest_unarchived_seconds")),
        legend="oldest",
    ),
    Figure(
        "stopped_archives",
        "Partitions whose archive stopped",
        "short",
        Level("sum", Series("paymesh_stopped_archives")),
        legend="partitions",
    ),
]
DATABASES = [
    Figure(
        "held_back_wal",
        "WAL that slots hold back",
        "bytes",
        Level("max", Series("paymesh_slot_retained_bytes"), ("slot",)),
        legend="held back",
    ),
    Figure(
        "unconfirmed_wal",
        "WAL that slots hold back",
        "bytes",
        Level("max", Series("paymesh_slot_lag_bytes"), ("slot",)),
        legend="not confirmed",
    ),
    Figure(
        "active_slots",
        "Slots that are read",
        "short",
        Level("max", Series("paymesh_slot_active"), ("slot",)),
    ),
    Figure(
        "lost_slots",
        "Slots that are read",
        "short",
        Level("max", Series("paymesh_slot_lost"), ("slot",)),
        legend="lost",
    ),
    Figure(
        "standbys",
        "Standbys",
        "short",
        Elsewhere("max by (cluster) (cnpg_pg_replication_streaming_replicas)"),
    ),
    Figure(
        "since_wal_was_archived",
        "Since WAL was archived",
        "s",
        Elsewhere("max by (cluster) (cnpg_pg_stat_archiver_seconds_since_last_archival)"),
    ),
]
PROCESSES = [
    Figure(
        "batch_items",
        "Items in a batch, p50",
        "short",
        Quantile(0.5, Series("paymesh_batch_items"), ("service",)),
    ),
    Figure("cpu", "Cores in use", "short", Rate(Series("process_cpu_seconds_total"), ("service",))),
    Figure(
        "memory",
        "Memory",
        "bytes",
        Level("sum", Series("process_resident_memory_bytes"), ("service",)),
    ),
    Figure(
        "certificates_end",
        "Certificates end in",
        "s",
        Elsewhere(
            "min by (name) (certmanager_certificate_expiration_timestamp_seconds"
            '{namespace="paymesh"}) - time()'
        ),
    ),
]
FIGURES = (*PAYMENTS, *OUTCOMES, *EVENTS, *DATABASES, *PROCESSES)
