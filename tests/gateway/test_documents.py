"""Documents are read once and kept, but for long ones, of which nothing is held."""

import gc
from functools import partial

import pytest
from graphql import Source, get_introspection_query

from adapters.walk import BOUNDLESS
from gateway import app
from gateway.context import Context
from gateway.execution.documents import KEPT, LONGEST, Documents, Unfit
from gateway.execution.engine import Engine
from gateway.inventory import Ages, Inventory
from gateway.ledger import Ledger
from gateway.protection.body import Operation
from gateway.protection.limits import Limits
from gateway.writes import Writes

SCHEMA = app.schema()
LIMITS = Limits()
INTROSPECTION = get_introspection_query(
    specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
)
ASKED = '{ connections(filter: { text: "orders" }) { nodes { name source { type } } } }'


def documents() -> Documents:
    return Documents(SCHEMA._schema, LIMITS)  # pyright: ignore[reportPrivateUsage]


def of_length(length: int, text: str = ASKED) -> str:
    return text + " " * (length - len(text) - 2) + "#\U0001f680"


def held(text: str) -> int:
    """How many copies of what was parsed of a text are in memory."""
    gc.collect()
    return sum(isinstance(each, Source) and each.body == text for each in gc.get_objects())


@pytest.mark.parametrize("text", [ASKED, of_length(LONGEST), INTROSPECTION])
def test_a_document_is_read_once(text: str):
    kept = documents()
    assert kept.get(text, None, None) is kept.get(text, None, None)
    assert held(text) == 1


def test_a_long_document_is_read_each_time_and_not_held():
    kept, text = documents(), of_length(LONGEST + 1)
    first = kept.get(text, None, None)
    assert kept.get(text, None, None).measured == first.measured
    assert kept.get(text, None, None) is not first
    del first
    assert held(text) == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [(of_length(LONGEST + 1, "{"), None), (of_length(LONGEST + 1, "{ nobody }"), None), (ASKED, "x" * LONGEST)],
)
def test_nor_are_reasons_why_one_cannot_be_executed(text: str, name: str | None):
    kept = documents()
    for _ in range(2):
        with pytest.raises(Unfit) as caught:
            kept.get(text, name, None)
        assert caught.value.reasons
    del caught
    assert kept._kept == {}  # pyright: ignore[reportPrivateUsage]


def test_no_more_documents_are_kept_than_there_is_room_for():
    kept = documents()
    for number in range(KEPT + 10):
        kept.get(f"{{ _{number}: __typename }}", None, None)
    assert len(kept._kept) == KEPT  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(("length", "copies"), [(LONGEST, 1), (LONGEST + 1, 0)])
async def test_nothing_that_was_executed_of_a_long_document_is_held(length: int, copies: int):
    inventory = Inventory(Ages(max_age=0, max_stale=0, walk_timeout=5), BOUNDLESS)
    context = partial(Context, {}, inventory, Writes(inventory, Ledger(None, 60)), max_first=LIMITS.first)
    engine = Engine(SCHEMA, LIMITS, context)
    text = of_length(length)
    for _ in range(4):  # by the engine, and by plans
        answered = await engine.run(Operation(text))
        assert answered.data == {"connections": {"nodes": []}}
    del answered
    assert held(text) == copies
