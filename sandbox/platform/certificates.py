"""A CA for one sandbox, certificates with SPIFFE ids, and the keys that services keep in files."""

from __future__ import annotations

import base64
import ipaddress
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("edge", "authz", "intent", "txn", "recon", "webhook", "collector", "operator")
LIFETIME = timedelta(days=365)
KEY_ID = "edge-1"


def issue(tls: Path) -> None:
    """Write CA, certificates and keys into a folder, once."""
    if (tls / ".issued").exists():
        return
    tls.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _ca(ca_key)
    (tls / "ca.crt").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    for name in NAMES:
        _certificate(tls, name, ca, ca_key, f"spiffe://paymesh/{name}")
    _certificate(tls, "public", ca, ca_key, None)
    _jwt_key(tls)
    for name in ("master", "request"):
        _secret(tls / f"{name}.key", base64.b64encode(secrets.token_bytes(32)))
    (tls / ".issued").touch()


def _ca(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "paymesh sandbox CA")])
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    tls: Path,
    name: str,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    spiffe_id: str | None,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    if spiffe_id is not None:
        names.append(x509.UniformResourceIdentifier(spiffe_id))
    certificate = (
        _builder(subject, ca.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_ca=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    (tls / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _secret(tls / f"{name}.key", _pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
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


def _jwt_key(tls: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    _secret(tls / "jwt.key", _pem(key))
    public = key.public_key().public_bytes_raw()
    jwk = {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": KEY_ID,
        "use": "sig",
        "alg": "EdDSA",
        "x": base64.urlsafe_b64encode(public).rstrip(b"=").decode(),
    }
    (tls / "jwks.json").write_text(json.dumps({"keys": [jwk]}))


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
