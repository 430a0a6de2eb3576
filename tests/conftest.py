"""What every kind of test may need: the spans that this process makes."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture(scope="session")
def every_span() -> InMemorySpanExporter:
    """Keep the spans of this process, where nobody decided otherwise of every request."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def exported(every_span: InMemorySpanExporter) -> InMemorySpanExporter:
    """Return what will hold the spans of this test."""
    every_span.clear()
    return every_span
