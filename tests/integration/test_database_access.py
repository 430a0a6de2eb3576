"""Who gets into which database, and what each role may do there: a row per way in and per deed."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

import chassis.archived
from sandbox.platform.certificates import issue
from sandbox.state import DATABASES, PURGERS
from tests.integration.conftest import PACKAGES, DatabaseServer

pytestmark = pytest.mark.integration

PUBLISHED = {
    "intent": {"outbox", "payment_intents", "heartbeats"},
    "txn": {"outbox", "transactions", "attempts", "heartbeats"},
    "recon": {"breaks", "clearing_files", "heartbeats"},
    "webhook": {"webhook_endpoints", "heartbeats"},
    "authz": {"merchants", "api_keys", "api_key_changes", "payment_domains", "heartbeats"},
}
PURGED = {
    "intent": {"payment_intents", "idempotency_keys", "consumed_events"},
    "txn": {"transactions", "attempts"},
    "recon": {"attempts"},
    "webhook": {"events", "deliveries", "delivery_attempts", "idempotency_keys"},
}
MARKED = {
    ("intent", "payment_intents"),
    ("txn", "transactions"),
    ("txn", "attempts"),
}
READ_BY_PURGES = {
    ("txn", "card_envelopes"): {"merchant_id", "transaction_id"},
    ("recon", "clearing_lines"): {"merchant_id", "attempt_id", "verdict"},
    ("recon", "breaks"): {"kind", "subject", "attempt_id", "line"},
}
# {table}: one that the service may write.
FORBIDDEN = [
    "create table extra (id text)",
    "create temporary table extra (id text)",
    "create table {table}_copy as select * from {table}",
    "create schema extra",
    "create view extra as select 1",
    "create function extra() returns int language sql return 1",
    "create index on {table} (merchant_id)",
    "create publication extra for table {table}",
    "create role extra",
    "create database extra",
    "create extension dblink",
    "alter table {table} add column extra text",
    "alter table {table} owner to postgres",
    "alter role {role} superuser",
    "alter system set ssl = off",
    "drop table {table} cascade",
    "truncate {table} cascade",
    "update alembic_version set version_num = '9999'",
    "select rolpassword from pg_authid",
    "set role {role}_owner",
    "set role postgres",
    "copy {table} to program 'true'",
    "select pg_read_file('postgresql.conf')",
    "select pg_create_logical_replication_slot('extra', 'pgoutput')",
]
NEEDS = {
    "SELECT": r"\b(?:from|join|using) {0}\b|select\({0}\b|\b{0}\.c\."
    r"|update {0}\b(?:(?!\"\"\").)*\bwhere\b",
    "INSERT": r"insert into {0}\b|insert\({0}\)|copy {0} ",
    "UPDATE": r"update {0}\b|update\({0}\)|insert into {0}\b(?:(?!\"\"\").)*do update set"
    r"|from {0}\b(?:(?!\"\"\").)*for update",
    "DELETE": r"delete from {0}\b|delete\({0}\)",
}
GRANTS = """
select c.relname as name, acl.grantee::regrole::text as role, acl.privilege_type as privilege
from pg_class c, aclexplode(c.relacl) acl
where c.relnamespace = 'public'::regnamespace and acl.grantee <> c.relowner
"""
COLUMN_GRANTS = """
select c.relname, a.attname, acl.grantee::regrole::text, acl.privilege_type
from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) acl
where c.relnamespace = 'public'::regnamespace
"""
TABLES = """
select relname from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
"""


@pytest.fixture(scope="module")
def urls(postgres: DatabaseServer) -> dict[str, str]:
    """Return a database of each service, by its URL for psycopg."""
    return {service: postgres.database(service).replace("+psycopg", "") for service in DATABASES}


@pytest.mark.parametrize("service", DATABASES)
@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_service_reads_and_writes_rows_and_nothing_else(
    urls: dict[str, str], service: str, statement: str
) -> None:
    table = {"authz": "api_keys", "intent": "payment_intents", "webhook": "events"}.get(
        service, "attempts"
    )
    told = statement.format(table=table, role=service)

    with (
        psycopg.connect(urls[service], autocommit=True) as connection,
        pytest.raises(InsufficientPrivilege),
    ):
        connection.execute(told.encode())


@pytest.mark.parametrize("service", DATABASES)
def test_a_service_is_granted_what_its_statements_need_and_no_more(
    postgres: DatabaseServer, urls: dict[str, str], service: str
) -> None:
    with postgres.admin(urls[service]) as admin:
        granted = admin.execute(GRANTS.encode()).fetchall()
    code = _code(PACKAGES[service]) + inspect.getsource(chassis.archived)

    unneeded = [
        (table, privilege)
        for table, role, privilege in granted
        if role == service
        and table not in {"alembic_version", "clearing_files_id_seq"}
        and not re.search(NEEDS[privilege].format(table), code, re.DOTALL)
    ]

    assert unneeded == []
    assert {role for _, role, _ in granted} <= {service, "debezium", f"{service}_retention"}


@pytest.mark.parametrize(("role", "service"), PURGERS.items())
def test_a_purge_deletes_what_is_old_and_changes_nothing_but_its_mark(
    postgres: DatabaseServer, urls: dict[str, str], role: str, service: str
) -> None:
    with postgres.admin(urls[service]) as admin:
        granted = {
            (table, privilege)
            for table, owner, privilege in admin.execute(GRANTS.encode()).fetchall()
            if owner == role
        }
        columns = {
            (table, column, privilege)
            for table, column, owner, privilege in admin.execute(COLUMN_GRANTS.encode()).fetchall()
            if owner == role
        }

    both = {(table, each) for table in PURGED[service] for each in ("SELECT", "DELETE")}
    marks = {(table, "purged", "UPDATE") for owner, table in MARKED if owner == service}
    read = {
        (table, column, "SELECT")
        for (owner, table), names in READ_BY_PURGES.items()
        if owner == service
        for column in names
    }
    assert granted == both | ({("purged_payments", "INSERT")} if marks else set())
    assert columns == marks | read


@pytest.mark.parametrize("service", DATABASES)
@pytest.mark.parametrize("other", DATABASES)
def test_a_service_does_not_get_into_another_ones_database(
    urls: dict[str, str], service: str, other: str
) -> None:
    url = _as(urls[other], urls[service])

    if service == other:
        psycopg.connect(url).close()
    else:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url)


@pytest.mark.parametrize("service", DATABASES)
def test_debezium_reads_what_is_published_and_writes_its_signals_alone(
    postgres: DatabaseServer, urls: dict[str, str], service: str
) -> None:
    url = postgres.url("debezium", _name(urls[service])).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        tables = [str(name) for (name,) in connection.execute(TABLES.encode())]
        published = {
            str(name)
            for (name,) in connection.execute(b"""
            select tablename from pg_publication_tables""")
        }

        read = {name for name in tables if _may(connection, "select from {}", name)}
        written = [
            (deed, name)
            for name in tables
            for deed in ("delete from {}", "insert into {} default values", "truncate {}")
            if _may(connection, deed, name)
        ]

    assert read == published == PUBLISHED[service] | {"debezium_signals"}
    assert written == [("insert into {} default values", "debezium_signals")]


def _may(connection: psycopg.Connection[tuple[object, ...]], deed: str, table: str) -> bool:
    try:
        connection.execute(sql.SQL(deed).format(sql.Identifier(table)))
    except InsufficientPrivilege:
        return False
    except psycopg.Error:
        return True
    return True


def test_no_role_has_a_password(postgres: DatabaseServer, urls: dict[str, str]) -> None:
    with postgres.admin(urls["txn"]) as admin:
        [(count,)] = admin.execute(
            "select count(*) from pg_authid where rolpassword is not null"
        ).fetchall()

    assert count == 0


WITHOUT = dict.fromkeys(("sslcert", "sslkey", "sslrootcert"), "")
REFUSALS = [
    ("in plain text", {**WITHOUT, "sslmode": "disable"}, "no encryption"),
    ("without a certificate", {"sslcert": "/nowhere", "sslkey": "/nowhere"}, "certificate"),
    ("with another service's certificate", {"user": "intent"}, "certificate authentication failed"),
    ("as the owner", {"user": "txn_owner"}, "certificate authentication failed"),
    ("as Debezium", {"user": "debezium"}, "certificate authentication failed"),
    ("as nobody known", {"user": "edge"}, "certificate authentication failed"),
    ("as the superuser", {"user": "postgres"}, "pg_hba.conf rejects"),
]


@pytest.mark.parametrize(
    ("changes", "said"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_a_connection_is_refused(urls: dict[str, str], changes: dict[str, str], said: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=said):
        psycopg.connect(urls["txn"], **changes)  # type: ignore[arg-type]


def test_the_superuser_is_refused_even_with_the_certificate_of_the_server(
    postgres: DatabaseServer,
) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        psycopg.connect(postgres.server.url("postgres", "postgres"))


def test_certificates_of_another_ca_are_refused_on_both_sides(
    urls: dict[str, str], tmp_path: Path
) -> None:
    issue(tmp_path)
    theirs = {"sslcert": str(tmp_path / "txn.crt"), "sslkey": str(tmp_path / "txn.key")}

    with pytest.raises(psycopg.OperationalError, match="unknown ca"):
        psycopg.connect(urls["txn"], **theirs)  # type: ignore[arg-type]
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(urls["txn"], sslrootcert=str(tmp_path / "ca.crt"))


def _name(url: str) -> str:
    return str(sqlalchemy.make_url(url).database)


def _as(url: str, role_url: str) -> str:
    """Return the URL of a database as the role of another URL."""
    parts = sqlalchemy.make_url(role_url).set(database=_name(url))
    return parts.render_as_string(hide_password=False)


def _code(package: str) -> str:
    """Return the text of a service and of what all share, without migrations and purges."""
    folders = [folder for name in (package, "chassis") for folder in _folders(name)]
    files = [
        file
        for folder in folders
        for file in folder.rglob("*.py")
        if "migrations" not in file.parts and file.name != "retention.py"
    ]
    return "\n".join(file.read_text() for file in files)


def _folders(package: str) -> list[Path]:
    return [Path(folder) for folder in importlib.import_module(package).__path__]
