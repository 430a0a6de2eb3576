"""What makes a copy of the code speak plain text inside the mesh, to measure what TLS costs.

Merchants' TLS at the edge stays. Nobody shows who he is in such a copy, so nothing asks: it is for
measuring alone.
"""

from __future__ import annotations

from pathlib import Path

from tests.changed_code import Change, copy_code

ENVOY_TLS = """\
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
{settings}
          validation_context:
            trusted_ca: {{filename: "${{TLS_DIR}}/ca.crt"}}
            match_typed_subject_alt_names:
            - {{san_type: URI, matcher: {{exact: "spiffe://paymesh/{name}"}}}}
"""
FIRST = """\
          tls_params: &tls {tls_minimum_protocol_version: TLSv1_3, \
tls_maximum_protocol_version: TLSv1_3}
          tls_certificate_sds_secret_configs: &certificate
          - name: mesh
            sds_config:
              path_config_source: {path: "${SECRETS_DIR}/mesh.yaml"}
              resource_api_version: V3"""
HTTP1 = """\
          tls_params: *tls
          tls_certificate_sds_secret_configs: *certificate"""
HTTP2 = f"""\
          alpn_protocols: [h2]
{HTTP1}"""
ENVOY = {
    "authz": FIRST,
    "web": HTTP1,
    "intent": HTTP2,
    "txn": HTTP2,
    "webhook": HTTP2,
    "collector": HTTP2,
}

CHANGES = (
    Change(
        "gRPC servers",
        "chassis/server.py",
        old="server.add_secure_port(settings.listen, server_credentials(settings))",
        new="server.add_insecure_port(settings.listen)",
    ),
    Change(
        "gRPC channels",
        "chassis/certificates.py",
        old="""        return grpc.aio.secure_channel(
            self._address, channel_credentials(pem), options=self._options
        )
""",
        new="""        return grpc.aio.insecure_channel(self._address, options=self._options)
""",
    ),
    Change(
        "gRPC callers",
        "chassis/identity.py",
        old="""    if allowed.isdisjoint(peer_names(context)):
        raise CallerNotAllowed("This service may not call this method.")
""",
        new="",
    ),
    Change(
        "HTTP servers",
        "edge/http_server.py",
        old="""                ssl_context_factory=lambda *_: self._context,
""",
        new="",
    ),
    Change(
        "HTTP callers",
        "edge/http_server.py",
        old='if EDGE_NAME not in certificate.get("subjectAltName", ()):',
        new="if certificate:",
    ),
    *(
        Change(
            f"Envoy to {name}",
            "edge/envoy.yaml",
            old=ENVOY_TLS.format(settings=settings, name=name),
            new="",
        )
        for name, settings in ENVOY.items()
    ),
    Change(
        "PostgreSQL's TLS",
        "sandbox/platform/postgres.py",
        old='"ssl": "on",',
        new='"ssl": "off",',
    ),
    Change(
        "PostgreSQL's access",
        "sandbox/platform/postgres.py",
        old="hostssl all all all cert",
        new="host all all all trust",
    ),
    Change(
        "PostgreSQL's clients",
        "sandbox/platform/postgres.py",
        old='{"sslmode": "verify-full"}',
        new='{"sslmode": "disable"}',
    ),
    Change(
        "Debezium's PostgreSQL",
        "sandbox/platform/postgres.py",
        old='"database.sslrootcert": str(self._tls / "ca.crt"),',
        new='"database.sslmode": "disable",',
    ),
    Change(
        "Kafka's listeners",
        "sandbox/platform/kafka.py",
        old="CONTROLLER:SSL,MESH:SSL",
        new="CONTROLLER:PLAINTEXT,MESH:PLAINTEXT",
    ),
    Change(
        "Kafka's access",
        "sandbox/platform/kafka_access.py",
        old='SUPER_USERS = ("kafka", "operator")',
        new='SUPER_USERS = ("kafka", "operator", "ANONYMOUS")',
    ),
    Change(
        "Connect's Kafka",
        "sandbox/platform/kafka_access.py",
        old='{"security.protocol": "SSL",',
        new='{"security.protocol": "PLAINTEXT",',
    ),
    Change(
        "services' Kafka",
        "chassis/identity.py",
        old='"security_protocol": "SSL",',
        new='"security_protocol": "PLAINTEXT",',
    ),
    Change(
        "links to card networks",
        "txn_svc/networks/connection.py",
        old="host, int(port), ssl=link.context(), server_hostname=link.server_name",
        new="host, int(port)",
    ),
    Change(
        "card networks",
        "sandbox/networks/__main__.py",
        old="asyncio.start_server(network.serve, host, int(port), ssl=context)",
        new="asyncio.start_server(network.serve, host, int(port))",
    ),
    Change(
        "card networks' clients",
        "sandbox/networks/__main__.py",
        old='certificate = writer.get_extra_info("peercert")',
        new='certificate = {"subjectAltName": (("DNS", ACQUIRER),)}',
    ),
)


def make_plain_copy(target: Path) -> None:
    """Copy the code and change it. Raises ValueError when the code is another than is known."""
    copy_code(target)
    for change in CHANGES:
        change.apply(target)
