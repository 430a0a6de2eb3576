"""What people ask about breaks, and decide."""

from __future__ import annotations

from datetime import date

from chassis.clock import Clock
from chassis.errors import ParameterInvalid, ParameterMissing
from chassis.fields import check_text
from recon_svc.domain.breaks import Break, BreakFilter
from recon_svc.domain.report import DailyReport
from recon_svc.store.breaks import BreakStore
from recon_svc.store.report import ReportStore

LIMIT_MAX = 1000
TEXT_MAX = 1000


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
        for param in ("network", "owner", "starting_after"):
            check_text(getattr(asked, param) or "", TEXT_MAX, param)
        first, last = asked.business_date_from, asked.business_date_to
        if first is not None and last is not None and first > last:
            message = "business_date_to must not be before business_date_from."
            raise ParameterInvalid(message, param="business_date_to")
        found = await self._breaks.list(asked)
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
        return await self._reports.report(read_date("business_date", business_date))


def read_date(param: str, text: str) -> date:
    """Return a date, "2026-11-26". Raises ParameterInvalid."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:  # Python reads more forms than one
        raise ParameterInvalid(f'{param} must be a date, "2026-11-26".', param=param)
    return day


def _text(param: str, text: str) -> str:
    if not text.strip():
        raise ParameterMissing(param)
    return check_text(text, TEXT_MAX, param)
