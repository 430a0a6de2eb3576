"""The shapes of our custom resources: the part of each operator's schema that we use, strictly.

Written after the definitions of cert-manager 1.21, External Secrets 2.0, CloudNativePG 1.30 with
its Barman Cloud plugin, Strimzi 1.2, KEDA 2.21 and the Prometheus operator 0.93. A field that is
not here is refused: whoever needs it looks it up there and adds it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Scalar = str | int | bool
Duration = Annotated[str, Field(pattern=r"^(\d+(h|m|s))+$")]
Quantity = Annotated[str, Field(pattern=r"^\d+(m|Ki|Mi|Gi)?$")]
Selector = dict[str, Any]


class Shape(BaseModel):
    """An object of which every field is known."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Named(Shape):
    name: str


class Key(Named):
    key: str


class IssuerRef(Shape):
    group: Literal["cert-manager.io"]
    kind: Literal["Issuer", "ClusterIssuer"]
    name: str


class PrivateKey(Shape):
    algorithm: Literal["ECDSA"]
    size: Literal[256]
    encoding: Literal["PKCS8"] | None = None
    rotation_policy: Literal["Always"] | None = None


class SecretTemplate(Shape):
    labels: dict[str, str]


class Certificate(Shape):
    """A certificate needs a name of some kind."""

    secret_name: str
    issuer_ref: IssuerRef
    private_key: PrivateKey
    common_name: str | None = None
    uris: list[Annotated[str, Field(pattern=r"^spiffe://paymesh/[a-z_]+$")]] = []
    dns_names: list[str] = []
    usages: list[Literal["digital signature", "server auth", "client auth"]] = []
    duration: Duration
    renew_before: Duration
    secret_template: SecretTemplate | None = None
    is_ca: bool = Field(False, alias="isCA")


class CertificateAuthority(Shape):
    secret_name: str


class Issuer(Shape):
    ca: CertificateAuthority | None = None
    self_signed: dict[str, Any] | None = None


class RemoteRef(Shape):
    key: str
    property: str


class SecretItem(Shape):
    secret_key: str
    remote_ref: RemoteRef


class TargetTemplate(Shape):
    type: Literal["kubernetes.io/tls"]


class SecretTarget(Named):
    creation_policy: Literal["Owner"]
    template: TargetTemplate | None = None


class SecretStoreRef(Named):
    kind: Literal["ClusterSecretStore"]


class ExternalSecret(Shape):
    refresh_interval: Duration
    secret_store_ref: SecretStoreRef
    target: SecretTarget
    data: list[SecretItem]


class Resources(Shape):
    requests: dict[Literal["cpu", "memory"], Quantity]
    limits: dict[Literal["memory"], Quantity]


class InitDb(Shape):
    database: str
    owner: str
    encoding: Literal["UTF8"]
    locale: str
    data_checksums: Literal[True]


class Bootstrap(Shape):
    initdb: InitDb


class Role(Named):
    ensure: Literal["present"]
    login: bool
    replication: bool = False
    disable_password: Literal[True]


class Managed(Shape):
    roles: list[Role]


class DatabaseCertificates(Shape):
    server_tls_secret: str = Field(alias="serverTLSSecret")
    server_ca_secret: str = Field(alias="serverCASecret")
    client_ca_secret: str = Field(alias="clientCASecret")
    replication_tls_secret: str = Field(alias="replicationTLSSecret")


class Synchronous(Shape):
    method: Literal["any"]
    number: int
    data_durability: Literal["required"]
    failover_quorum: Literal[True]


class Postgresql(Shape):
    pg_ident: list[str] = Field(alias="pg_ident")
    pg_hba: list[str] = Field(alias="pg_hba")
    synchronous: Synchronous
    parameters: dict[str, str]


class HighAvailability(Shape):
    enabled: Literal[True]
    synchronize_logical_decoding: Literal[True]


class ReplicationSlots(Shape):
    high_availability: HighAvailability


class DatabaseStorage(Shape):
    size: Quantity


class ObjectName(Shape):
    barman_object_name: str


class Archiver(Named):
    is_wal_archiver: bool = Field(alias="isWALArchiver")
    parameters: ObjectName


class Affinity(Shape):
    enable_pod_anti_affinity: bool
    pod_anti_affinity_type: Literal["required", "preferred"]
    topology_key: str


class Cluster(Shape):
    instances: int
    image_name: Annotated[str, Field(pattern=r"@sha256:[0-9a-f]{64}$")]
    primary_update_strategy: Literal["unsupervised"]
    primary_update_method: Literal["switchover"]
    enable_superuser_access: Literal[False]
    bootstrap: Bootstrap
    managed: Managed
    certificates: DatabaseCertificates
    postgresql: Postgresql
    replication_slots: ReplicationSlots
    storage: DatabaseStorage
    wal_storage: DatabaseStorage
    plugins: list[Archiver]
    affinity: Affinity
    resources: Resources


class ScheduledBackup(Shape):
    cluster: Named
    schedule: Annotated[str, Field(pattern=r"^(\S+ ){5}\S+$")]
    backup_owner_reference: Literal["self"]
    method: Literal["plugin"]
    plugin_configuration: Named
    target: Literal["prefer-standby"]


class S3Credentials(Shape):
    access_key_id: Key
    secret_access_key: Key
    region: Key


class WalFiles(Shape):
    compression: Literal["lz4"]
    max_parallel: int


class DataFiles(Shape):
    compression: Literal["gzip"]
    jobs: int


class ObjectStoreConfiguration(Shape):
    destination_path: Annotated[str, Field(pattern=r"^s3://[a-z-]+/$")]
    s3_credentials: S3Credentials = Field(alias="s3Credentials")
    wal: WalFiles
    data: DataFiles


class ObjectStore(Shape):
    retention_policy: Annotated[str, Field(pattern=r"^\d+d$")]
    configuration: ObjectStoreConfiguration
