"""Scalars beyond GraphQL's own."""

import datetime as dt
import math
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, NewType, cast

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.types.scalar import ScalarDefinition

from gateway.errors import bad_input

BigInt = NewType("BigInt", int)
Json = NewType("Json", object)


_DIGITS = re.compile(r"-?[0-9]{1,40}")


def _integer(value: Any) -> int:
    """Accepts digits and whole numbers; Python's own `int` would round 1.5 and take True."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise bad_input("BigInt takes a whole number, or a text of its digits.")


def _moment(value: Any) -> dt.datetime:
    """In UTC, wherever it was told. A moment without an offset would be one of a dozen; what cannot be read is the
    client's mistake, and so is what the offset moves out of all years that can be told."""
    try:
        moment = dt.datetime.fromisoformat(value)
        if moment.utcoffset() is not None:
            return moment.astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise bad_input("DateTime takes a moment in ISO 8601 with its offset, such as 2026-05-01T12:00:00Z.")


def _same(value: Any) -> Any:
    return value


def _sent(value: Any) -> Any:
    """A number that no float holds would be sent as null, or in digits that few upstreams read. What has more digits
    than Python reads in a document comes as one that is none."""
    todo = [value]
    while todo:
        each = todo.pop()
        if (isinstance(each, float) and not math.isfinite(each)) or (isinstance(each, int) and not _holds(each)):
            raise bad_input("JSON takes no number beyond 1.8e308.")
        if isinstance(each, dict):
            todo += cast("dict[str, Any]", each).values()
        elif isinstance(each, list):
            todo += cast("list[Any]", each)
    return value


def _holds(number: int) -> bool:
    """Whether there are floats as large as that."""
    return -_LARGEST <= number <= _LARGEST


_LARGEST = int(sys.float_info.max)


SCALARS: dict[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number of any size, sent as a text of its digits: JSON numbers lose digits beyond 2^53.",
        serialize=str,
        parse_value=_integer,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value, in a form that the upstream decides.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259",
        serialize=_same,
        parse_value=_sent,
    ),
    dt.datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in ISO 8601 with its offset, which is UTC in all answers.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=dt.datetime.isoformat,
        parse_value=_moment,
    ),
}


def _is_utc(value: Any) -> bool:
    return value.__class__ is dt.datetime and value.tzinfo is dt.UTC


AS_ENCODED: Mapping[str, Callable[[Any], bool]] = {"DateTime": _is_utc}
"""By the name of a scalar, the values that orjson writes just as the scalar serializes them."""


class _Names(NameConverter):
    """Strawberry spells names anew for each argument of each request; here each is spelled once."""

    def __init__(self) -> None:
        super().__init__()
        self._spelled: dict[str, str] = {}

    def apply_naming_config(self, name: str) -> str:
        spelled = self._spelled.get(name)
        if spelled is None:
            spelled = self._spelled[name] = super().apply_naming_config(name)
        return spelled


CONFIG = StrawberryConfig(scalar_map=SCALARS, name_converter=_Names())  # pyright: ignore[reportArgumentType]
"""How Strawberry is to build the schema."""
