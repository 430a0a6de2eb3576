"""Spans: one trace follows a request through gRPC, SQL and Kafka, if whoever began it says so.

What is not sampled makes no span and costs a look at a header or at the context. Names and
attributes are constants of the program: nothing of a request ever gets into a span.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
)

NOT_SAMPLED = f"00-{1:032x}-{1:016x}-00"
"""The `traceparent` that tells a callee to trace nothing."""

_tracer = trace.get_tracer("paymesh")
_NO_SPAN = nullcontext()
_SAMPLED = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f][13579bdf]")
_WRITE = re.compile(r"(?<!for )(?<!do )\b(insert into|update|delete from) (\w+)")


def current() -> SpanContext | None:
    """Return the span that the caller runs in, if it is sampled."""
    span = trace.get_current_span().get_span_context()
    return span if span.trace_flags.sampled else None


def traceparent() -> str | None:
    """Return the sampled span that the caller runs in, as W3C Trace Context writes it."""
    span = current()
    return None if span is None else f"00-{span.trace_id:032x}-{span.span_id:016x}-01"


def sampled(header: object) -> SpanContext | None:
    """Return the span that a `traceparent` names, if it is sampled."""
    found = _SAMPLED.fullmatch(header) if isinstance(header, str) else None
    if found is None:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags)


def server_span(name: str, header: object) -> AbstractContextManager[object]:
    """Return the span of a request, a child of the one that its `traceparent` names.

    header: None when there is none; then the service's own ratio decides.
    """
    parent = sampled(header)
    if parent is None and header is not None:
        return _NO_SPAN
    return _tracer.start_as_current_span(
        name,
        _inside(parent),
        SpanKind.SERVER,
        record_exception=False,
        set_status_on_exception=False,
    )


def batch_span(
    name: str, parents: Iterable[SpanContext | None], kind: SpanKind = SpanKind.INTERNAL
) -> AbstractContextManager[object]:
    """Return the span of what is done at once for many: the first's child, linked to the others."""
    distinct = {(parent.trace_id, parent.span_id): parent for parent in parents if parent}
    if not distinct:
        return _NO_SPAN
    first, *others = distinct.values()
    return _span(name, kind, first, [Link(other) for other in others])


def statement_span(sql: str) -> AbstractContextManager[object]:
    """Return the span of a statement, named for what it writes."""
    if current() is None:
        return _NO_SPAN
    return _span(_summary(sql), SpanKind.CLIENT, attributes={"db.system.name": "postgresql"})


def mark_failed(reason: str) -> None:
    """Say in the current span why it failed. Never an exception's text: it may hold anything."""
    span = trace.get_current_span()
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", reason)


@contextmanager
def _span(
    name: str,
    kind: SpanKind,
    parent: SpanContext | None = None,
    links: list[Link] | None = None,
    attributes: dict[str, str] | None = None,
) -> Iterator[None]:
    with _tracer.start_as_current_span(
        name,
        _inside(parent),
        kind,
        attributes,
        links,
        record_exception=False,
        set_status_on_exception=False,
    ):
        is_well = False
        try:
            yield
            is_well = True
        finally:
            if not is_well:
                mark_failed(type(sys.exception()).__name__)


def _inside(parent: SpanContext | None) -> Context | None:
    return None if parent is None else trace.set_span_in_context(NonRecordingSpan(parent))


@lru_cache
def _summary(sql: str) -> str:
    """Return the statement's writes, e.g. "update attempts, insert into outbox"."""
    return ", ".join(f"{verb} {table}" for verb, table in _WRITE.findall(sql)) or "select"
