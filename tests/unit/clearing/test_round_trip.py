"""What a simulated network writes is what the reader gives; golden files; another reader."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from concurrent.futures import Executor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.money import CURRENCIES
from recon_svc.clearing.files import UNITS_AT_ONCE, parser_pool, verify
from recon_svc.domain.clearing import (
    ClearingLine,
    CurrencyTotal,
    FileHeader,
    FileTotals,
    LineKind,
)
from sandbox.networks.cards import Clearing
from sandbox.networks.clearing.presentment import transmitted
from tests.unit.clearing.files import (
    DAY,
    GOLDEN,
    IPM,
    NETWORKS,
    TC33,
    a_file,
    a_row,
    ipm_file,
    ipm_messages,
    lines,
    read,
    settle_in_euro,
)

FILE_IDS = {IPM: "0022611260000000000200001", TC33: "visa_sim-20261126-001"}
FIRST = ClearingLine(
    number=2,
    kind=LineKind.PRESENTMENT,
    network_trace_id="TRRN000000001",
    arn="74000016330001000000018",
    rrn="RRN000000001",
    stan=None,
    local_date=DAY,
    amount_minor=1099,
    currency="usd",
    settlement_minor=1099,
    settlement_currency="usd",
    approval_code="000001",
    card_last4="0017",
)
TOTALS = (CurrencyTotal("usd", 2, 1100), CurrencyTotal("eur", 1, 250))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_file_reads_as_header_lines_and_totals(network: str, workers: Executor) -> None:
    header, first, second, third, totals = read(network, a_file(network), workers)

    assert header == FileHeader(network, FILE_IDS[network], DAY)
    assert first == (FIRST if network == IPM else replace(FIRST, stan="000001"))
    assert [(line.amount_minor, line.currency) for line in lines([second, third])] == [
        (250, "eur"),
        (1, "usd"),
    ]
    records = 7 if network == IPM else 9
    assert totals == FileTotals(records, presentments=3, rejected=0, currencies=TOTALS)


def test_a_line_has_what_was_bought_for_and_what_it_is_settled_as(workers: Executor) -> None:
    messages = ipm_messages(a_file(IPM, [a_row(1, amount=1100)]))
    settle_in_euro(messages)

    _, line, totals = read(IPM, ipm_file(messages), workers)

    assert isinstance(line, ClearingLine)
    assert (line.amount_minor, line.currency) == (1100, "usd")
    assert (line.settlement_minor, line.settlement_currency) == (1000, "eur")
    assert isinstance(totals, FileTotals)
    assert totals.currencies == (CurrencyTotal("eur", 1, 1000),)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_first_pass_gives_the_header_and_the_totals(network: str, workers: Executor) -> None:
    header, totals = verify(network, io.BytesIO(a_file(network)), workers)

    assert (header.file_id, header.business_date) == (FILE_IDS[network], DAY)
    assert totals.presentments == 3


@pytest.mark.parametrize("network", NETWORKS)
def test_a_day_without_payments_is_a_whole_file(network: str, workers: Executor) -> None:
    _, totals = read(network, a_file(network, []), workers)

    assert isinstance(totals, FileTotals)
    assert (totals.presentments, totals.currencies) == (0, ())


@pytest.mark.parametrize("network", NETWORKS)
def test_cards_that_misbehave_in_clearing_do_so_in_the_file(
    network: str, workers: Executor
) -> None:
    rows = [a_row(1, clearing=Clearing.OVER), a_row(2, clearing=Clearing.TWICE)]

    over, first, second = lines(read(network, a_file(network, rows), workers))

    assert over.amount_minor == 1199
    assert (first.arn, first.network_trace_id) == (second.arn, second.network_trace_id)
    assert first.number < second.number


@pytest.mark.parametrize("network", NETWORKS)
def test_worker_processes_keep_the_order(network: str) -> None:
    rows = [a_row(number) for number in range(3 * UNITS_AT_ONCE)]
    with parser_pool(2) as processes:
        found = lines(read(network, a_file(network, rows), processes))

    assert [line.rrn for line in found] == [row.rrn for row in rows]


def test_the_golden_ipm_file_is_written_and_read(workers: Executor) -> None:
    golden = "".join(line[:64] for line in (GOLDEN / "ipm.txt").read_text().splitlines())
    raw = bytes.fromhex(golden)

    assert raw == a_file(IPM)
    assert lines(read(IPM, raw, workers))[0] == FIRST


def test_the_golden_tc33_file_is_written_and_read(workers: Executor) -> None:
    raw = "".join(
        line.removesuffix("|") for line in (GOLDEN / "tc33.txt").read_text().splitlines()
    ).encode("ascii")

    assert raw == a_file(TC33)
    assert lines(read(TC33, raw, workers))[0] == replace(FIRST, stan="000001")


def test_cardutil_reads_the_ipm_file_too(tmp_path: Path) -> None:
    (tmp_path / "file.ipm").write_bytes(a_file(IPM))
    command = Path(sys.executable).parent / "mci_ipm_to_csv"

    subprocess.run(
        [command, "--in-encoding", "cp500", "-o", "file.csv", "file.ipm"],
        cwd=tmp_path,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    rows = list(csv.DictReader((tmp_path / "file.csv").read_text().splitlines()))

    assert [(row["MTI"], row["DE24"]) for row in rows] == [
        ("1644", "697"),
        *([("1240", "200")] * 3),
        *([("1644", "685")] * 2),
        ("1644", "695"),
    ]
    first = rows[1]
    assert (first["DE4"], first["DE49"], first["DE50"]) == ("1099", "840", "840")
    assert (first["DE12"], first["DE71"]) == ("2026-11-26 10:15:00", "2")
    assert first["DE31"] == FIRST.arn
    assert first["DE63"].strip() == FIRST.network_trace_id
    assert first["DE2"] == "520000******0017"


@pytest.mark.parametrize("network", NETWORKS)
def test_no_whole_card_number_is_written(network: str) -> None:
    raw = a_file(network)

    assert b"5200000000990017" not in raw
    assert "5200000000990017".encode("cp500") not in raw


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    network=st.sampled_from(NETWORKS),
    payments=st.lists(
        st.tuples(
            st.integers(0, 10**12 - 1),
            st.sampled_from(sorted(CURRENCIES)),
            st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=12, max_size=12),
            st.integers(0, 300),
        ),
        max_size=30,
    ),
)
def test_any_payments_come_back_as_they_went(
    network: str, payments: list[tuple[int, str, str, int]], workers: Executor
) -> None:
    rows = [
        a_row(
            number,
            amount=amount,
            currency=CURRENCIES[code].numeric,
            rrn=rrn,
            transmitted_at=f"{DAY - timedelta(days=ago):%m%d}235959",
        )
        for number, (amount, code, rrn, ago) in enumerate(payments)
    ]

    *_, totals = items = read(network, a_file(network, rows), workers)

    near = timedelta(days=182)
    assert [(line.amount_minor, line.currency, line.rrn) for line in lines(items)] == [
        payment[:3] for payment in payments
    ]
    assert all(abs(line.local_date - DAY) <= near + timedelta(days=2) for line in lines(items))
    assert isinstance(totals, FileTotals)
    assert sum(total.amount_minor for total in totals.currencies) == sum(p[0] for p in payments)


@pytest.mark.parametrize(
    ("de7", "business_date", "year"),
    [
        ("1231235959", date(2027, 1, 1), 2026),
        ("0101000001", date(2026, 12, 31), 2027),
        ("0229120000", date(2028, 3, 1), 2028),
    ],
)
def test_a_moment_without_a_year_gets_the_nearest_one(
    de7: str, business_date: date, year: int
) -> None:
    assert transmitted(de7, business_date).year == year
