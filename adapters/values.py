"""From the spellings of the upstreams to plain values. What cannot be read is ``None``, never an exception."""

import datetime as dt
import re
import sys

_FIRST_EPOCH_S = -62_135_596_800.0  # the first second of the year 1, and
_LAST_EPOCH_S = 253_402_300_799.0  # the last of the year 9999: what a datetime can hold


# There are several of these in each row that is read.
_intern, _UTC, _read_iso, _since_1970 = sys.intern, dt.UTC, dt.datetime.fromisoformat, dt.datetime.fromtimestamp


def text(value: str | None) -> str | None:
    """A text, or None for the empty one: upstreams use '' and null for the same thing."""
    return value or None


def word(value: str | None) -> str | None:
    """A text that stands in row after row, such as a type or an icon: kept in memory once, however many rows have it.
    None for the empty one."""
    return _intern(value) if value else None


def instant(value: str | None) -> dt.datetime | None:
    """An ISO-8601 date-time as an aware UTC datetime; one without an offset is taken as UTC."""
    if not value:
        return None
    try:
        moment = _read_iso(value)
        zone = moment.tzinfo
        if zone is _UTC:
            return moment
        return moment.replace(tzinfo=_UTC) if zone is None else moment.astimezone(_UTC)
    except ValueError:
        return _unusual_instant(value)
    except OverflowError:
        return None


_UNUSUAL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:)(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def _unusual_instant(value: str) -> dt.datetime | None:
    """What RFC 3339 allows and Python does not read: a small z, and a leap second, which is told as the second after
    it, since a datetime has no place for it. It is the last of a day, in UTC."""
    found = _UNUSUAL.fullmatch(value)
    if found is None:
        return None
    minute, second, fraction, zone = found.groups(default="")
    is_leap = second == "60"
    try:
        moment = _read_iso(f"{minute}{'59' if is_leap else second}{fraction}{zone.upper()}").astimezone(_UTC)
        if not is_leap:
            return moment
        return moment + dt.timedelta(seconds=1) if (moment.hour, moment.minute) == (23, 59) else None
    except (ValueError, OverflowError):
        return None


def evidence(*values: str | None) -> str | None:
    """What several fields held, in their order, null for one that was not sent; None where none held anything."""
    return ", ".join("null" if value is None else value for value in values) if any(values) else None


def epoch_s(value: float | None) -> dt.datetime | None:
    """Seconds since 1970 as an aware UTC datetime; None where a datetime cannot hold it."""
    if value is None or not _FIRST_EPOCH_S <= value <= _LAST_EPOCH_S:
        return None
    return _since_1970(value, _UTC)


def epoch_ms(value: float | None) -> dt.datetime | None:
    """Milliseconds since 1970 as an aware UTC datetime; None where a datetime cannot hold it."""
    try:
        return None if value is None else epoch_s(value / 1000)
    except OverflowError:  # an integer that no float holds
        return None
