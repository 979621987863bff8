"""When a Quartz cron expression fires: seconds first, days counted from Sunday = 1, an optional year last.

cronsim does the searching, over wall-clock times; here its dialect is spoken, and the clock's changes are Quartz's
(``org.quartz.CronExpression``): what the clock skips in spring does not fire, what it repeats in autumn fires once, the
second time. What cannot be read for certain is ``None``, never a guess and never an exception:

- both days given, neither of them ``?`` or ``*``; Quartz refuses that too;
- ``#`` or ``L`` in a list of days of the week, ``W`` or ``L-3`` in a list of days of the month;
- ``29W`` to ``31W`` and ``L-28`` to ``L-30``, which not every month has;
- names with a step, ``MON-FRI/2``, whose step Quartz drops silently;
- years before 1970 or after 2099, five fields, and macros such as ``@daily``.
"""

import calendar
import datetime as dt
import functools
import re
import zoneinfo
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cronsim import CronSim, CronSimError

MAX_MISSES = 200
"""Wall-clock times that match and do not fit, in a search. Each year that is none of the pattern's takes one, of which
there are up to 130, and so do a day and a change of the clock. What takes more is what the clock always skips: it would
be looked for through thousands of years."""
MAX_HOPS = 8
"""Remembered fires that a search passes, from the hour's first, before it searches for itself."""
TERM = re.compile(r"(?:\*|(?P<low>[A-Z]{3}|\d{1,4})(?:-(?P<high>[A-Z]{3}|\d{1,4}))?)?(?:/(?P<step>\d{1,4}))?", re.ASCII)
NEAR = re.compile(r"(?P<day>\d{1,2})W|L-(?P<before>\d{1,2})(?P<weekday>W?)", re.ASCII)
NTH = re.compile(r"(?P<day>[A-Z]{3}|\d)(?P<which>L|#[1-5])", re.ASCII)
STEPPED_NAMES = re.compile(r"([A-Z]{3}(?:-[A-Z]{3})?)/\d{1,4}", re.ASCII)
OPEN = ("*", "?")


class Field(NamedTuple):
    """What may stand in a field; names count from 1."""

    low: int
    high: int
    names: Sequence[str] = ()


SECOND, MINUTE, HOUR, DAY = Field(0, 59), Field(0, 59), Field(0, 23), Field(1, 31)
MONTH = Field(1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
WEEKDAY = Field(1, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
YEAR = Field(1970, 2099)
SHORTEST = 6  # fields: without the year


class Near(NamedTuple):
    """A day of the month that cronsim has no word for: ``15W``, ``L-3``, ``L-3W``."""

    day: int  # from 1; counted back from the last, which is 0, where it is not positive
    on_weekday: bool

    def of(self, year: int, month: int) -> int:
        """Which day that is in a month. The nearest weekday never leaves the month."""
        last = calendar.monthrange(year, month)[1]
        day = self.day if self.day > 0 else last + self.day
        match calendar.weekday(year, month, day) if self.on_weekday else calendar.MONDAY:
            case calendar.SATURDAY:
                return day - 1 if day > 1 else day + 2
            case calendar.SUNDAY:
                return day + 1 if day < last else day - 2
            case _:
                return day

    def candidates(self) -> range:
        """Every day that it can be."""
        first, last = (self.day, self.day) if self.day > 0 else (28 + self.day, 31 + self.day)
        return range(max(first - 2, 1), min(last + 2, 31) + 1) if self.on_weekday else range(first, last + 1)


class Pattern(NamedTuple):
    """An expression as cronsim reads it, and beside it what only we read. No years are all years."""

    fields: str
    near: Near | None
    years: frozenset[int]

    def edge(self, wall: dt.datetime, zone: dt.tzinfo, *, back: bool) -> dt.datetime | None:
        """None for a time that fits; else the end of the year, day or leap that does not, to search on from there."""
        if self.years and wall.year not in self.years:
            return _edge(wall, 1, back=back)
        if self.near and wall.day != self.near.of(wall.year, wall.month):
            return _edge(wall, 3, back=back)
        if _skipped(wall, zone):
            return _leapt(wall, zone, back=back)
        return None


def is_allowed(expression: str) -> bool:
    """Whether Quartz may take the expression, which is more than can be read here. What it refuses for certain is
    another number of fields, a word or a number that a field does not have, and days without exactly one ?."""
    texts = expression.upper().split()
    if len(texts) not in (SHORTEST, SHORTEST + 1) or texts[3:6:2].count("?") != 1:
        return False
    fields = zip((SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR), texts, strict=False)
    return all(
        (text == "?" and field in (DAY, WEEKDAY)) or all(_may_be(term, field) for term in text.split(","))
        for field, text in fields
    )


def _may_be(term: str, field: Field) -> bool:
    """Whether a term may stand in a field, alone or in a list."""
    if (field is DAY and term in ("L", "LW")) or (field is WEEKDAY and term == "L"):
        return True
    if field is DAY and (near := NEAR.fullmatch(term)):
        return 1 <= int(near["day"] or 1) <= DAY.high and int(near["before"] or 0) < DAY.high
    found = (NTH.fullmatch(term) if field is WEEKDAY else None) or STEPPED_NAMES.fullmatch(term)
    try:
        _term(found[1] if found else term, field)
    except ValueError:
        return False
    return True


def is_zone(time_zone: str) -> bool:
    """Whether there is a time zone of this name."""
    return bool(time_zone) and _zone(time_zone) is not None


def next_fire(expression: str, time_zone: str | None, after: dt.datetime) -> dt.datetime | None:
    """The first time after ``after`` at which the expression fires, in UTC. No time zone is UTC.

    None where the expression or the zone cannot be read, or it does not fire again: cronsim gives up after fifty years.
    Memoised by fires rather than by ``after``: runs of one schedule start at many moments between the same two fires.
    """
    try:
        after = after.astimezone(dt.UTC)
        fire = after.replace(minute=0, second=0, microsecond=0) - dt.timedelta(microseconds=1)
        for _ in range(MAX_HOPS):
            fire = _neighbour(expression, time_zone, fire)
            if fire is None or fire > after:
                return fire
        return _neighbour(expression, time_zone, after)
    except OverflowError:  # beyond the years that a datetime has, on the way to UTC or to the start of the hour
        return None


def interval_s(expression: str, time_zone: str | None, around: dt.datetime) -> float | None:
    """Seconds from the last fire at or before ``around`` to the first after it; None where there is no such pair."""
    following = next_fire(expression, time_zone, around)
    last = None if following is None else _neighbour(expression, time_zone, following, back=True)
    return None if following is None or last is None else (following - last).total_seconds()


@functools.lru_cache(maxsize=65_536)
def _neighbour(
    expression: str, time_zone: str | None, moment: dt.datetime, *, back: bool = False
) -> dt.datetime | None:
    """The fire next to a moment, after it or before it."""
    pattern, zone = _pattern(expression), _zone(time_zone)
    if pattern is None or zone is None:
        return None
    fires = _fires(pattern, zone, moment, back=back)
    try:
        return next((fire for fire in fires if (fire < moment if back else fire > moment)), None)
    except OverflowError:  # likewise, on the way through the calendar
        return None


def _fires(pattern: Pattern, zone: dt.tzinfo, start: dt.datetime, *, back: bool = False) -> Iterator[dt.datetime]:
    """Fires in UTC around and after ``start``, or before it.

    The search starts on the clock as it shows ``start`` after a change: hours that come again fire when they do.
    """
    local = start.astimezone(zone).replace(fold=1)
    wall = start.replace(tzinfo=None) + (local.utcoffset() or dt.timedelta())
    for found in _walls(pattern, zone, wall, back=back):
        yield found.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)


def _walls(pattern: Pattern, zone: dt.tzinfo, start: dt.datetime, *, back: bool) -> Iterator[dt.datetime]:
    """Wall-clock times that match and exist, away from ``start``."""
    first_year, last_year = min(pattern.years, default=dt.MINYEAR), max(pattern.years, default=dt.MAXYEAR)
    found = CronSim(pattern.fields, start, reverse=back)
    misses = 0
    while misses < MAX_MISSES:
        wall = next(found, None)
        if wall is None or (wall.year < first_year if back else wall.year > last_year):
            return
        edge = pattern.edge(wall, zone, back=back)
        if edge is None:
            yield wall
        else:
            misses += 1
            found = CronSim(pattern.fields, edge, reverse=back)


def _edge(wall: dt.datetime, parts: int, *, back: bool) -> dt.datetime:
    """The first or last second of the wall clock's year or day: whatever its first ``parts`` parts name."""
    ends = (1, 1, 0, 0, 0) if back else (12, 31, 23, 59, 59)
    year, month, day, hour, minute, second = (*wall.timetuple()[:parts], *ends[parts - 1 :])
    return dt.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  a wall clock's


def _skipped(wall: dt.datetime, zone: dt.tzinfo) -> bool:
    """Whether the clock leaps over a time."""
    return _shown_as(wall, zone) != wall


def _shown_as(wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """A time as the clock shows it: one that it leaps over is later by all that it leaps over."""
    return wall.replace(tzinfo=zone).astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None)


def _leapt(wall: dt.datetime, zone: dt.tzinfo, *, back: bool) -> dt.datetime:
    """The last second, or the first, of those that the clock leaps over together with this one."""
    second = dt.timedelta(seconds=-1 if back else 1)
    all_of_them = range((_shown_as(wall, zone) - wall) // dt.timedelta(seconds=1))
    others = bisect_left(all_of_them, True, key=lambda count: not _skipped(wall + count * second, zone))
    return wall + (others - 1) * second


@functools.lru_cache(maxsize=1024)
def _zone(name: str | None) -> dt.tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(name or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # unknown; not a name; a folder of zones
        return None


@functools.lru_cache(maxsize=4096)
def _pattern(expression: str) -> Pattern | None:
    """An expression in cronsim's dialect; None for what cannot be read, or not be said in it."""
    try:
        given = expression.upper().split()
        second, minute, hour, day, month, weekday, year = given if len(given) > SHORTEST else (*given, "*")
        _exactly_one_open(day, weekday)
        near = _near(day)
        times = (_spelled(text, field) for text, field in ((second, SECOND), (minute, MINUTE), (hour, HOUR)))
        days = _listed(near.candidates()) if near else _days(day)
        fields = " ".join((*times, days, _spelled(month, MONTH), _weekdays(weekday)))
        CronSim(fields, dt.datetime(2000, 1, 1))  # noqa: DTZ001  it is only read, where it would raise
        return Pattern(fields, near, frozenset() if year == "*" else _values(year, YEAR))
    except (ValueError, CronSimError):
        return None


def _exactly_one_open(day: str, weekday: str) -> None:
    """ValueError unless one day is left open: by ``?``, or by ``*``, which Quartz refuses but which means only that."""
    if (day == weekday == "?") or (day not in OPEN and weekday not in OPEN):
        raise ValueError


def _near(day: str) -> Near | None:
    found = NEAR.fullmatch(day)
    if found is None:
        return None
    near = Near(int(found["day"]), True) if found["day"] else Near(-int(found["before"]), bool(found["weekday"]))
    if (found["day"] and near.day == 0) or not -28 < near.day <= 28:  # noqa: PLR2004  days that some months do not have
        raise ValueError
    return near


def _days(text: str) -> str:
    """The day of the month; ``L`` and ``LW`` are cronsim's words too."""
    if text in OPEN:
        return "*"
    return ",".join(term if term in ("L", "LW") else _spelled(term, DAY) for term in text.split(","))


def _weekdays(text: str) -> str:
    """The day of the week, which cronsim counts from Sunday = 0. A lone ``L`` is Saturday."""
    if text in OPEN:
        return "*"
    found = NTH.fullmatch("7" if text == "L" else text)
    if found:
        return f"{_number(found['day'], WEEKDAY) - 1}{found['which']}"
    return _listed(sorted(value - 1 for value in _values("7" if text == "L" else text, WEEKDAY)))


def _spelled(text: str, field: Field) -> str:
    """A field as a list of its values, or ``*`` for all."""
    values = _values(text, field)
    return "*" if len(values) == field.high - field.low + 1 else _listed(sorted(values))


def _listed(values: Iterable[int]) -> str:
    return ",".join(map(str, values))


def _values(text: str, field: Field) -> frozenset[int]:
    """Every value that a list names. Raises ValueError for what is not one."""
    return frozenset(value for term in text.split(",") for value in _term(term, field))


def _term(text: str, field: Field) -> Iterator[int]:
    """The values of ``*``, ``5``, ``5-9``, each with a step or without. A range that ends before it starts wraps."""
    found = TERM.fullmatch(text)
    if found is None or not text:
        raise ValueError
    low, high, step = found["low"], found["high"], found["step"]
    if step and ((low and low.isalpha()) or not 1 <= int(step) <= field.high):
        raise ValueError
    if low and high and (low.isalpha() != high.isalpha()):
        raise ValueError
    start = _number(low, field) if low else field.low
    end = _number(high, field) if high else field.high if step or not low else start
    size = field.high - field.low + 1
    if end < start:
        if field is YEAR:
            raise ValueError
        end += size
    return ((value - field.low) % size + field.low for value in range(start, end + 1, int(step or 1)))


def _number(text: str, field: Field) -> int:
    number = field.names.index(text) + 1 if text in field.names else int(text)
    if not field.low <= number <= field.high:
        raise ValueError
    return number
