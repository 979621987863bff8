"""Moments as numbers that sort and compare fast."""

import datetime as dt

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def microseconds(moment: dt.datetime | None) -> int | None:
    """Microseconds since 1970, exactly; negative before it."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND
