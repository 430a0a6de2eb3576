"""How a card network is reached: its addresses, and how both sides prove who they are."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from chassis.certificates import CertificateFiles, client_context


class NetworkLink(BaseModel):
    """Where a network is, and its mutual TLS, 1.2 or later.

    addresses: "host:port" each. server_name: what the network's certificate must name, whatever the
    address. certificate_file, key_file: what we show, PEM. ca_file: the CA that is trusted there
    and the only one, PEM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    addresses: tuple[str, ...]
    server_name: str
    certificate_file: Path
    key_file: Path
    ca_file: Path

    def context(self) -> ssl.SSLContext:
        """Return what a new connection shows and trusts, as the files are now. Raises OSError."""
        return client_context(CertificateFiles(self.certificate_file, self.key_file, self.ca_file))
