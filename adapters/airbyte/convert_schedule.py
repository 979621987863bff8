"""From Airbyte's two generations of schedules to the unified one, with a sentence that people can read."""

import functools
from collections.abc import Mapping

import cron_descriptor  # pyright: ignore[reportMissingTypeStubs]  its sources are annotated, it only lacks the marker

from adapters.airbyte import wire
from adapters.model import Cron, Interval, Schedule, ScheduleType, TimeUnit
from adapters.values import text

TIME_UNITS: Mapping[str, TimeUnit] = {unit.value.lower(): unit for unit in TimeUnit}


MANUAL = Schedule(type=ScheduleType.MANUAL, human_text="Only when started by hand")
UNTOLD = Schedule(type=ScheduleType.UNKNOWN, human_text="By a schedule that lists do not tell, if there is one")


def schedule(row: wire.ListItem) -> Schedule:
    """The schedule by type and data, or by data that came without its type; where there is neither, by the legacy form.
    That is in full records alone, in which null is manual: a list leaves it open."""
    legacy = row.schedule if isinstance(row, wire.Brief) else None
    data = row.schedule_data or _NO_DATA
    match row.schedule_type or _type_of(data):
        case "manual":
            return MANUAL
        case "basic":
            return _basic(data.basic_schedule or legacy or wire.Interval())
        case "cron":
            return _cron(data.cron or wire.Cron())
        case None if legacy is not None:
            return _basic(legacy)
        case None:
            return MANUAL if isinstance(row, wire.Brief) else UNTOLD
        case word:
            return Schedule(type=ScheduleType.UNKNOWN, human_text=f"By a schedule of an unknown kind: {word}")


_NO_DATA = wire.ScheduleData()


def _type_of(data: wire.ScheduleData) -> str | None:
    if data.cron is not None:
        return "cron"
    return "basic" if data.basic_schedule is not None else None


def interval(given: wire.Interval) -> Interval | None:
    """An interval; None where its number is missing."""
    if given.units is None:
        return None
    return Interval(units=given.units, time_unit=TIME_UNITS.get(given.time_unit or "", TimeUnit.UNKNOWN))


def _basic(given: wire.Interval) -> Schedule:
    make = _basic_of if len(given.time_unit or "") <= _USUAL else _basic_of.__wrapped__
    return make(given.units, given.time_unit)


_USUAL = 256
"""Rows share their schedules, which are kept. A longer text is no schedule of anybody's, and could be of any length."""


@functools.lru_cache(maxsize=4096)
def _basic_of(units: int | None, time_unit: str | None) -> Schedule:
    every = interval(wire.Interval(units, time_unit))
    word = (time_unit or "units").removesuffix("s")
    if every is None:
        return Schedule(type=ScheduleType.BASIC, human_text="At an interval that is not given")
    human_text = f"Every {word}" if every.units == 1 else f"Every {every.units} {word}s"
    return Schedule(type=ScheduleType.BASIC, every=every, human_text=human_text)


def _cron(given: wire.Cron) -> Schedule:
    expression, zone = given.cron_expression or "", text(given.cron_time_zone)
    make = _cron_of if len(expression) + len(zone or "") <= _USUAL else _cron_of.__wrapped__
    return make(expression, zone)


@functools.lru_cache(maxsize=4096)
def _cron_of(expression: str, zone: str | None) -> Schedule:
    human_text = described(expression) + (f" ({zone})" if zone else "")
    return Schedule(type=ScheduleType.CRON, cron=Cron(expression=expression, time_zone=zone), human_text=human_text)


def described(expression: str) -> str:
    """A Quartz expression in English, or as it is where it cannot be read."""
    options = cron_descriptor.Options()
    options.use_24hour_time_format = True
    options.day_of_week_start_index_zero = False  # Quartz counts the days from Sunday = 1
    try:
        return cron_descriptor.get_description(expression, options)
    except Exception:  # noqa: BLE001  the library raises whatever an odd expression runs into; none may cost a row
        return f"By the cron expression {expression!r}"
