"""When Quartz expressions fire: by hand, and against a search that looks at every minute."""

import datetime as dt
import time
import zoneinfo
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import quartz

BERLIN = "Europe/Berlin"


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def fires(expression: str, zone: str | None, after: str, count: int) -> Sequence[str]:
    """The next fires, as the minutes of the zone's own clock."""
    found: list[str] = []
    moment = at(after)
    for _ in range(count):
        fire = quartz.next_fire(expression, zone, moment)
        if fire is None:
            break
        assert fire > moment
        assert fire.tzinfo is dt.UTC
        found.append(f"{fire.astimezone(zoneinfo.ZoneInfo(zone or 'UTC')):%Y-%m-%dT%H:%M}")
        moment = fire
    return found


# 2026-01-01 is a Thursday.
BY_HAND = [
    ("0 0 6 * * ?", ["2026-01-01T06:00", "2026-01-02T06:00"]),
    ("0 0 6 ? * *", ["2026-01-01T06:00", "2026-01-02T06:00"]),
    ("0 0 6 * * *", ["2026-01-01T06:00", "2026-01-02T06:00"]),
    ("0 0/15 * * * ?", ["2026-01-01T00:15", "2026-01-01T00:30"]),
    ("0 */25 * * * ?", ["2026-01-01T00:25", "2026-01-01T00:50", "2026-01-01T01:00"]),
    ("0 /25 * * * ?", ["2026-01-01T00:25", "2026-01-01T00:50", "2026-01-01T01:00"]),
    ("0 5/25 3 * * ?", ["2026-01-01T03:05", "2026-01-01T03:30", "2026-01-01T03:55", "2026-01-02T03:05"]),
    ("0 10,50-5/5 2 * * ?", ["2026-01-01T02:00", "2026-01-01T02:05", "2026-01-01T02:10", "2026-01-01T02:50"]),
    ("0 0 22-1 * * ?", ["2026-01-01T01:00", "2026-01-01T22:00", "2026-01-01T23:00", "2026-01-02T00:00"]),
    ("0 0 6 ? * 1", ["2026-01-04T06:00", "2026-01-11T06:00"]),
    ("0 0 6 ? * 7", ["2026-01-03T06:00", "2026-01-10T06:00"]),
    ("0 0 6 ? * L", ["2026-01-03T06:00", "2026-01-10T06:00"]),
    ("0 0 6 ? * MON-FRI", ["2026-01-01T06:00", "2026-01-02T06:00", "2026-01-05T06:00"]),
    ("0 0 6 ? * fri-mon", ["2026-01-02T06:00", "2026-01-03T06:00", "2026-01-04T06:00", "2026-01-05T06:00"]),
    ("0 0 6 ? * 6-2", ["2026-01-02T06:00", "2026-01-03T06:00", "2026-01-04T06:00", "2026-01-05T06:00"]),
    ("0 0 6 ? * */2", ["2026-01-01T06:00", "2026-01-03T06:00", "2026-01-04T06:00", "2026-01-06T06:00"]),
    ("0 0 6 ? * SUN,WED", ["2026-01-04T06:00", "2026-01-07T06:00"]),
    ("0 0 6 ? * 6L", ["2026-01-30T06:00", "2026-02-27T06:00", "2026-03-27T06:00"]),
    ("0 0 6 ? * FRIL", ["2026-01-30T06:00", "2026-02-27T06:00"]),
    ("0 0 6 ? * 2#1", ["2026-01-05T06:00", "2026-02-02T06:00", "2026-03-02T06:00"]),
    ("0 0 6 ? * FRI#5", ["2026-01-30T06:00", "2026-05-29T06:00", "2026-07-31T06:00"]),
    ("0 0 6 L * ?", ["2026-01-31T06:00", "2026-02-28T06:00", "2026-03-31T06:00", "2026-04-30T06:00"]),
    ("0 0 6 1,L * ?", ["2026-01-01T06:00", "2026-01-31T06:00", "2026-02-01T06:00", "2026-02-28T06:00"]),
    ("0 0 6 LW * ?", ["2026-01-30T06:00", "2026-02-27T06:00", "2026-03-31T06:00"]),
    ("0 0 6 L-3 * ?", ["2026-01-28T06:00", "2026-02-25T06:00", "2026-03-28T06:00", "2026-04-27T06:00"]),
    ("0 0 6 L-3W * ?", ["2026-01-28T06:00", "2026-02-25T06:00", "2026-03-27T06:00", "2026-04-27T06:00"]),
    ("0 0 6 15W * ?", ["2026-01-15T06:00", "2026-02-16T06:00", "2026-03-16T06:00", "2026-04-15T06:00"]),
    ("0 0 6 1W * ?", ["2026-01-01T06:00", "2026-02-02T06:00", "2026-03-02T06:00", "2026-04-01T06:00"]),
    ("0 0 6 1W AUG ?", ["2026-08-03T06:00", "2027-08-02T06:00"]),
    ("0 0 6 28W FEB ?", ["2026-02-27T06:00", "2027-02-26T06:00", "2028-02-28T06:00"]),
    ("0 0 6 1 NOV-FEB ?", ["2026-01-01T06:00", "2026-02-01T06:00", "2026-11-01T06:00"]),
    ("0 0 6 1 2/5 ?", ["2026-02-01T06:00", "2026-07-01T06:00", "2026-12-01T06:00", "2027-02-01T06:00"]),
    ("0 0 6 31 * ?", ["2026-01-31T06:00", "2026-03-31T06:00", "2026-05-31T06:00"]),
    ("0 0 6 30-2 * ?", ["2026-01-01T06:00", "2026-01-02T06:00", "2026-01-30T06:00", "2026-01-31T06:00"]),
    ("0 0 0 29 2 ?", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ("0 0 0 1 1 ? 2028/2", ["2028-01-01T00:00", "2030-01-01T00:00"]),
    ("0 0 0 1 1 ? 2027,2029-2030", ["2027-01-01T00:00", "2029-01-01T00:00", "2030-01-01T00:00"]),
    ("0 0 0 1 1 ? 2098", ["2098-01-01T00:00"]),
    ("0 0 0 1 1 ? *", ["2027-01-01T00:00"]),
]


@pytest.mark.parametrize(("expression", "expected"), BY_HAND)
def test_an_expression_fires_when_it_says(expression: str, expected: Sequence[str]):
    assert fires(expression, None, "2026-01-01T00:00", len(expected)) == expected


# Berlin goes from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25; Cairo from 00:00 to 01:00
# on 2026-04-24; Apia had no 2011-12-30.
CHANGES = [
    (BERLIN, "0 30 2 * * ?", "2026-03-27T12:00", ["2026-03-28T01:30", "2026-03-30T00:30"]),
    (BERLIN, "0 0 * * * ?", "2026-03-28T23:00", ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"]),
    (BERLIN, "0 0 6 * * ?", "2026-03-28T12:00", ["2026-03-29T04:00", "2026-03-30T04:00"]),
    (BERLIN, "0 30 2 * * ?", "2026-10-24T12:00", ["2026-10-25T01:30", "2026-10-26T01:30"]),
    (BERLIN, "0 30 2 * * ?", "2026-10-25T00:40", ["2026-10-25T01:30", "2026-10-26T01:30"]),
    (BERLIN, "0 0 * * * ?", "2026-10-24T22:30", ["2026-10-24T23:00", "2026-10-25T01:00", "2026-10-25T02:00"]),
    (BERLIN, "0 0 6 * * ?", "2026-10-24T12:00", ["2026-10-25T05:00", "2026-10-26T05:00"]),
    ("Africa/Cairo", "0 0 0 * * ?", "2026-04-22T12:00", ["2026-04-22T22:00", "2026-04-24T21:00"]),
    ("Africa/Cairo", "0 0 1 * * ?", "2026-04-23T12:00", ["2026-04-23T22:00", "2026-04-24T22:00"]),
    ("Pacific/Apia", "* * * * * ?", "2011-12-30T09:59:59", ["2011-12-30T10:00", "2011-12-30T10:00"]),
]


@pytest.mark.parametrize(("zone", "expression", "after", "expected"), CHANGES)
def test_what_the_clock_skips_does_not_fire_and_what_it_repeats_fires_the_second_time(
    zone: str, expression: str, after: str, expected: Sequence[str]
):
    moment, found = at(after), list[str]()
    for _ in expected:
        fire = quartz.next_fire(expression, zone, moment)
        assert fire is not None
        found.append(f"{fire:%Y-%m-%dT%H:%M}")
        moment = fire
    assert found == expected


HOUR_S, DAY_S = 3600, 86_400
INTERVALS = [
    ("0 0 6 * * ?", "2026-01-10T12:00", DAY_S),
    ("0 0 6 * * ?", "2026-01-10T05:00", DAY_S),  # at the fire itself, which is the last one then
    ("0 0 6 * * ?", "2026-03-28T12:00", 23 * HOUR_S),
    ("0 0 6 * * ?", "2026-10-24T12:00", 25 * HOUR_S),
    ("0 30 2 * * ?", "2026-03-28T12:00", 47 * HOUR_S),
    ("0 0 6 ? * MON-FRI", "2026-01-10T12:00", 3 * DAY_S),
    ("0 0 6 ? * MON-FRI", "2026-01-08T12:00", DAY_S),
    ("0 0 6 L * ?", "2026-02-10T12:00", 28 * DAY_S),
    ("0 0 6 15W * ?", "2026-02-10T12:00", 32 * DAY_S),
    ("* * * * * ?", "2026-01-10T12:00", 1),
    ("* * * * * ?", "2026-10-25T00:30", HOUR_S + 1),
    ("0 0 0 29 2 ?", "2026-01-10T12:00", 1461 * DAY_S),
    ("0 0 0 1 1 ? 2026-2027", "2026-06-01T12:00", 365 * DAY_S),
    ("0 0 0 1 1 ? 2027", "2026-06-01T12:00", None),
    ("0 0 0 1 1 ? 2027", "2027-06-01T12:00", None),
    ("nonsense", "2026-06-01T12:00", None),
]


@pytest.mark.parametrize(("expression", "around", "expected"), INTERVALS)
def test_an_interval_lies_between_the_fires_around_a_moment(expression: str, around: str, expected: float | None):
    assert quartz.interval_s(expression, BERLIN, at(around)) == expected


UNREADABLE = [
    *("", "x", "@daily", "0 6 * * *", "0 0 6 * * ? 2026 x", "0 0 6 ? * ?", "0 0 6 1 * MON", "0 0 6 1-31 * 1-7"),
    *("60 0 6 * * ?", "0 0 24 * * ?", "0 0 6 0 * ?", "0 0 6 32 * ?", "0 0 6 1 13 ?", "0 0 6 ? * 0", "0 0 6 ? * 8"),
    *("? 0 6 * * ?", "0 0 6 ? ? 1", "0 0/0 6 * * ?", "0 0/60 6 * * ?", "0 */ 6 * * ?", "0 1- 6 * * ?", "0 1, 6 * * ?"),
    *(
        "0 0 6 ? * MON-FRI/2",
        "0 0 6 1 JAN/3 ?",
        "0 0 6 ? * MON-6",
        "0 0 6 ? * MONDAY",
        "0 0 6 1 FOO ?",
        "0 0 6 MON * ?",
    ),
    *("0 0 6 ? * 2#6", "0 0 6 ? * 2#0", "0 0 6 ? * 2#1,2#3", "0 0 6 ? * 2,6L", "0 0 6 ? * 8L", "0 0 6 ? * 2,L"),
    *("0 0 6 29W * ?", "0 0 6 0W * ?", "0 0 6 00W * ?", "0 0 6 1,15W * ?", "0 0 6 L-28 * ?", "0 0 6 1,L-3 * ?"),
    *(
        "0 0 6 1 L ?",
        "0 0 L * * ?",
        "0 0 6 1 1 ? 1969",
        "0 0 6 1 1 ? 2100",
        "0 0 6 1 1 ? 2030-2028",
        "0 0 6 ? * \N{ARABIC-INDIC DIGIT TWO}",
    ),
    *("-1 0 6 * * ?", "0 0 6 5C * ?", "0 0 H * * ?", "0 0 6 * * ? ?", f"0 0 {'9' * 5000} * * ?", "0 0 6 ,* * ?"),
]


@pytest.mark.parametrize("expression", UNREADABLE)
def test_what_cannot_be_read_for_certain_is_none(expression: str):
    assert quartz.next_fire(expression, BERLIN, at("2026-01-01")) is None
    assert quartz.interval_s(expression, BERLIN, at("2026-01-01")) is None


ALLOWED = [
    *("0 0 8 29W * ?", "0 0 8 30W * ?", "0 0 8 31W * ?", "0 0 8 L-28 * ?", "0 0 8 L-30W * ?", "0 0 8 1,15W * ?"),
    *("0 0 6 ? * MON-FRI/2", "0 0 6 1 JAN/3 ?", "0 0 6 ? * 2#1,2#3", "0 0 6 ? * 2,6L", "0 0 6 1,L-3 * ?"),
    *("0 0 6 15w * ?", "0 0 6 LW * ?", "0 0 6 ? * L", "0 0 6 ? * fril", "0 0/5 * ? * MON#2 2030-2040/2", "* * * * * ?"),
]
REFUSED = [
    *(
        "",
        "x",
        "@daily",
        "0 6 * * ?",
        "0 0 6 * * ? 2026 x",
        "0 0 6 ? * ?",
        "0 0 6 1 * MON",
        "0 0 6 * * *",
        "0 0 6 1 * *",
    ),
    *("60 0 6 * * ?", "0 0 24 * * ?", "0 0 6 0 * ?", "0 0 6 32 * ?", "0 0 6 1 13 ?", "0 0 6 ? * 0", "0 0 6 ? * 8"),
    *("? 0 6 * * ?", "0 0 6 ? ? 1", "0 */ 6 * * ?", "0 1- 6 * * ?", "0 1, 6 * * ?", "0 0 6 ,* * ?", "0 0 6 1 ? ?"),
    *("0 0 6 0W * ?", "0 0 6 32W * ?", "0 0 6 L-31 * ?", "0 0 6 ? * 2#6", "0 0 6 ? * 8L", "0 0 6 ? * MONDAY"),
    *("0 0 6 ? * 15W", "0 0 6 2#1 * ?", "0 0 L * * ?", "0 0 6 1 L ?", "0 0 6 1 1 ? 1969", "0 0 6 1 1 ? 2030-2028"),
    *(f"0 0 {'9' * 5000} * * ?", "0 0 6 ? * \N{ARABIC-INDIC DIGIT TWO}", "0 0 6 * * ? ?", "0 0 6 1 FOO/2 ?"),
]


@pytest.mark.parametrize(("expressions", "expected"), [(ALLOWED, True), (REFUSED, False)])
def test_only_what_quartz_refuses_for_certain_is_not_allowed(expressions: Sequence[str], expected: bool):
    assert [expression for expression in expressions if quartz.is_allowed(expression) is not expected] == []


def test_what_is_read_with_an_open_day_is_allowed():
    open_days = [expression for expression, *_ in (*BY_HAND, *INTERVALS) if "?" in expression.split()[3:6:2]]
    assert len(open_days) > len(BY_HAND) / 2
    assert all(map(quartz.is_allowed, open_days))


@pytest.mark.parametrize("zone", ["Nowhere", "Europe", "/etc/passwd", "../UTC", "a\0b", "UTC" * 2000])
def test_an_unknown_time_zone_is_none(zone: str):
    assert quartz.next_fire("0 0 6 * * ?", zone, at("2026-01-01")) is None
    assert quartz.interval_s("0 0 6 * * ?", zone, at("2026-01-01")) is None


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 0 30 2 ?",
        "* * * 30,31 2 ?",
        "* * * 31 4,6,9,11 ?",
        "* * * 29 2 ? 2027",
        "* * * ? * * 2020",
        "0 0 0 ? 2 2#5 2027",
    ],
)
def test_what_never_fires_is_told_soon(expression: str):
    begin = time.perf_counter()
    assert quartz.next_fire(expression, BERLIN, at("2026-01-01")) is None
    assert quartz.interval_s(expression, BERLIN, at("2026-01-01")) is None
    assert time.perf_counter() - begin < 1


NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    "expression", ["0 30 2 ? 3 1#2 *", "* * 2 ? 3 1#2 *", "0 0/1 2 ? 3 SUN#2", "0 30 2 8-14 3 ? 2027-2099"]
)
def test_what_the_clock_always_skips_is_not_looked_for_without_end(expression: str, monkeypatch: pytest.MonkeyPatch):
    looks = 0

    class Counted(quartz.CronSim):
        def __next__(self) -> dt.datetime:
            nonlocal looks
            looks += 1
            return super().__next__()

    monkeypatch.setattr(quartz, "CronSim", Counted)
    quartz.next_fire(expression, NEW_YORK, at("2026-11-26T17:00"))
    assert 0 < looks <= 200


@pytest.mark.parametrize(
    ("expression", "zone", "after", "fire"),
    [
        ("59 59 23 31 12 ? 2099", "UTC", "1970-01-01", "2099-12-31T23:59:59"),
        ("* * * L-2W 2 ? 2096", "UTC", "1970-01-01", "2096-02-27T00:00"),
        ("0 0 0 15W * ? 2098", "UTC", "2026-11-26", "2098-01-15T00:00"),
        ("* * 2-3 ? 3 1#2 2099", NEW_YORK, "1970-01-01", "2099-03-08T07:00"),
        ("* * 1-3 ? 3 1L *", "Antarctica/Troll", "2026-11-26", "2027-03-28T01:00"),
        ("* * * 30 12 ? 2011-2012", "Pacific/Apia", "2011-12-01", "2012-12-29T10:00"),
        ("* * * * * ?", NEW_YORK, "2026-11-01T05:58:59", "2026-11-01T06:00"),
        ("* * * * * ?", NEW_YORK, "2026-11-01T05:00:01", "2026-11-01T06:00"),
        ("0 30 2 14 3 ? *", NEW_YORK, "2026-11-26", "2028-03-14T06:30"),
        ("0 0 0 29 2 ? *", "UTC", "2096-03-01", "2104-02-29T00:00"),
    ],
)
def test_what_fires_in_the_far_future_or_after_a_change_of_the_clock_is_found(
    expression: str, zone: str, after: str, fire: str
):
    assert quartz.next_fire(expression, zone, at(after)) == at(fire)


@pytest.mark.parametrize("moment", [dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)])
@pytest.mark.parametrize("zone", [None, "Pacific/Kiritimati", "America/Adak"])
@pytest.mark.parametrize(
    "expression", ["0 0 6 * * ?", "* * * * * ?", "0 0 0 29 2 ?", "0 0 6 15W * ?", "0 0 6 * * ? 2030"]
)
def test_the_ends_of_time_raise_nothing(expression: str, zone: str | None, moment: dt.datetime):
    quartz.interval_s(expression, zone, moment)
    fire = quartz.next_fire(expression, zone, moment)
    assert fire is None or fire > moment


@given(st.text(max_size=40), st.text(max_size=10) | st.none(), st.datetimes(timezones=st.just(dt.UTC)))
def test_no_text_raises_anything(expression: str, zone: str | None, moment: dt.datetime):
    quartz.next_fire(expression, zone, moment)
    quartz.interval_s(expression, zone, moment)


def _field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field's text, and the values that it means, counted another way than the product does."""
    number = st.integers(low, high)
    everything = range(low, high + 1)
    return st.one_of(
        st.just(("*", frozenset(everything))),
        st.frozensets(number, min_size=1, max_size=4).map(lambda some: (",".join(map(str, some)), some)),
        st.tuples(number, number).map(lambda ends: (f"{ends[0]}-{ends[1]}", frozenset(_around(everything, *ends)))),
        st.tuples(number, st.integers(1, high)).map(
            lambda told: (
                f"{told[0]}/{told[1]}",
                frozenset(v for v in everything if v >= told[0] and (v - told[0]) % told[1] == 0),
            )
        ),
    )


def _around(everything: range, start: int, end: int) -> Iterator[int]:
    """From one value to another, once around if need be."""
    value = start
    while value != end:
        yield value
        value = value + 1 if value < everything[-1] else everything[0]
    yield end


ZONES = [BERLIN, "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
NEAR_CHANGES = [
    at("2026-03-29T00:00"),
    at("2026-10-25T00:00"),
    at("2026-04-23T20:00"),
    at("2026-04-04T14:00"),
    at("2026-11-01T05:00"),
]
MOMENTS = st.tuples(st.sampled_from(NEAR_CHANGES), st.integers(-90 * HOUR_S, 30 * HOUR_S)).map(
    lambda told: told[0] + dt.timedelta(seconds=told[1])
)


class Simple(NamedTuple):
    """An expression with only one of the days, and what its fields mean."""

    expression: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    weekdays: frozenset[int]

    def fires(self, zone: str, around: dt.datetime) -> Sequence[dt.datetime]:
        """Each wall-clock minute of the fortnight around a moment that matches, as the instant at which it exists."""
        tz = zoneinfo.ZoneInfo(zone)
        found: list[dt.datetime] = []
        midnight = around.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        for day in (midnight + dt.timedelta(days=n) for n in range(-7, 8)):
            if day.day in self.days and day.isoweekday() % 7 + 1 in self.weekdays:
                walls = (day.replace(hour=hour, minute=minute) for hour in self.hours for minute in self.minutes)
                # The later instant of those that show this time; of a time leapt over, the later reading comes earlier.
                pairs = ([wall.replace(tzinfo=tz, fold=fold).astimezone(dt.UTC) for fold in (1, 0)] for wall in walls)
                found += [later for later, sooner in pairs if later >= sooner]
        return sorted(found)


@st.composite
def _simple(draw: st.DrawFn) -> Simple:
    minute, hour, day, weekday = (draw(_field(*ends)) for ends in ((0, 59), (0, 23), (1, 31), (1, 7)))
    if draw(st.booleans()):
        return Simple(f"0 {minute[0]} {hour[0]} ? * {weekday[0]}", minute[1], hour[1], _field_all(1, 31), weekday[1])
    return Simple(f"0 {minute[0]} {hour[0]} {day[0]} * ?", minute[1], hour[1], day[1], _field_all(1, 7))


def _field_all(low: int, high: int) -> frozenset[int]:
    return frozenset(range(low, high + 1))


@settings(max_examples=200, deadline=None)
@given(_simple(), st.sampled_from(ZONES), MOMENTS)
def test_simple_expressions_fire_as_a_search_of_every_minute_finds(simple: Simple, zone: str, moment: dt.datetime):
    every = simple.fires(zone, moment)
    later, earlier = [fire for fire in every if fire > moment], [fire for fire in every if fire <= moment]
    fire = quartz.next_fire(simple.expression, zone, moment)
    assert fire is not None
    assert fire == later[0] if later else fire > moment + dt.timedelta(days=5)
    if later and earlier:
        assert quartz.interval_s(simple.expression, zone, moment) == (later[0] - earlier[-1]).total_seconds()
