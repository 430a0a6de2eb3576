"""What a simulated network and its acquirer show each other, from the network's own CA."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509

from chassis.certificates import CertificateFiles
from sandbox.platform.authority import Authority

ACQUIRER = "acquirer.example"


def server_name(network: str) -> str:
    """Return the name that a network's certificate has."""
    return f"{network.replace('_', '-')}.example"


def network_authority(folder: Path, network: str, lifetime: timedelta) -> Authority:
    """Return a network's CA. A proxy stands for either side, so its certificate has both names."""
    own, acquirer = x509.DNSName(server_name(network)), x509.DNSName(ACQUIRER)
    names = {"network": [own], "acquirer": [acquirer], "proxy": [own, acquirer]}
    return Authority(folder, names, lifetime)


def network_files(folder: Path, party: str) -> CertificateFiles:
    """Return where the certificate of "network", "acquirer" or "proxy" is."""
    return CertificateFiles(folder / f"{party}.crt", folder / f"{party}.key", folder / "ca.crt")
