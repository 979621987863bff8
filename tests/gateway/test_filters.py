"""Filters: every condition, alone and joined, against plain Python over the same rows."""

import datetime as dt
import gc
import unicodedata
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.model import Connection, ConnectionStatus, Endpoint, ScheduleType, SchemaChange
from adapters.port import Filter, Narrowing, Period
from adapters.unified_to.demo import UnifiedToImitation
from gateway import filters, tables
from gateway.freshness import due_at
from gateway.orders import DEFAULT
from gateway.schema.filters import ConnectionFilter
from gateway.schema.filters import filter_of as sent_filter
from gateway.tables import Table
from tests.adapters.contracted import Rewritten
from tests.conftest import UNIFIED_TO
from tests.gateway.listed import HOUR, MOMENTS, NOON, Listed, connection, drawn, instance_of, some
from tests.gateway.writing import own_fleet, quiet

INSTANCE = instance_of(Listed("a", {"": [connection()]}))
OTHER = instance_of(Listed("b", {"": [connection("b", provider="workiva")]}))
INSTANCES = {"a": INSTANCE, "b": OTHER}


def filter_of(conditions: Mapping[str, Any]) -> Filter:
    return Filter(**conditions)


def met(where: Filter, rows: list[Connection], now: dt.datetime = NOON) -> set[str]:
    """The native ids of the rows that meet a filter."""
    table = Table("a", rows)
    mask = filters.joined(filters.masks(where, table, INSTANCE, now), table.all)
    assert mask == filters.joined(filters.masks(where, table, INSTANCE, now), table.all), "and from memory"
    found = {row.native_id for row in table.span(DEFAULT, mask)}
    assert tables.counted(mask) == len(found)
    return found


# The same in plain Python


def plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


def end(row: Connection, side: str, attribute: str) -> Any:
    found = getattr(row, side)
    return None if found is None else getattr(found, attribute)


def texts(row: Connection) -> list[str]:
    ends = [end(row, side, attribute) for side in ("source", "destination") for attribute in ("name", "type")]
    return [plain(text) for text in (row.name, row.description, row.external_ref, *ends) if text]


def alike(text: str | None, wanted: tuple[str, ...]) -> bool:
    return text is not None and any(plain(text) == plain(each) for each in wanted)


def within(moment: dt.datetime | None, period: Period) -> bool:
    return (
        moment is not None
        and (period.since is None or moment >= period.since)
        and (period.before is None or moment < period.before)
    )


def is_overdue(row: Connection) -> bool:
    due = due_at(row)
    return due is not None and due < NOON


MEETS: Mapping[str, Callable[[Connection, Any], bool]] = {
    "text": lambda row, wanted: any(plain(wanted.strip()) in text for text in texts(row)) or not wanted.strip(),
    "instance": lambda row, wanted: row.instance in wanted,
    "provider": lambda row, wanted: row.provider in wanted,
    "ids": lambda row, wanted: (row.instance, row.native_id) in wanted,
    "status": lambda row, wanted: row.status in wanted,
    "enabled": lambda row, wanted: row.enabled is wanted,
    "running": lambda row, wanted: row.running is wanted,
    "overdue": lambda row, wanted: is_overdue(row) is wanted,
    "workspace_id": lambda row, wanted: row.workspace_id in wanted,
    "environment": lambda row, wanted: row.environment in wanted,
    "source_id": lambda row, wanted: end(row, "source", "id") in wanted,
    "source_name": lambda row, wanted: alike(end(row, "source", "name"), wanted),
    "source_type": lambda row, wanted: alike(end(row, "source", "type"), wanted),
    "destination_id": lambda row, wanted: end(row, "destination", "id") in wanted,
    "destination_name": lambda row, wanted: alike(end(row, "destination", "name"), wanted),
    "destination_type": lambda row, wanted: alike(end(row, "destination", "type"), wanted),
    "category": lambda row, wanted: any(each in row.categories for each in wanted),
    "permission": lambda row, wanted: any(each in row.permissions for each in wanted),
    "schedule_type": lambda row, wanted: row.schedule is not None and row.schedule.type in wanted,
    "schema_change": lambda row, wanted: row.schema_change in wanted,
    "created_at": lambda row, wanted: within(row.created_at, wanted),
    "updated_at": lambda row, wanted: within(row.updated_at, wanted),
    "last_run_at": lambda row, wanted: within(row.last_run.started_at if row.last_run else None, wanted),
    "last_healthy_at": lambda row, wanted: within(row.last_healthy_at, wanted),
}


def meets(row: Connection, where: Filter) -> bool:
    conditions = {name: getattr(where, name) for name in MEETS if getattr(where, name) is not None}
    is_met = all(MEETS[name](row, value) for name, value in conditions.items())
    return is_met and (where.not_ is None or not meets(row, where.not_))


# Filters and rows at random


def some_of(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), max_size=3).map(tuple)


MOMENT = st.sampled_from(MOMENTS)
PERIODS = st.tuples(MOMENT, MOMENT).map(lambda ends: Period(since=ends[0], before=ends[1]))
END_TEXTS = ("postgres", "POSTGRES", "Póstgres", "S3", "s3", "SNOWFLAKE", "snöwflake", "warehouse", "", "lake")
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(
        ["ALPH", "é", "ledger", "s3", "", "  ", " Zebra ", "ss", "計", "käufer", "a\nb", "nowhere"]
    ),
    "instance": some_of("a", "b"),
    "provider": some_of("airbyte", "workiva"),
    "ids": some_of(*((instance, f"{number:x}") for instance in "ab" for number in range(8))),
    "status": some_of(*ConnectionStatus),
    "enabled": st.booleans(),
    "running": st.booleans(),
    "overdue": st.booleans(),
    "workspace_id": some_of("w0", "w1", "w2", ""),
    "environment": some_of("Production", "production", "Staging", ""),
    "source_id": some_of("pg", "s3", "PG", ""),
    "source_name": some_of(*END_TEXTS),
    "source_type": some_of(*END_TEXTS),
    "destination_id": some_of("pg", "sf", ""),
    "destination_name": some_of(*END_TEXTS),
    "destination_type": some_of(*END_TEXTS),
    "category": some_of("crm", "hris", "CRM", ""),
    "permission": some_of("read", "write", ""),
    "schedule_type": some_of(*ScheduleType),
    "schema_change": some_of(*SchemaChange),
    "created_at": PERIODS,
    "updated_at": PERIODS,
    "last_run_at": PERIODS,
    "last_healthy_at": PERIODS,
}


def conditions(least: int) -> st.SearchStrategy[Filter]:
    """Filters with a few conditions."""
    names = st.lists(st.sampled_from(sorted(VALUES)), min_size=least, max_size=3, unique=True)
    return names.flatmap(lambda chosen: st.builds(Filter, **{name: VALUES[name] for name in chosen}))


def with_not(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    def joined(outer: Filter, not_: Filter) -> Filter:
        return filter_of({**filters.conditions(outer), "not_": not_})

    return st.builds(joined, conditions(0), inner)


FILTERS = st.recursive(conditions(0), with_not, max_leaves=4)


def rows_of(seed: int) -> list[Connection]:
    rng = drawn(seed)
    return [some(rng, "a", f"{number:x}", workspace_id=rng.choice((None, "w0", "w1"))) for number in range(25)]


def test_every_condition_is_tried_here():
    assert {*MEETS, "not_"} == set(Filter.__struct_fields__) == {*VALUES, "not_"}


@pytest.mark.parametrize("name", sorted(VALUES))
@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(0, 2**32))
def test_each_condition_is_met_by_the_rows_that_plain_python_says(name: str, data: st.DataObject, seed: int):
    where = filter_of({name: data.draw(VALUES[name])})
    rows = rows_of(seed)
    expected = {row.native_id for row in rows if meets(row, where)}
    assert met(where, rows) == expected
    assert met(Filter(not_=where), rows) == {row.native_id for row in rows} - expected


@settings(deadline=None, max_examples=300)
@given(FILTERS, st.integers(0, 2**32))
def test_conditions_are_joined_by_and_and_not_turns_all_of_its_own_round(where: Filter, seed: int):
    rows = rows_of(seed)
    assert met(where, rows) == {row.native_id for row in rows if meets(row, where)}


def test_the_values_of_one_condition_are_joined_by_or():
    rows = [connection(native_id=status.value, status=status) for status in ConnectionStatus]
    assert met(Filter(status=(ConnectionStatus.FAILING, ConnectionStatus.PAUSED)), rows) == {"FAILING", "PAUSED"}
    both = Filter(status=(ConnectionStatus.FAILING,), not_=Filter(status=(ConnectionStatus.FAILING,)))
    assert met(both, rows) == set()


LISTS = [name for name in VALUES if name not in {"text", "enabled", "running", "overdue"} and not name.endswith("_at")]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_without_values_is_met_by_nothing_and_asks_nobody(name: str):
    rows = rows_of(1)
    nothing = filter_of({name: ()})
    assert met(nothing, rows) == set()
    assert met(Filter(not_=nothing), rows) == {row.native_id for row in rows}
    assert not filters.may_match(nothing, INSTANCE)
    assert filters.may_match(Filter(not_=nothing), INSTANCE)


@pytest.mark.parametrize(
    "sought",
    ["straße", "STRASSE", "Strasse", "  strasse ", "trass"],
)
def test_text_is_found_whatever_its_case_and_accents_and_the_space_around_it(sought: str):
    rows = [connection(native_id="a", name="Straße 7"), connection(native_id="b", name="Gasse")]
    assert met(Filter(text=sought), rows) == {"a"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"name": "the Needle"},
        {"description": "a NEEDLE in it"},
        {"external_ref": "néedle-1"},
        {"source": Endpoint(name="Needle")},
        {"source": Endpoint(type="needle")},
        {"destination": Endpoint(name="Needle")},
        {"destination": Endpoint(type="needle")},
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_text_is_looked_for_in_names_descriptions_references_and_ends(attributes: dict[str, Any]):
    rows = [connection(native_id="hay", name="hay"), connection(native_id="found", **attributes)]
    assert met(Filter(text="needle"), rows) == {"found"}


def test_text_is_not_found_across_two_places_nor_anywhere_else():
    row = connection(native_id="needle", name="nee", description="dle", environment="needle", workspace_id="needle")
    assert met(Filter(text="needle"), [row]) == set()


def test_nothing_is_looked_for_in_a_text_of_spaces():
    assert met(Filter(text=" \t "), rows_of(2)) == {row.native_id for row in rows_of(2)}


def test_a_span_holds_its_beginning_and_not_its_end():
    rows = [connection(native_id=str(hours), created_at=NOON + hours * HOUR) for hours in range(4)]
    rows.append(connection(native_id="unknown"))
    assert met(Filter(created_at=Period(since=NOON + HOUR, before=NOON + 3 * HOUR)), rows) == {"1", "2"}
    assert met(Filter(created_at=Period(since=NOON + 2 * HOUR)), rows) == {"2", "3"}
    assert met(Filter(created_at=Period(before=NOON + HOUR)), rows) == {"0"}
    assert met(Filter(created_at=Period()), rows) == {"0", "1", "2", "3"}, "known at all"


def test_overdue_is_told_by_the_moment_of_asking_and_never_from_memory():
    row = next(row for row in rows_of(3) if due_at(row) is not None)
    due = due_at(row)
    assert due is not None
    table = Table("a", [row])
    for moment, is_met in ((due, 0), (due + dt.timedelta(microseconds=1), 1), (due - HOUR, 0), (due + HOUR, 1)):
        masks = filters.masks(Filter(overdue=True), table, INSTANCE, moment)
        assert tables.counted(filters.joined(masks, table.all)) == is_met


def test_ids_are_told_apart_by_instance():
    rows = [connection(native_id="1"), connection(native_id="2")]
    assert met(Filter(ids=(("a", "1"), ("b", "2"))), rows) == {"1"}


def test_instances_that_can_have_nothing_are_not_asked():
    assert filters.may_match(Filter(), INSTANCE)
    for where, ours, theirs in (
        (Filter(provider=("airbyte",)), True, False),
        (Filter(instance=("b",)), False, True),
        (Filter(ids=(("a", "1"),)), True, False),
        (Filter(provider=("airbyte",), instance=("b",)), False, False),
        (Filter(not_=Filter(instance=("a",))), True, True),
    ):
        assert (filters.may_match(where, INSTANCE), filters.may_match(where, OTHER)) == (ours, theirs), where


def test_the_rest_of_a_filter_is_what_the_lists_that_are_read_do_not_tell():
    where = Filter(provider=("airbyte",), workspace_id=("w",), enabled=True, text="x")
    narrowed = Narrowing(frozenset({"w"}), (("state", "active"),), frozenset({"workspace_id", "enabled"}))
    assert filters.left(where, narrowed) == {"enabled", "text"}
    assert filters.left(where, Narrowing()) == {"enabled", "text", "workspace_id"}
    assert filters.left(Filter(instance=("a",)), Narrowing()) == frozenset()


def test_filters_say_which_names_lists_may_lack():
    assert filters.joins(Filter()) == frozenset()
    assert filters.joins(Filter(text="x")) == {"name", "source.name", "destination.name"}
    assert filters.joins(Filter(source_name=("x",))) == {"source.name"}
    assert filters.joins(Filter(not_=Filter(destination_name=("x",)))) == {"destination.name"}


def test_a_filter_without_some_conditions_keeps_the_others():
    where = Filter(text="x", enabled=False, not_=Filter(text="y"))
    assert filters.without(where, "text") == Filter(enabled=False, not_=Filter(text="y"))
    assert filters.without(where) == where


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (Filter(instance=("a", "nowhere")), "filter.instance"),
        (Filter(text="x" * 257), "filter.text"),
        (Filter(text="x" * 10_000), "filter.text"),
        (Filter(source_name=("x", "x" * 1025)), "filter.sourceName"),
        (Filter(category=("x" * 100_000,)), "filter.category"),
        (Filter(ids=(("a", "x" * 1025),)), "filter.ids"),
        (Filter(not_=Filter(environment=("x" * 1025,))), "filter.environment"),
        (Filter(created_at=Period(since=NOON, before=NOON)), "filter.createdAt"),
        (Filter(updated_at=Period(since=NOON + HOUR, before=NOON)), "filter.updatedAt"),
        (Filter(last_run_at=Period(since=NOON + HOUR, before=NOON)), "filter.lastRunAt"),
        (Filter(last_healthy_at=Period(since=NOON + HOUR, before=NOON)), "filter.lastHealthyAt"),
        (Filter(not_=Filter(not_=Filter(text="x" * 257))), "filter.text"),
    ],
)
def test_what_cannot_be_meant_is_the_clients_mistake(where: Filter, told: str):
    with pytest.raises(GraphQLError) as caught:
        filters.checked(where, INSTANCES)
    assert (caught.value.extensions or {})["code"] == "BAD_USER_INPUT"
    assert told in caught.value.message


@pytest.mark.parametrize(
    "where",
    [
        Filter(),
        Filter(instance=("a", "b")),
        Filter(instance=()),
        Filter(text="x" * 256),
        Filter(text=""),
        Filter(source_name=("x" * 1024,), category=(), ids=(("a", "x" * 1024),)),
        Filter(created_at=Period(since=NOON, before=NOON + HOUR)),
    ],
)
def test_anything_else_is_a_filter(where: Filter):
    assert filters.checked(where, INSTANCES) is where


# As clients send them


def test_a_filter_that_stands_in_a_document_is_made_once():
    sent = ConnectionFilter(text="orders")
    assert sent_filter(sent, {}) is sent_filter(sent, {}) is not sent_filter(ConnectionFilter(text="orders"), {})
    assert sent_filter(sent, {}) == Filter(text="orders")


def test_a_filter_that_came_with_one_request_is_not_held_after_it():
    """There is room for as many values in one as there is in a body."""
    sent = ConnectionFilter(text="orders")
    held = weakref.ref(sent)
    sent_filter(sent, {})
    del sent
    gc.collect()
    assert held() is None


def test_a_filter_that_cannot_be_meant_is_refused_each_time():
    sent = ConnectionFilter(instance=["nowhere"])
    for _ in range(3):
        with pytest.raises(GraphQLError):
            sent_filter(sent, {})


async def test_a_row_that_names_no_environment_is_in_none_however_its_list_is_read():
    server = UnifiedToImitation(size=900)

    def of_no_environment(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "environment": None} for row in rows[:-1]] + rows[-1:]

    server.app = Rewritten(server.app, "/unified/connection", of_no_environment)
    asked = """orderBy: [{ field: CREATED_AT }], filter: { environment: ["Staging"] }"""
    async with own_fleet(quiet(), {UNIFIED_TO: {"environments": ["Staging"]}}, servers={UNIFIED_TO: server}) as fleet:
        alone = await fleet.data(f"{{ connections(first: 50, {asked}) {{ nodes {{ nativeId environment }} }} }}")
        counted = await fleet.data(
            f"{{ connections(first: 50, {asked}) {{ totalCount nodes {{ nativeId environment }} }} }}"
        )
    assert alone["connections"]["nodes"] == counted["connections"]["nodes"]
    assert {row["environment"] for row in alone["connections"]["nodes"]} == {"Staging"}
    assert counted["connections"]["totalCount"] == len(counted["connections"]["nodes"]) > 1
