"""The scrubber: secrets never get into a log, a span, an error; what is no secret stays."""

from __future__ import annotations

import json
import logging
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Status, StatusCode

from chassis.errors import Kind, ParameterUnknown, RemoteError, error_details, public_error
from chassis.scrubbing import scrub, scrub_traceback, scrub_value
from chassis.telemetry import JsonFormatter, ScrubbingExporter, configure_logs

PAN = "4929123498761238"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHb\nq==\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (f"pan {PAN}.", "pan [card number]."),
        ("sk_test_9fK2abcdefghij", "[secret]"),
        ("key=sk_live_9fK2abcdefghij,", "key=[secret],"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", "[secret]"),
        ("pi_2b_secret_0123456789abcdef0123456789abcdef", "pi_2b[secret]"),
        ("Bearer pk_test_abcdef", "[secret]"),
        ("jwt eyJhbGciOi.eyJtZXIiOi.c2lnbmF0dXJl", "jwt [secret]"),
        ("jwe eyJhbGciOi..aXY.Y2lwaGVy.dGFn", "jwe [secret]"),
        ("Authorization: Bearer abc", "Authorization: [secret]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [secret]"),
        ("{'x-signature': 'sha256=00', 'a': 1}", "{'x-signature': '[secret]', 'a': 1}"),
        ("[(b'authorization', b'Bearer x')]", "[(b'authorization', b'[secret]')]"),
        (f"sha256={'0a' * 32}", "[secret]"),
        ("postgresql://txn:pass@h:5/txn", "postgresql://txn:[secret]@h:5/txn"),
        ("host=h password=pass user=u", "host=h password=[secret] user=u"),
        (f"a {PEM} b", "a [secret] b"),
        (f"card: {PAN}, cvc: 987", "card: [card number], cvc: [secret]"),
        ('{"cvc": "987"}', '{"cvc": "[secret]"}'),
        ("CVV2=9876 CVC987", "CVV2=[secret] CVC[secret]"),
        (PEM[:40], "[secret]"),
        (
            "duplicate key\nDETAIL:  Key (description)=(Ann Miller) exists.\nmore",
            "duplicate key\nDETAIL:  [secret]\nmore",
        ),
    ],
)
def test_what_must_not_be_read_is_gone(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "the authorization was approved",
        "pk_test_0123456789abcdefghijklmn",
        "https://shop.example:8443/hook?x=1",
        "password refused",
        "sha256 of the body",
        "incorrect_cvc, 3 digits",
        "pi_2b01k9m3v5x7n4q8r6t0w2y4z6",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


@settings(deadline=None)
@given(st.text(max_size=3000), st.text(max_size=3000))
def test_a_long_text_is_cut_and_what_the_cut_goes_through_is_gone(before: str, after: str) -> None:
    scrubbed = scrub(f"{before} {PAN} {after} sk_test_0123456789abcdef")

    assert len(scrubbed) <= 2_048 + len(" [cut]") + len("[card number]")
    for length in range(13, 17):
        assert PAN[:length] not in scrubbed
    assert "sk_test_0" not in scrubbed


@pytest.mark.parametrize("at", range(2_000, 2_060))
def test_no_part_of_a_secret_is_left_at_the_cut(at: int) -> None:
    for secret in (
        "4929 1234 9876 1238",
        "4929\u20091234\u20099876\u20091238",
        "sk_test_0123456789",
        "://u:password1@host",
    ):
        scrubbed = scrub(" ".join(["x" * at, secret, "y" * 100]))

        assert not any(
            part in scrubbed
            for part in ("4929 1234 9876", "1234\u20099876", "sk_test_0", "password1")
        )


def test_a_traceback_keeps_its_end() -> None:
    text = scrub_traceback("a\n" * 50_000 + f"ValueError: {PAN}")

    assert len(text) < 16_500
    assert text.endswith("ValueError: [card number]")


def test_values_are_scrubbed_by_type_and_name() -> None:
    nested = {"deep": [{"deeper": {"deepest": PAN}}]}

    assert scrub_value(
        {
            "number": int(PAN),
            "nanoseconds": 1_795_740_365_123_456_789,
            "offset": 12,
            "share": 0.5,
            "on": True,
            "none": None,
            "bytes": b"\x12" + PAN.encode(),
            "error": ValueError(PAN),
            PAN: 1,
            "Authorization": "whatever",
            "cvc": 987,
            "list": (PAN, "a"),
            "nested": nested,
        }
    ) == {
        "number": "[card number]",
        "nanoseconds": 1_795_740_365_123_456_789,
        "offset": 12,
        "share": 0.5,
        "on": True,
        "none": None,
        "bytes": "\x12[card number]",
        "error": "[card number]",
        "[card number]": 1,
        "Authorization": "[secret]",
        "cvc": "[secret]",
        "list": ["[card number]", "a"],
        "nested": {"deep": [{"deeper": "{'deepest': '[card number]'}"}]},
    }


def _line(message: str, error: BaseException | None = None, **extra: object) -> dict[str, object]:
    record = logging.makeLogRecord(
        {
            "msg": message,
            "levelname": "ERROR",
            "exc_info": error and (type(error), error, error.__traceback__),
            **extra,
        }
    )
    found: dict[str, object] = json.loads(JsonFormatter("test").format(record))
    return found


def _failure() -> BaseException:
    try:
        try:
            _nothing()[PAN]
        except KeyError as cause:
            raise ValueError(f"first line\n{PAN}\n\x01{PAN}") from cause
    except ValueError as error:
        error.add_note(f"note {PAN}")
        return error
    raise AssertionError


def _nothing() -> dict[str, str]:
    return {}


def test_a_log_line_is_scrubbed_in_all_its_parts() -> None:
    line = _line(f"bad\n{PAN}", _failure(), body={"number": PAN}, count=3)

    assert PAN not in json.dumps(line)
    assert (line["message"], line["body"], line["count"]) == (
        "bad\n[card number]",
        {"number": "[card number]"},
        3,
    )
    assert str(line["exception"]).count("[card number]") == 4
    # Of no scheme, so an "n" of an escape before it would save it.
    assert "6304000000000000000" not in json.dumps(
        _line("failed", ValueError("a\n6304000000000000000"))
    )


@settings(deadline=None)
@given(st.text(), st.text())
def test_no_text_around_it_brings_a_card_number_into_a_log_line(before: str, after: str) -> None:
    def apart(text: str) -> str:
        return "".join(char for char in text if not char.isdecimal())

    text = f"{apart(before)}{PAN}{apart(after)}"

    assert PAN not in json.dumps(_line(text, ValueError(text), field=text), ensure_ascii=False)


def test_what_nobody_caught_is_logged_like_the_rest(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook

    def fail() -> None:
        raise ValueError(PAN)

    class Bad:
        def __del__(self) -> None:
            raise ValueError(PAN)

    try:
        configure_logs("test", "INFO")
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        Bad()
        error = _failure()
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        logging.captureWarnings(capture=False)
        sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
        root.handlers[:], root.level = before

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == ["uncaught"] * 3
    assert PAN not in json.dumps(lines)


def test_a_span_is_scrubbed_in_all_its_parts_and_keeps_its_ids_and_times() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ScrubbingExporter(kept)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("first") as first:
        link = Link(first.get_span_context(), {"at": PAN})
    with tracer.start_as_current_span(f"pay {PAN}", links=[link]) as span:
        span.set_attributes({"a": PAN, "n": int(PAN), "many": [PAN, "b"], "count": 3})
        span.add_event(f"event {PAN}", {"b": PAN})
        span.record_exception(ValueError(PAN))
        span.set_status(Status(StatusCode.ERROR, f"failed {PAN}"))

    found = kept.get_finished_spans()[1]

    assert PAN not in found.to_json()
    assert (found.attributes or {})["count"] == 3
    assert found.get_span_context() == span.get_span_context()
    assert found.name == "pay [card number]"
    assert found.start_time
    assert found.end_time
    assert found.links[0].context == first.get_span_context()


def test_an_error_never_repeats_a_card_number_to_anyone() -> None:
    for error in (
        ParameterUnknown(f"metadata.{PAN}"),
        RemoteError(Kind.INVALID, "R", f"no such thing: {PAN}", param=PAN),
    ):
        written = (str(error), error.message, error.param, public_error(error, "r"))
        assert PAN not in str(written)
        assert PAN.encode() not in error_details(error)
