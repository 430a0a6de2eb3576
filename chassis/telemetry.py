"""Logs, traces and metrics: one JSON object a log line, OpenTelemetry for the rest.

Everything that is written passes the scrubber: card numbers and secrets never get out.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import start_http_server

from chassis.config import ServiceSettings
from chassis.identity import channel_credentials

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

_meter = metrics.get_meter("paymesh")
rpc_duration = _meter.create_histogram(
    "paymesh_rpc_duration", unit="s", description="Time to answer an RPC, by method and status."
)
batch_items = _meter.create_histogram(
    "paymesh_batch_items", unit="{item}", description="Items per flush, by coalescer."
)
dead_letters = _meter.create_counter(
    "paymesh_dead_letters", unit="{record}", description="Records given up, by consumer group."
)
consumer_lag = _meter.create_gauge(
    "paymesh_consumer_lag", unit="{record}", description="Records behind, by consumer group."
)
DURATION_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128]

_DIGITS = re.compile(r"(?<![0-9A-Za-z])\d(?:[ -]?\d){12,18}(?![0-9A-Za-z])")
_SECRETS = re.compile(
    r"\b(?:sk_(?:test|live)_\w+|whsec_[\w+/=]+|Bearer\s+[\w.~+/=-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+)"
)
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(settings: ServiceSettings) -> None:
    """Set logs, traces and metrics up for this process."""
    configure_logs(settings.service_name, settings.log_level)
    resource = Resource.create({"service.name": settings.service_name})
    provider = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.trace_ratio))
    )
    if settings.trace_endpoint:
        exporter = OTLPSpanExporter(
            endpoint=settings.trace_endpoint, credentials=channel_credentials(settings)
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
    if settings.trace_file:
        provider.add_span_processor(BatchSpanProcessor(FileSpanExporter(settings.trace_file)))
    trace.set_tracer_provider(provider)
    views = [
        View(
            instrument_name="paymesh_rpc_duration",
            aggregation=ExplicitBucketHistogramAggregation(DURATION_BUCKETS_S),
        ),
        View(
            instrument_name="paymesh_batch_items",
            aggregation=ExplicitBucketHistogramAggregation(BATCH_BUCKETS),
        ),
    ]
    reader = PrometheusMetricReader()
    metrics.set_meter_provider(
        MeterProvider(metric_readers=[reader], resource=resource, views=views)
    )
    host, _, port = settings.metrics_listen.rpartition(":")
    start_http_server(int(port), host)


def configure_logs(service_name: str, level: str) -> None:
    """Write every log record as one JSON object a line on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service_name))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These say every rebalance, poll and statement; their warnings matter.
    for noisy in ("kafka", "alembic", "sqlalchemy", "opentelemetry", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, service, message, ids, its `extra` fields."""

    def __init__(self, service_name: str) -> None:
        super().__init__()
        self._service_name = service_name

    def format(self, record: logging.LogRecord) -> str:
        """Return the scrubbed line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service_name,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := request_id_var.get():
            line["request_id"] = request_id
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = f"{span.trace_id:032x}"
        line |= {
            name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return scrub(json.dumps(line, default=str, ensure_ascii=False))


class FileSpanExporter(SpanExporter):
    """Appends finished spans to a file, one scrubbed JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans."""
        with self._path.open("a") as file:
            file.writelines(scrub(span.to_json(indent=None)) + "\n" for span in spans)
        return SpanExportResult.SUCCESS


def scrub(text: str) -> str:
    """Return the text without card numbers (13 to 19 digits that pass Luhn) and secrets."""
    return _SECRETS.sub("[secret]", _DIGITS.sub(_mask_card_number, text))


def _mask_card_number(found: re.Match[str]) -> str:
    digits = [int(char) for char in found[0] if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    is_card_number = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
    return "[card number]" if is_card_number else found[0]
