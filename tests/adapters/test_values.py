"""The spellings of the upstreams become plain values; what cannot be read is None and never an exception."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.values import epoch_ms, epoch_s, evidence, instant, text

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
        "2026-01-02t12:00:00z",
        "2026-01-02T12:00:00z",
        "2026-01-02t12:00:00.000z",
        "2026-01-02t14:00:00+02:00",
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
        "2026-01-02T12:00:60Z",
        "2026-01-02T23:59:61Z",
        "2026-01-02T23:59:60+02:00",
        "9999-12-31T23:59:60Z",
        "2026-02-30t00:00:00z",
        "2026-01-02T12:00:00zz",
    ],
)
def test_what_is_no_moment_is_none(value: str | None):
    assert instant(value) is None


@pytest.mark.parametrize(
    ("value", "microsecond"),
    [
        ("2016-12-31T23:59:60Z", 0),
        ("2016-12-31T23:59:60.25Z", 250_000),
        ("2016-12-31t23:59:60z", 0),
        ("2017-01-01T00:59:60+01:00", 0),
        ("2016-12-31T15:59:60-08:00", 0),
    ],
)
def test_a_leap_second_is_told_as_the_second_after_it(value: str, microsecond: int):
    assert instant(value) == dt.datetime(2017, 1, 1, 0, 0, 0, microsecond, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("a", "b"), "a, b"),
        (("a", None), "a, null"),
        ((None, "b"), "null, b"),
        (("a", ""), "a, "),
        ((None, None), None),
        (("", None), None),
    ],
)
def test_evidence_of_several_fields_tells_what_was_not_sent_as_the_graph_does(
    values: tuple[str | None, ...], told: str | None
):
    assert evidence(*values) == told


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
