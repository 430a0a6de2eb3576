"""The shapes of custom resources around Kafka, scaling and watching; see `custom_resources.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from k8s.custom_resources import (
    Certificate,
    Cluster,
    Duration,
    ExternalSecret,
    Issuer,
    Key,
    Named,
    ObjectStore,
    Resources,
    Scalar,
    ScheduledBackup,
    Selector,
    Shape,
)


class Jvm(Shape):
    xms: str = Field(alias="-Xms")
    xmx: str = Field(alias="-Xmx")


class Volume(Shape):
    id: int
    type: Literal["persistent-claim"]
    size: str
    kraft_metadata: Literal["shared"]
    delete_claim: Literal[False]


class PoolStorage(Shape):
    type: Literal["jbod"]
    volumes: list[Volume]


class KafkaNodePool(Shape):
    replicas: int
    roles: list[Literal["controller", "broker"]]
    storage: PoolStorage
    resources: Resources
    jvm_options: Jvm | None = None


class ListenerAuthentication(Shape):
    type: Literal["custom"]
    sasl: Literal[False]
    listener_config: dict[str, Scalar]


class CertificateAndKey(Shape):
    secret_name: str
    certificate: str
    key: str


class ListenerConfiguration(Shape):
    broker_cert_chain_and_key: CertificateAndKey


class Listener(Named):
    port: int
    type: Literal["internal"]
    tls: Literal[True]
    authentication: ListenerAuthentication
    configuration: ListenerConfiguration
    network_policy_peers: list[Selector]


class Authorization(Shape):
    type: Literal["simple"]
    super_users: list[str]


class Rack(Shape):
    type: Literal["topology-label"]
    topology_key: str


class Spread(Shape):
    max_skew: int
    topology_key: str
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: Selector


class PodTemplate(Shape):
    volumes: list[dict[str, Any]]
    topology_spread_constraints: list[Spread]


class ContainerTemplate(Shape):
    volume_mounts: list[dict[str, str]]


class KafkaTemplate(Shape):
    pod: PodTemplate
    kafka_container: ContainerTemplate


class KafkaMetrics(Shape):
    type: Literal["strimziMetricsReporter"]


class Brokers(Shape):
    version: str
    metadata_version: str
    rack: Rack
    listeners: list[Listener]
    authorization: Authorization
    config: dict[str, Scalar]
    template: KafkaTemplate
    metrics_config: KafkaMetrics


class Exporter(Shape):
    group_regex: str
    topic_regex: str


class EntityOperator(Shape):
    topic_operator: dict[str, Any]
    user_operator: dict[str, Any]


class Kafka(Shape):
    kafka: Brokers
    entity_operator: EntityOperator
    kafka_exporter: Exporter


class TrustedCertificate(Shape):
    secret_name: str
    certificate: str


class ConnectTls(Shape):
    trusted_certificates: list[TrustedCertificate]


class ConnectAuthentication(Shape):
    type: Literal["tls"]
    certificate_and_key: CertificateAndKey


class ConnectTemplate(Shape):
    pod: PodTemplate
    connect_container: ContainerTemplate


class ConfigMapKey(Shape):
    config_map_key_ref: Key


class ConnectMetrics(Shape):
    type: Literal["jmxPrometheusExporter"]
    value_from: ConfigMapKey


class KafkaConnect(Shape):
    version: str
    replicas: int
    image: Annotated[str, Field(pattern=r"@sha256:[0-9a-f]{64}$")]
    bootstrap_servers: str
    group_id: str
    config_storage_topic: str
    offset_storage_topic: str
    status_storage_topic: str
    tls: ConnectTls
    authentication: ConnectAuthentication
    config: dict[str, Scalar]
    template: ConnectTemplate
    resources: Resources
    jvm_options: Jvm
    metrics_config: ConnectMetrics


class AutoRestart(Shape):
    enabled: bool


class KafkaConnector(Shape):
    class_: str = Field(alias="class")
    tasks_max: Literal[1]
    auto_restart: AutoRestart
    config: dict[str, Scalar]


class KafkaTopic(Shape):
    topic_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    partitions: Annotated[int, Field(gt=0)]
    replicas: Literal[3]
    config: dict[str, Scalar]


class AclResource(Named):
    type: Literal["topic", "group", "transactionalId"]
    pattern_type: Literal["literal", "prefix"]


class Acl(Shape):
    resource: AclResource
    operations: list[Literal["Read", "Write", "Describe", "DescribeConfigs"]]


class UserAuthentication(Shape):
    type: Literal["tls-external"]


class UserAuthorization(Shape):
    type: Literal["simple"]
    acls: list[Acl]


class KafkaUser(Shape):
    authentication: UserAuthentication
    authorization: UserAuthorization


class Trigger(Shape):
    type: Literal["cpu", "kafka"]
    metric_type: Literal["Utilization"] | None = None
    metadata: dict[str, str]
    authentication_ref: Named | None = None


class ScaledObject(Shape):
    scale_target_ref: Named
    min_replica_count: int
    max_replica_count: int
    cooldown_period: int
    triggers: list[Trigger]


class SecretTargetRef(Key):
    parameter: Literal["ca", "cert", "key"]


class TriggerAuthentication(Shape):
    secret_target_ref: list[SecretTargetRef]


class Relabeling(Shape):
    source_labels: list[str]
    target_label: str


class PodMetricsEndpoint(Shape):
    port: str
    path: str | None = None
    interval: Duration
    relabelings: list[Relabeling] = []


class PodMonitor(Shape):
    selector: Selector
    pod_metrics_endpoints: list[PodMetricsEndpoint]


class Annotations(Shape):
    summary: str
    runbook_url: str = Field(alias="runbook_url")


class Severity(Shape):
    severity: Literal["page", "ticket"]


class Rule(Shape):
    alert: Annotated[str, Field(pattern=r"^([A-Z][a-z]+)+$")]
    expr: str
    for_: Duration = Field(alias="for")
    labels: Severity
    annotations: Annotations


class RuleGroup(Named):
    rules: list[Rule]


class PrometheusRule(Shape):
    groups: list[RuleGroup]


SHAPES: dict[tuple[str, str], type[Shape]] = {
    ("cert-manager.io/v1", "Certificate"): Certificate,
    ("cert-manager.io/v1", "Issuer"): Issuer,
    ("external-secrets.io/v1", "ExternalSecret"): ExternalSecret,
    ("postgresql.cnpg.io/v1", "Cluster"): Cluster,
    ("postgresql.cnpg.io/v1", "ScheduledBackup"): ScheduledBackup,
    ("barmancloud.cnpg.io/v1", "ObjectStore"): ObjectStore,
    ("kafka.strimzi.io/v1", "KafkaNodePool"): KafkaNodePool,
    ("kafka.strimzi.io/v1", "Kafka"): Kafka,
    ("kafka.strimzi.io/v1", "KafkaConnect"): KafkaConnect,
    ("kafka.strimzi.io/v1", "KafkaConnector"): KafkaConnector,
    ("kafka.strimzi.io/v1", "KafkaTopic"): KafkaTopic,
    ("kafka.strimzi.io/v1", "KafkaUser"): KafkaUser,
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): TriggerAuthentication,
    ("monitoring.coreos.com/v1", "PodMonitor"): PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PrometheusRule,
}
