"""Kafka and PostgreSQL on Kubernetes: the same topics, tables, roles and rules as in the code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from datetime import timedelta

import pytest

from chassis.outbox import DAYS_KEPT
from chassis.retention import KAFKA_KEEPS, MAY_COME_AGAIN, SEGMENT
from sandbox.platform.postgres import HBA, SETTINGS
from sandbox.state import DATABASES, PURGERS, ROOT
from tests.unit.manifests.parts import MODULES, OVERLAYS, named, of_kind

EVERY = pytest.mark.parametrize("name", OVERLAYS)
POOL = "KafkaNodePool"
MEANT = (
    *("wal_level", "synchronous_commit", "track_commit_timestamp", "timezone"),
    "ssl_min_protocol_version",
)


def publications() -> dict[str, list[str]]:
    """Return what the migrations publish: publication → tables."""
    found = {}
    for package in (MODULES[service] for service in DATABASES):
        folder = ROOT / package.replace(".", "/") / "migrations" / "versions"
        for file in sorted(folder.glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "publication_ddl":
                    name, tables = map(ast.literal_eval, node.args)
                    found[name] = tables
    return found


@EVERY
def test_a_connector_captures_what_the_migrations_publish(name: str) -> None:
    captured = {}
    for connector in of_kind(name, "KafkaConnector"):
        config = connector["spec"]["config"]
        tables = config["table.include.list"].split(",")
        captured[config["publication.name"]] = sorted(tables)
        assert config["publication.autocreate.mode"] == "disabled"
        assert config["slot.failover"] is True

    published = {
        publication: sorted(f"public.{table}" for table in tables)
        for publication, tables in publications().items()
    }
    assert captured == published


@EVERY
def test_nothing_is_forgotten_that_may_come_again_from_kafka(name: str) -> None:
    topics = {
        each["spec"]["topicName"]: each["spec"]["config"] for each in of_kind(name, "KafkaTopic")
    }
    consumers = [f"{MODULES[service]}.consumer" for service in DATABASES]
    read = {
        topic
        for consumer in consumers
        if importlib.util.find_spec(consumer)
        for topic in importlib.import_module(consumer).TOPICS
    }

    assert read
    for topic in read:
        assert timedelta(milliseconds=topics[topic]["retention.ms"]) == KAFKA_KEEPS
        assert topics[topic]["cleanup.policy"] == "delete"
        assert "segment.ms" not in topics[topic]  # SEGMENT is what Kafka takes without it
    [kafka] = of_kind(name, "Kafka")
    assert not {"log.roll.ms", "log.roll.hours"} & kafka["spec"]["kafka"]["config"].keys()
    assert KAFKA_KEEPS + SEGMENT + timedelta(days=DAYS_KEPT) < MAY_COME_AGAIN


@EVERY
def test_there_is_a_topic_for_all_that_is_written_and_no_other(name: str) -> None:
    topics = {each["spec"]["topicName"] for each in of_kind(name, "KafkaTopic")}
    written = {"connect-configs", "connect-offsets", "connect-status"}
    for package in MODULES.values():
        if importlib.util.find_spec(f"{package}.consumer"):
            consumer = importlib.import_module(f"{package}.consumer")
            written |= {*consumer.TOPICS}
            if hasattr(importlib.import_module(f"{package}.__main__"), "Consumer"):
                written.add(f"dead-letters.{consumer.GROUP}")
    for connector in of_kind(name, "KafkaConnector"):
        config = connector["spec"]["config"]
        prefix = config["topic.prefix"]
        for table in config["table.include.list"].split(","):
            if table != "public.outbox":
                written.add(f"{prefix}.{table.removeprefix('public.')}")

    assert topics == written


@EVERY
def test_no_acknowledged_record_is_lost_with_one_broker(name: str) -> None:
    [kafka] = of_kind(name, "Kafka")
    config = kafka["spec"]["kafka"]["config"]
    pools = {pool["metadata"]["name"]: pool["spec"]["replicas"] for pool in of_kind(name, POOL)}

    assert pools == {"controller": 3, "broker": 3}
    assert config["min.insync.replicas"] == 2
    assert config["unclean.leader.election.enable"] == "false"
    assert config["auto.create.topics.enable"] == "false"
    assert config["transaction.state.log.min.isr"] == 2
    factors = [value for key, value in config.items() if key.endswith("replication.factor")]
    assert set(factors) == {3}
    for topic in of_kind(name, "KafkaTopic"):
        assert topic["spec"]["replicas"] == 3
        assert topic["spec"]["config"]["min.insync.replicas"] == 2


@EVERY
def test_connect_keeps_its_state_where_its_rights_are(name: str) -> None:
    [connect] = of_kind(name, "KafkaConnect")
    spec, user = connect["spec"], named(name, "KafkaUser")["connect"]
    rights = [acl["resource"] for acl in user["spec"]["authorization"]["acls"]]

    allowed = {(each["type"], each["name"]) for each in rights}
    for field in ("configStorageTopic", "offsetStorageTopic", "statusStorageTopic"):
        assert ("topic", spec[field]) in allowed
    assert ("group", spec["groupId"]) in allowed
    for connector in of_kind(name, "KafkaConnector"):
        labels = connector["metadata"]["labels"]
        assert labels["strimzi.io/cluster"] == connect["metadata"]["name"]
        task = f"{spec['groupId']}-{connector['metadata']['name']}-0"
        assert ("transactionalId", task) in allowed


@EVERY
def test_the_autoscaler_may_look_at_what_it_scales_by(name: str) -> None:
    user = named(name, "KafkaUser")["autoscaler"]
    rules = user["spec"]["authorization"]["acls"]

    assert {operation for rule in rules for operation in rule["operations"]} == {"Describe"}
    groups = {r["resource"]["name"] for r in rules if r["resource"]["type"] == "group"}
    asked = {
        trigger["metadata"]["consumerGroup"]
        for scaled in of_kind(name, "ScaledObject")
        for trigger in scaled["spec"]["triggers"]
        if trigger["type"] == "kafka"
    }
    assert groups == asked


@EVERY
def test_every_service_has_its_database_with_its_owner_and_its_role(name: str) -> None:
    clusters = named(name, "Cluster")

    assert clusters.keys() == {f"{service}-db" for service in DATABASES}
    for service, database in DATABASES.items():
        spec = clusters[f"{service}-db"]["spec"]
        made = spec["bootstrap"]["initdb"]
        assert (made["database"], made["owner"]) == (database, f"{service}_owner")
        roles = {role["name"]: role for role in spec["managed"]["roles"]}
        purgers = {role for role, purged in PURGERS.items() if purged == service}
        assert roles.keys() == {service, "debezium", *purgers}
        assert "replication" not in roles[service]
        is_captured = f"paymesh_{service}" in publications()
        assert roles["debezium"].get("replication", False) is is_captured


@EVERY
def test_databases_are_reached_by_certificates_alone_as_in_the_sandbox(name: str) -> None:
    of_the_sandbox = [line for line in HBA.split("\n") if line.startswith("host")]
    for cluster in of_kind(name, "Cluster"):
        postgresql = cluster["spec"]["postgresql"]
        # After these the operator's own last line would take passwords.
        assert postgresql["pg_hba"] == [*of_the_sandbox, "host all all all reject"]
        for setting in MEANT:
            assert postgresql["parameters"][setting] == SETTINGS[setting]
        [ident] = postgresql["pg_ident"]
        replica = named(name, "Certificate")[f"{cluster['metadata']['name']}-replica"]
        assert ident.split()[1] == replica["spec"]["commonName"]


@EVERY
def test_a_database_that_fails_over_loses_nothing(name: str) -> None:
    backups = {each["spec"]["cluster"]["name"] for each in of_kind(name, "ScheduledBackup")}

    assert backups == named(name, "Cluster").keys()
    for cluster in of_kind(name, "Cluster"):
        spec = cluster["spec"]
        assert spec["instances"] == 3
        assert spec["postgresql"]["synchronous"]["dataDurability"] == "required"
        assert spec["postgresql"]["parameters"]["sync_replication_slots"] == "on"
        assert spec["replicationSlots"]["highAvailability"]["synchronizeLogicalDecoding"] is True
        [archiver] = spec["plugins"]
        assert archiver["isWALArchiver"] is True
