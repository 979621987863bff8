"""Scalars of our own, as variables bring them."""

import datetime as dt
import math
from typing import Any

import pytest
from graphql import GraphQLError

from gateway.schema.scalars import SCALARS, BigInt, Json

BIG_INT: Any = SCALARS[BigInt]
MOMENT: Any = SCALARS[dt.datetime]
JSON: Any = SCALARS[Json]


@pytest.mark.parametrize(
    ("sent", "meant"), [(0, 0), (-7, -7), ("12", 12), ("-12", -12), (2**80, 2**80), (str(2**80), 2**80)]
)
def test_a_big_int_is_a_whole_number_or_a_text_of_its_digits(sent: object, meant: int):
    assert BIG_INT.parse_value(sent) == meant


@pytest.mark.parametrize("sent", [1.5, True, None, "", "-", "--1", "1.0", "1e3", "٣", "0x10", " 1", [], "9" * 41])
def test_anything_else_is_none(sent: object):
    with pytest.raises(GraphQLError, match="BigInt"):
        BIG_INT.parse_value(sent)


def test_it_leaves_as_a_text():
    assert BIG_INT.serialize(2**63) == "9223372036854775808"


@pytest.mark.parametrize(
    "sent", ["2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00.000+00:00", "20260501T120000Z"]
)
def test_a_moment_is_one_wherever_it_is_told(sent: str):
    moment = MOMENT.parse_value(sent)
    assert moment == dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
    assert moment.tzinfo is dt.UTC


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "now",
        "2026-05-01",
        "2026-05-01T12:00:00",
        "2026-13-01T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-00:01",
        7,
        None,
    ],
)
def test_what_is_no_moment_or_one_of_many_is_refused(sent: object):
    with pytest.raises(GraphQLError, match="DateTime") as refused:
        MOMENT.parse_value(sent)
    assert refused.value.extensions == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    "sent", [math.inf, -math.inf, [1, {"a": math.inf}], {"a": [[math.nan]]}, 10**309, {"a": [-(10**4000)]}]
)
def test_a_number_that_no_float_holds_is_refused_and_not_sent_as_null(sent: object):
    with pytest.raises(GraphQLError, match="JSON takes no number") as refused:
        JSON.parse_value(sent)
    assert refused.value.extensions == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize("sent", [{"a": [1.5, None, True]}, 10**38, -(10**308), [], {}, None, "text"])
def test_any_other_json_is_taken_as_it_is(sent: object):
    assert JSON.parse_value(sent) is sent
