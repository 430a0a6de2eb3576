"""A CA, and a folder of short-lived certificates that it replaces at once."""

from __future__ import annotations

import ipaddress
import os
import secrets
import shutil
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(hours=1)
LONG = 24
CA_LIFETIME = timedelta(days=3650)
SKEW = timedelta(minutes=1)  # what another machine's clock may be behind
CURRENT = "..data"

Names = Sequence[x509.GeneralName]


class Authority:
    """A CA and the folder where its certificates are: `ca.crt`, and each name's `.crt` and `.key`.

    Certificates and keys of one renewal lie in a folder of their own. `..data` is a link to the
    newest, and each file a link through it, as in a projected volume of Kubernetes: so one rename
    replaces them all, and whoever watches the folder sees it. The CA's key lies beside them.

    names: what each certificate is for, besides localhost. long_lived: those of processes that read
    their files only when they start or are told to; they live longer by `LONG`.
    """

    def __init__(
        self,
        folder: Path,
        names: Mapping[str, Names],
        lifetime: timedelta,
        long_lived: Container[str] = (),
    ) -> None:
        self._folder = folder
        self._names = names
        self._lifetime = lifetime
        self._long_lived = long_lived
        self._renewed_at = datetime.fromtimestamp(0, UTC)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_due(self) -> bool:
        """Whether half of the certificates' life is over."""
        return datetime.now(UTC) >= self._renewed_at + self._lifetime / 2

    def renew(self) -> None:
        """Replace every certificate and its key; the generation before stays for who reads it."""
        ca, ca_key = self._ca()
        now = datetime.now(UTC)
        generation = self._folder / f"..{now:%Y%m%dT%H%M%S}.{secrets.token_hex(4)}"
        generation.mkdir()
        (generation / "ca.crt").write_bytes(_encoded(ca))
        for name, names in self._names.items():
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._certificate(name, names, key.public_key(), ca, ca_key)
            (generation / f"{name}.crt").write_bytes(_encoded(certificate))
            write_secret(generation / f"{name}.key", pem(key))
        self._swap(generation)
        self._renewed_at = now

    def _swap(self, generation: Path) -> None:
        current = self._folder / CURRENT
        before = current.resolve().name
        fresh = self._folder / f"{CURRENT}_tmp"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(generation.name)
        fresh.replace(current)
        for file in generation.iterdir():
            link = self._folder / file.name
            if not link.is_symlink():
                link.unlink(missing_ok=True)
                link.symlink_to(Path(CURRENT) / file.name)
        for folder in self._folder.glob("..2*"):
            if folder.name not in (generation.name, before):
                shutil.rmtree(folder)

    def _ca(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """Return the CA, which is made once."""
        file = self._folder / "ca.key"
        if not file.exists():
            fresh = ec.generate_private_key(ec.SECP256R1())
            write_secret(file, _encoded(_self_signed(fresh)) + pem(fresh))
        content = file.read_bytes()
        key = serialization.load_pem_private_key(content, password=None)
        return x509.load_pem_x509_certificate(content), cast("ec.EllipticCurvePrivateKey", key)

    def _certificate(
        self,
        name: str,
        names: Names,
        key: ec.EllipticCurvePublicKey,
        ca: x509.Certificate,
        ca_key: ec.EllipticCurvePrivateKey,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        lifetime = self._lifetime * (LONG if name in self._long_lived else 1)
        return (
            _builder(subject, ca.subject, key, datetime.now(UTC) + lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
                critical=False,
            )
            .sign(ca_key, hashes.SHA256())
        )


def localhost(*uris: str) -> Names:
    """Return the names of a party on this machine, with its URIs."""
    return [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        *(x509.UniformResourceIdentifier(uri) for uri in uris),
    ]


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read; it is whole or not there."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)


def _encoded(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "paymesh sandbox CA")])
    return (
        _builder(name, name, key.public_key(), datetime.now(UTC) + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - SKEW)
        .not_valid_after(until)
    )


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not is_ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
