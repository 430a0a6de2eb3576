"""Logs, traces and metrics: one JSON object a log line, OpenTelemetry for the rest.

Everything that is written passes the scrubber (`chassis/scrubbing.py`).
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import cast

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import Attributes
from prometheus_client import start_http_server

from chassis.certificates import CertificateFiles, Pem, channel_credentials
from chassis.config import MeshSettings
from chassis.scrubbing import scrub, scrub_traceback, scrub_value

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

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(settings: MeshSettings) -> None:
    """Set logs, traces and metrics up for this process."""
    configure_logs(settings.service_name, settings.log_level)
    resource = Resource.create({"service.name": settings.service_name})
    provider = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.trace_ratio))
    )
    if settings.trace_endpoint:
        exporter = CollectorExporter(settings.certificate_files, settings.trace_endpoint)
        provider.add_span_processor(BatchSpanProcessor(ScrubbingExporter(exporter)))
    if settings.trace_file:
        in_file = FileSpanExporter(settings.trace_file)
        provider.add_span_processor(BatchSpanProcessor(ScrubbingExporter(in_file)))
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
    # What nobody caught would be printed as it is.
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value, args.exc_traceback
    )
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value, args.exc_traceback
    )


def _log_uncaught(
    error_type: type[BaseException],
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    if error is None:
        error = error_type()
    logging.getLogger(__name__).critical("uncaught", exc_info=(error_type, error, traceback))


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, service, message, ids, its `extra` fields."""

    def __init__(self, service_name: str) -> None:
        super().__init__()
        self._service_name = service_name

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. What anyone else had a part in is scrubbed before it becomes JSON.

        Afterwards escapes and ids would stand beside the digits that are looked for.
        """
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service_name,
            "logger": record.name,
            "message": scrub(record.getMessage()),
        }
        if request_id := request_id_var.get():
            line["request_id"] = scrub(request_id)
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = f"{span.trace_id:032x}"
        extra = {
            name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS
        }
        if extra:
            line |= cast("dict[str, object]", scrub_value(extra))
        if record.exc_info:
            line["exception"] = scrub_traceback(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class ScrubbingExporter(SpanExporter):
    """Scrubs spans before another exporter gets them. Their ids and times stay as they are."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand the scrubbed spans on."""
        return self._exporter.export([_scrubbed(span) for span in spans])

    def shutdown(self) -> None:
        """End the other exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let the other exporter write what it holds back."""
        return self._exporter.force_flush(timeout_millis)


class CollectorExporter(SpanExporter):
    """Sends finished spans to a collector, over a connection made anew for a new certificate."""

    def __init__(self, files: CertificateFiles, endpoint: str) -> None:
        self._files = files
        self._endpoint = endpoint
        self._version, pem = files.read()
        self._exporter = self._connect(pem)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans."""
        newer = self._files.newer(self._version)
        if newer is not None:
            self._exporter.shutdown()
            self._version, pem = newer
            self._exporter = self._connect(pem)
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def _connect(self, pem: Pem) -> OTLPSpanExporter:
        return OTLPSpanExporter(endpoint=self._endpoint, credentials=channel_credentials(pem))


class FileSpanExporter(SpanExporter):
    """Appends finished spans to a file, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans."""
        with self._path.open("a") as file:
            file.writelines(span.to_json(indent=None) + "\n" for span in spans)
        return SpanExportResult.SUCCESS


def _scrubbed(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=scrub(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[
            Event(scrub(event.name), _attributes(event.attributes), event.timestamp)
            for event in span.events
        ],
        links=[Link(link.context, _attributes(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(
            span.status.status_code,
            span.status.description and scrub_traceback(span.status.description),
        ),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(attributes: Attributes) -> Attributes:
    return cast("Attributes", scrub_value(attributes or {}))
