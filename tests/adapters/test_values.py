"""The spellings of the upstreams become plain values; what cannot be read is None and never an exception."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.values import epoch_ms, epoch_s, instant, text

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(("value", "read"), [(None, None), ("", None), ("a", "a"), (" ", " "), ("0", "0")])
def test_the_empty_text_is_no_text(value: str | None, read: str | None):
    assert text(value) == read


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T12:00:00Z",
        "2026-01-02T12:00:00.000Z",
        "2026-01-02T12:00:00",
        "2026-01-02 12:00:00",
        "2026-01-02T14:00:00+02:00",
        "2026-01-02T07:00:00-0500",
        "2026-01-02T12:00:00.000000000Z",
    ],
)
def test_every_spelling_of_a_moment_is_that_moment_in_utc(value: str):
    read = instant(value)
    assert read == NOON
    assert read is not None
    assert read.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "1767355200",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "2026-01-02T12:00:00+99:00",
    ],
)
def test_what_is_no_moment_is_none(value: str | None):
    assert instant(value) is None


@given(st.text(st.characters(exclude_categories=[])) | st.datetimes(timezones=st.timezones()).map(str))
def test_any_text_is_a_moment_in_utc_or_none(value: str):
    read = instant(value)
    assert read is None or read.utcoffset() == dt.timedelta(0)


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_a_moment_that_was_written_is_read_back(moment: dt.datetime):
    assert instant(moment.isoformat()) == moment


def test_epochs_are_moments():
    assert epoch_s(NOON.timestamp()) == NOON
    assert epoch_ms(NOON.timestamp() * 1000) == NOON
    assert epoch_s(0) == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert epoch_s(-62_135_596_800) == dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    assert epoch_s(253_402_300_799) == dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 2**63, 253_402_300_800_000, 10**400, -(10**400)],
)
def test_an_epoch_no_calendar_holds_is_none(value: float | None):
    assert epoch_s(value) is None
    assert epoch_ms(value) is None


@given(st.floats() | st.integers())
def test_any_number_is_a_moment_in_utc_or_none(value: float):
    for read in (epoch_s(value), epoch_ms(value)):
        assert read is None or read.utcoffset() == dt.timedelta(0)
