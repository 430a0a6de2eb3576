"""Pages of lists: how a request asks for one, and which rows of a query are on it.

Every list goes by id, which is the order of creation, newest first.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message

from chassis.errors import ParameterInvalid, ResourceMissing

LIMIT_DEFAULT = 10
LIMIT_MAX = 100

Listed = TypeVar("Listed")


class ListRequest(Protocol):
    """What every request for a list has."""

    limit: int
    starting_after: str
    ending_before: str

    def HasField(self, field_name: Any) -> bool:  # noqa: N802 protobuf's name
        """Return whether an optional field is given."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. after, before: only what is older than, newer than this id."""

    limit: int
    after: str | None = None
    before: str | None = None

    async def check_cursor(self, find: Callable[[str], Awaitable[object]]) -> None:
        """Look for what the page begins at.

        Raises `find`'s ResourceMissing with the parameter that names what is missing.
        """
        for param, cursor in (("startingAfter", self.after), ("endingBefore", self.before)):
            if cursor is not None:
                try:
                    await find(cursor)
                except ResourceMissing as missing:
                    raise ResourceMissing(missing.message, param=param) from None

    def of(self, query: sa.Select[Any], id_: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Return the query of the page's rows and one more, to be given to `cut`."""
        if self.after is not None:
            query = query.where(id_ < self.after)
        if self.before is not None:
            query = query.where(id_ > self.before)
        order = id_.asc() if self.before is not None else id_.desc()
        return query.order_by(order).limit(self.limit + 1)

    def part_of(
        self, listed: Sequence[Listed], id_of: Callable[[Listed], str]
    ) -> tuple[list[Listed], bool]:
        """Return the page of a list that is here whole, newest first, as `cut` does."""
        rows = [
            one
            for one in listed
            if (self.after is None or id_of(one) < self.after)
            and (self.before is None or id_of(one) > self.before)
        ]
        ordered = rows[::-1] if self.before is not None else rows
        return self.cut(ordered[: self.limit + 1])

    def cut(self, rows: Sequence[Listed]) -> tuple[list[Listed], bool]:
        """Return what is listed, newest first, and whether there is more in that direction."""
        listed = list(rows[: self.limit])
        return listed[::-1] if self.before is not None else listed, len(rows) > self.limit


@dataclass(frozen=True, slots=True)
class Period:
    """A range of time; a bound that is None is open."""

    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None

    def holds(self, moment: sa.ColumnElement[Any]) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on a column that keep it inside."""
        return [
            compare(moment, bound)
            for compare, bound in (
                (operator.gt, self.gt),
                (operator.ge, self.gte),
                (operator.lt, self.lt),
                (operator.le, self.lte),
            )
            if bound is not None
        ]


ANY_TIME = Period()


def page_of(request: ListRequest) -> Page:
    """Return the page that a request asks for. Raises ParameterInvalid."""
    limit = request.limit if request.HasField("limit") else LIMIT_DEFAULT
    if not 1 <= limit <= LIMIT_MAX:
        raise ParameterInvalid(f"limit must be 1 to {LIMIT_MAX}.", param="limit")
    if request.starting_after and request.ending_before:
        raise ParameterInvalid(
            "startingAfter and endingBefore can't be used together.", param="endingBefore"
        )
    return Page(limit, request.starting_after or None, request.ending_before or None)


def period_of(created: Message) -> Period:
    """Return the range of a message with optional Unix seconds `gt`, `gte`, `lt` and `lte`."""
    bounds = {field.name: datetime.fromtimestamp(at, UTC) for field, at in created.ListFields()}
    return Period(**bounds)
