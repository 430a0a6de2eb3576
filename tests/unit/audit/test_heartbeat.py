"""When a database's heartbeat is called silent, as it is heard behind Kafka."""

from __future__ import annotations

from datetime import timedelta

from audit_svc.domain.heartbeat import Heartbeats
from tests.fakes import FakeClock

NOTHING: tuple[set[str], set[str]] = set(), set()


def test_silence_is_told_of_within_five_seconds_and_when_it_is_over() -> None:
    clock = FakeClock()
    heard = Heartbeats(["intent", "txn"], clock.now())
    told = []

    for second in range(12):
        clock.move(1)
        heard.take("txn", clock.now(), clock.now())
        if second in {0, 1, 8, 9, 10, 11}:
            heard.take("intent", clock.now(), clock.now())
        told.append(heard.turned(clock.now()))

    silent_from, heard_again = told.index(({"intent"}, set())), told.index((set(), {"intent"}))
    assert (silent_from, heard_again) == (6, 8)  # the last before it was at 1
    assert [each for each in told if each != NOTHING] == [({"intent"}, set()), (set(), {"intent"})]


def test_its_age_is_that_of_the_newest_that_has_come_however_late_it_comes() -> None:
    clock = FakeClock()
    heard = Heartbeats(["intent"], clock.now())
    beaten = clock.now()

    clock.move(60)
    heard.take("intent", beaten, clock.now())
    clock.move(1)

    assert heard.ages(clock.now()) == {"intent": timedelta(seconds=61)}


def test_one_that_never_came_is_as_old_as_the_watch() -> None:
    clock = FakeClock()
    heard = Heartbeats(["intent"], clock.now())

    clock.move(5)

    assert heard.turned(clock.now()) == ({"intent"}, set())


def test_a_database_whose_clock_is_ahead_falls_silent_as_others_do() -> None:
    clock = FakeClock()
    heard = Heartbeats(["intent"], clock.now())
    heard.take("intent", clock.now() + timedelta(hours=1), clock.now())

    clock.move(5)

    assert heard.turned(clock.now()) == ({"intent"}, set())


def test_capture_that_is_slow_is_told_of_once() -> None:
    clock = FakeClock()
    heard = Heartbeats(["intent"], clock.now())
    told = []

    for behind_s in (0, 3, 5, 3, 5, 3, 3, 1):
        clock.move(10)
        heard.take("intent", clock.now() - timedelta(seconds=behind_s), clock.now())
        told.append(heard.turned(clock.now()))

    assert [each for each in told if each != NOTHING] == [({"intent"}, set()), (set(), {"intent"})]
    assert told[-1] == (set(), {"intent"})
