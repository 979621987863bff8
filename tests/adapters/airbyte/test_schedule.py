"""Airbyte's two generations of schedules as one, with a sentence that people can read."""

import sys

import pytest

from adapters.airbyte import wire
from adapters.airbyte.convert_schedule import described, schedule
from adapters.model import Cron, Interval, Schedule, ScheduleType, TimeUnit


def item(type: str | None, data: wire.ScheduleData | None = None) -> wire.ListItem:
    return wire.ListItem(connection_id="x", schedule_type=type, schedule_data=data)


def read(type: str | None, data: wire.ScheduleData | None = None, legacy: wire.Interval | None = None) -> wire.Read:
    return wire.Read(connection_id="x", schedule_type=type, schedule_data=data, schedule=legacy)


def every(units: int | None, unit: str | None) -> wire.ScheduleData:
    return wire.ScheduleData(basic_schedule=wire.Interval(units=units, time_unit=unit))


def cron(expression: str | None, zone: str | None = None) -> wire.ScheduleData:
    return wire.ScheduleData(cron=wire.Cron(cron_expression=expression, cron_time_zone=zone))


BY_HAND = Schedule(type=ScheduleType.MANUAL, human_text="Only when started by hand")


def test_manual_is_by_hand():
    assert schedule(item("manual")) == BY_HAND
    assert schedule(read("manual", legacy=wire.Interval(units=6, time_unit="hours"))) == BY_HAND


@pytest.mark.parametrize(
    ("units", "unit", "expected", "text"),
    [
        (24, "hours", TimeUnit.HOURS, "Every 24 hours"),
        (1, "hours", TimeUnit.HOURS, "Every hour"),
        (15, "minutes", TimeUnit.MINUTES, "Every 15 minutes"),
        (1, "days", TimeUnit.DAYS, "Every day"),
        (2, "weeks", TimeUnit.WEEKS, "Every 2 weeks"),
        (3, "months", TimeUnit.MONTHS, "Every 3 months"),
        (2, "fortnights", TimeUnit.UNKNOWN, "Every 2 fortnights"),
        (2**63 - 1, "hours", TimeUnit.HOURS, "Every 9223372036854775807 hours"),
    ],
)
def test_an_interval_has_its_number_and_unit(units: int, unit: str, expected: TimeUnit, text: str):
    interval = Interval(units=units, time_unit=expected)
    assert schedule(item("basic", every(units, unit))) == Schedule(
        type=ScheduleType.BASIC, every=interval, human_text=text
    )


@pytest.mark.parametrize("data", [None, wire.ScheduleData(), every(None, "hours")])
def test_an_interval_without_a_number_is_said_to_be_missing(data: wire.ScheduleData | None):
    assert schedule(item("basic", data)) == Schedule(
        type=ScheduleType.BASIC, human_text="At an interval that is not given"
    )


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("0 0 */6 * * ?", "Every 6 hours"),
        ("0 30 2 ? * 2-6", "At 02:30, Monday through Friday"),
        ("0 0 9 ? * MON-FRI", "At 09:00, Monday through Friday"),
        ("0 15 10 ? * 6L", "At 10:15, on the last Friday of the month"),
        ("0 0 12 1 * ? 2027", "At 12:00, on day 1 of the month, only in 2027"),
    ],
)
def test_a_quartz_expression_reads_as_english(expression: str, text: str):
    assert schedule(item("cron", cron(expression, "Europe/Berlin"))) == Schedule(
        type=ScheduleType.CRON,
        cron=Cron(expression=expression, time_zone="Europe/Berlin"),
        human_text=f"{text} (Europe/Berlin)",
    )


@pytest.mark.parametrize("expression", ["nonsense", "", "99 99 99 99 99 99", "* * * * * * * * *", "0 0 0 ? * 9#9", "é"])
def test_an_expression_that_cannot_be_read_is_shown_as_it_is(expression: str):
    assert isinstance(described(expression), str)
    got = schedule(item("cron", cron(expression)))
    assert got is not None
    assert got.cron == Cron(expression=expression)


def test_a_cron_schedule_without_its_data_is_still_one():
    got = schedule(item("cron"))
    assert got is not None
    assert (got.type, got.cron) == (ScheduleType.CRON, Cron(expression=""))


def test_a_type_nobody_knows_is_named():
    assert schedule(item("lunar")) == Schedule(
        type=ScheduleType.UNKNOWN, human_text="By a schedule of an unknown kind: lunar"
    )


@pytest.mark.parametrize("data", [None, wire.ScheduleData()])
def test_a_list_that_says_nothing_leaves_it_open(data: wire.ScheduleData | None):
    assert schedule(item(None, data)).type is ScheduleType.UNKNOWN


@pytest.mark.parametrize("type", [None, ""])
@pytest.mark.parametrize("data", [every(2, "hours"), cron("0 0 */6 * * ?", "UTC")])
def test_data_without_a_type_tells_it(type: str | None, data: wire.ScheduleData):
    told = "basic" if data.basic_schedule else "cron"
    other = wire.Interval(units=1, time_unit="days")
    assert schedule(item(type, data)) == schedule(item(told, data))
    assert schedule(read(type, data, legacy=other)) == schedule(read(told, data))


def test_the_old_form_counts_where_the_new_one_is_absent_and_null_is_manual():
    assert schedule(read(None, legacy=wire.Interval(units=6, time_unit="hours"))) == Schedule(
        type=ScheduleType.BASIC, every=Interval(units=6, time_unit=TimeUnit.HOURS), human_text="Every 6 hours"
    )
    assert (
        schedule(read(None, wire.ScheduleData(), wire.Interval(units=6, time_unit="hours"))).type is ScheduleType.BASIC
    )
    assert schedule(read(None)) == schedule(read(None, wire.ScheduleData())) == BY_HAND


def test_the_new_form_wins_over_the_old_one():
    got = schedule(read("cron", cron("0 0 */6 * * ?", "UTC"), legacy=wire.Interval(units=1, time_unit="days")))
    assert got is not None
    assert (got.type, got.every) == (ScheduleType.CRON, None)


def test_the_old_form_fills_in_for_an_interval_without_data():
    got = schedule(read("basic", None, legacy=wire.Interval(units=1, time_unit="days")))
    assert got is not None
    assert got.every == Interval(units=1, time_unit=TimeUnit.DAYS)


def test_rows_share_their_schedule_in_memory():
    assert schedule(item("basic", every(7, "weeks"))) is schedule(item("basic", every(7, "weeks")))
    assert schedule(item("cron", cron("0 7 * * * ?"))) is schedule(item("cron", cron("0 7 * * * ?")))


def test_what_is_far_too_long_for_a_schedule_is_shown_and_not_kept_in_memory():
    word, expression = "w" * 1000, "0 0 " * 250
    unread = sys.getrefcount(word), sys.getrefcount(expression)
    for data in (every(2, word), cron(expression)):
        shown = schedule(item("basic" if data.basic_schedule else "cron", data))
        assert shown is not None
        assert shown.human_text
    del data, shown
    assert (sys.getrefcount(word), sys.getrefcount(expression)) == unread
