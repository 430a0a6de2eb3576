"""Certificates that are renewed under those who read them."""

from __future__ import annotations

import ssl
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PosixPath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from chassis.certificates import CertificateFiles, Pem, client_context
from sandbox.platform.authority import LONG, Authority, localhost
from sandbox.platform.certificates import issue
from sandbox.platform.kafka_access import is_half_over, write_store

HOUR = timedelta(hours=1)
VERSIONS = 20  # how many a reader must have seen while they change


def _files(folder: Path, name: str = "intent") -> CertificateFiles:
    return CertificateFiles(folder / f"{name}.crt", folder / f"{name}.key", folder / "ca.crt")


def _belong_together(pem: Pem) -> bool:
    certificate = x509.load_pem_x509_certificate(pem.certificate)
    key = serialization.load_pem_private_key(pem.key, password=None)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pem.ca))
    return certificate.public_key() == key.public_key()


def _authority(folder: Path) -> Authority:
    return Authority(folder, {"intent": localhost("spiffe://paymesh/intent")}, HOUR)


def test_a_certificate_lives_an_hour_and_is_due_at_half_of_it(tmp_path: Path) -> None:
    issue(tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "txn.crt").read_bytes())
    short = Authority(tmp_path / "short", {}, timedelta(0))
    short.renew()
    fresh = _authority(tmp_path / "fresh")
    fresh.renew()

    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert HOUR - timedelta(minutes=1) < left <= HOUR
    assert short.is_due
    assert not fresh.is_due


@pytest.mark.parametrize(("lifetime", "is_over"), [(HOUR, False), (timedelta(0), True)])
def test_what_processes_read_once_lives_longer_and_is_replaced_at_half_of_it(
    tmp_path: Path, lifetime: timedelta, *, is_over: bool
) -> None:
    names = {name: localhost() for name in ("intent", "kafka")}
    authority = Authority(tmp_path, names, lifetime, long_lived=("kafka",))
    authority.renew()
    write_store(tmp_path, "kafka", tmp_path)

    ends = [
        x509.load_pem_x509_certificate((tmp_path / f"{name}.crt").read_bytes()).not_valid_after_utc
        for name in names
    ]
    assert abs(ends[1] - ends[0] - (LONG - 1) * lifetime) < timedelta(minutes=1)
    assert is_half_over(tmp_path) is is_over


def test_every_reader_gets_a_key_that_belongs_to_its_certificate(tmp_path: Path) -> None:
    authority, files = _authority(tmp_path), _files(tmp_path)
    authority.renew()
    context = client_context(files)
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.is_set():
            authority.renew()

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        seen = set[tuple[tuple[int, int], ...]]()
        while len(seen) < VERSIONS:
            version, pem = files.read()
            assert _belong_together(pem)
            files.load(context)
            seen.add(version)
    finally:
        is_over.set()
        renewing.join()


def test_a_renewal_between_two_files_is_read_over_again(tmp_path: Path) -> None:
    authority = _authority(tmp_path)
    authority.renew()
    files = _files(tmp_path)
    renewals = iter([authority.renew])

    class RenewedBefore(PosixPath):
        """A file that is renewed just before it is read for the first time."""

        def read_bytes(self) -> bytes:
            next(renewals, lambda: None)()
            return super().read_bytes()

    version, pem = replace(files, key=RenewedBefore(files.key)).read()

    assert _belong_together(pem)
    assert version == files.version()


def test_a_renewal_keeps_the_ca_and_every_secret_its_owner_s(tmp_path: Path) -> None:
    issue(tmp_path)
    ca, signing = (tmp_path / "ca.crt").read_bytes(), (tmp_path / "jwt.key").read_bytes()
    version, before = _files(tmp_path).read()
    issue(tmp_path)
    _, after = _files(tmp_path).read()

    assert _files(tmp_path).version() != version
    assert after.certificate != before.certificate
    assert ((tmp_path / "ca.crt").read_bytes(), (tmp_path / "jwt.key").read_bytes()) == (
        ca,
        signing,
    )
    secrets = [*tmp_path.rglob("*.key")]
    assert len(secrets) > 10
    assert {file.stat().st_mode & 0o777 for file in secrets} == {0o600}
    generations = [each for each in tmp_path.iterdir() if each.is_dir() and not each.is_symlink()]
    assert len(generations) == 2, "only who reads the generation before may still need it"


def test_what_can_not_be_read_is_left_alone(tmp_path: Path) -> None:
    _authority(tmp_path).renew()
    files = _files(tmp_path)
    known = files.version()

    (tmp_path / "..data").unlink()

    assert files.newer(known) is None
    _authority(tmp_path).renew()
    newer = files.newer(known)
    assert newer is not None
    assert _belong_together(newer[1])


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    issue(tmp_path)
    mixed = CertificateFiles(tmp_path / "intent.crt", tmp_path / "txn.key", tmp_path / "ca.crt")

    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        client_context(mixed)
