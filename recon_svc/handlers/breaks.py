"""What people ask about breaks, and decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from chassis.clock import Clock
from chassis.errors import ParameterInvalid, ParameterMissing
from chassis.fields import check_text
from recon_svc.domain.breaks import Break, BreakKind
from recon_svc.domain.report import DailyReport
from recon_svc.store.breaks import BreakStore
from recon_svc.store.report import ReportStore

LIMIT_MAX = 1000
TEXT_MAX = 1000


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """Which breaks to list. starting_after: the last one of the page before."""

    kind: BreakKind | None
    network: str | None
    with_resolved: bool
    limit: int
    starting_after: str


class BreakHandlers:
    """The use cases of breaks and of the report about them."""

    def __init__(self, breaks: BreakStore, reports: ReportStore, clock: Clock) -> None:
        self._breaks = breaks
        self._reports = reports
        self._clock = clock

    async def list(self, asked: BreakFilter) -> tuple[list[Break], bool]:
        """Return a page, oldest first, and whether there are more.

        Raises ParameterInvalid, ResourceMissing.
        """
        if not 1 <= asked.limit <= LIMIT_MAX:
            raise ParameterInvalid(f"limit must be from 1 to {LIMIT_MAX}.", param="limit")
        found = await self._breaks.list(
            asked.kind,
            asked.network,
            asked.starting_after,
            asked.limit + 1,
            with_resolved=asked.with_resolved,
        )
        return found[: asked.limit], len(found) > asked.limit

    async def assign(self, break_id: str, owner: str) -> Break:
        """Give a break to a person. Raises ResourceMissing, BreakAlreadyResolved."""
        return await self._breaks.assign(_text("break_id", break_id), _text("owner", owner))

    async def resolve(self, break_id: str, resolved_by: str, reason: str) -> Break:
        """Close a break. Raises ResourceMissing, ParameterMissing, BreakAlreadyResolved."""
        return await self._breaks.resolve(
            _text("break_id", break_id),
            _text("resolved_by", resolved_by),
            _text("reason", reason),
            self._clock.now(),
        )

    async def report(self, business_date: str) -> DailyReport:
        """Return the report of a day, "2026-11-26"; of the newest with a file when empty."""
        if not business_date:
            newest = await self._reports.last_business_date()
            return await self._reports.report(newest or self._clock.now().date())
        try:
            day = date.fromisoformat(business_date)
        except ValueError:
            message = 'business_date must be a date, "2026-11-26".'
            raise ParameterInvalid(message, param="business_date") from None
        return await self._reports.report(day)


def _text(param: str, text: str) -> str:
    if not text.strip():
        raise ParameterMissing(param)
    return check_text(text, TEXT_MAX, param)
