"""Who may do what in a service's database, as statements for its migrations.

Four roles meet there: the owner, whom only migrations log in as; the service itself; `debezium`,
which reads what is published; and `<service>_retention`, which deletes what is old. All exist
before the first migration. Nobody else may even connect.
"""

from __future__ import annotations

from collections.abc import Mapping

# A database's name is its own affair: tests have many of one service.
CONNECT = """
do $$ begin
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to {role}', current_database());
end $$
"""


def connect_ddl(role: str) -> list[str]:
    """Return the statements that let a role in, to see what it is granted there."""
    return [
        CONNECT.format(role=role),
        "revoke all on schema public from public",
        f"grant usage on schema public to {role}",
    ]


def service_ddl(role: str, grants: Mapping[str, str]) -> list[str]:
    """Return the statements of a first migration that let a service use its tables.

    grants: table → privileges, such as "select, insert".
    """
    return [
        *connect_ddl(role),
        f"grant select on alembic_version to {role}",
        *grants_ddl(role, grants),
    ]


def grants_ddl(role: str, grants: Mapping[str, str]) -> list[str]:
    """Return the statements that let a role use tables. grants: as above."""
    return [f"grant {privileges} on {table} to {role}" for table, privileges in grants.items()]
