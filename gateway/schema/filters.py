"""What a list can be asked for: filter and order, and the way from what clients send to what the gateway works with."""

import enum
from typing import Any, cast

import msgspec
import strawberry

from adapters import ids
from adapters.port import Conditions, Filter, Order, OrderField
from gateway import filters, orders
from gateway.errors import bad_input
from gateway.instances import Instances
from gateway.orders import OrderBy
from gateway.schema.fields import given
from gateway.schema.providers import Provider
from gateway.schema.records import input_type, word

MOST_IDS = 100
MOST_VALUES = 1000
"""Values in one list of a filter."""
DEEPEST = 4
"""How deep `not` may stand in `not`."""

_Conditions: Any = input_type(Conditions)


@strawberry.input(
    description=(
        "What connections are to be like. Conditions are joined by AND, the values of one by OR. A list without values "
        "is met by nothing. What an upstream does not tell meets no condition but `not`. "
        f"A list has {MOST_VALUES} values at the most, a value {filters.LONGEST_VALUE} characters, and `text` "
        f"{filters.LONGEST_TEXT}."
    )
)
class ConnectionFilter(_Conditions):
    provider: list[Provider] | None = strawberry.field(
        description="Of one of these providers.", default=strawberry.UNSET
    )
    ids: list[strawberry.ID] | None = strawberry.field(
        description=f"With one of these ids, {MOST_IDS} at the most.", default=strawberry.UNSET
    )
    not_: "ConnectionFilter | None" = strawberry.field(
        name="not", description="Not like this.", default=strawberry.UNSET
    )


@strawberry.enum(description="Which way to sort.")
class OrderDirection(enum.Enum):
    ASC = strawberry.enum_value("ASC", description="The least, the earliest, A first.")
    DESC = strawberry.enum_value("DESC", description="The most, the latest, Z first.")


@strawberry.input(description="A field to sort by. Connections without it come last, in either direction.")
class ConnectionOrder:
    field: OrderField = strawberry.field(
        description="What to sort by.", graphql_type=word(OrderField, "ConnectionOrderField")
    )
    direction: OrderDirection = strawberry.field(description="Which way.", default=OrderDirection.ASC)


def filter_of(sent: Any, instances: Instances) -> Filter:
    """The filter that a client sent; the one that everything meets for none. Raises BAD_USER_INPUT."""
    sent = given(sent)
    if sent is None:
        return filters.EVERYTHING
    made = sent.__dict__.get(_MADE)
    if made is None:
        made = sent.__dict__[_MADE] = filters.checked(_filter(sent, 0), instances)
    return made


_MADE = "_made"
"""Where a filter is kept with what it was made of: what stands in a document is the same object each time."""


def _filter(sent: Any, depth: int) -> Filter:
    if depth > DEEPEST:
        raise bad_input(f"filter: not may stand in not {DEEPEST} deep at the most.")
    conditions = {name: _value(name, getattr(sent, name)) for name in Conditions.__struct_fields__}
    inner = given(sent.not_)
    return Filter(
        **conditions,
        provider=_words(sent.provider),
        ids=_ids(sent.ids),
        not_=None if inner is None else _filter(inner, depth + 1),
    )


def _value(name: str, sent: Any) -> Any:
    sent = given(sent)
    if isinstance(sent, list):
        values = cast("list[Any]", sent)
        if len(values) > MOST_VALUES:
            raise bad_input(f"filter.{filters.spelled(name)}: {MOST_VALUES} values at the most.")
        return tuple(values)
    record = getattr(sent, "__record__", None)
    if record is None:
        return sent
    names = cast("type[msgspec.Struct]", record).__struct_fields__
    return record(**{name: given(getattr(sent, name)) for name in names})


def _words(sent: Any) -> tuple[str, ...] | None:
    sent = given(sent)
    if sent is not None and len(sent) > MOST_VALUES:
        raise bad_input(f"filter.provider: {MOST_VALUES} values at the most.")
    return None if sent is None else tuple(str(getattr(word, "value", word)) for word in sent)


def _ids(sent: Any) -> tuple[tuple[str, str], ...] | None:
    sent = given(sent)
    if sent is None:
        return None
    if len(sent) > MOST_IDS:
        raise bad_input(f"filter.ids: {MOST_IDS} at the most.")
    try:
        return tuple(map(ids.decode, sent))
    except ids.MalformedId:
        raise bad_input("filter.ids: one of these is not an id of this graph.") from None


def order_of(sent: Any) -> OrderBy:
    """The order that a client sent; the default one for none. Raises BAD_USER_INPUT."""
    sent = given(sent)
    if not sent:
        return orders.DEFAULT
    order_by = tuple(Order(each.field, each.direction is OrderDirection.DESC) for each in sent)
    if len({order.field for order in order_by}) < len(order_by):
        raise bad_input("orderBy: a field can be named once.")
    return order_by
