"""What an answer rests on: lists as they were, which nothing holds, and all of them at once."""

import gc
import math
import time
import weakref

from adapters.port import LIST_FIELDS, Fields, List
from gateway import grounds
from gateway.grounds import Anew, Ground, Held
from gateway.inventory import Ask
from gateway.tables import Table
from tests.gateway.listed import Listed, connection, instances_of

ADAPTERS = [Listed(name, {"": [connection(name)], "more": []}) for name in ("a", "b")]
INSTANCES = instances_of(*ADAPTERS)
USUAL, NOW = Ask(60, 0), Ask(0, 0)
TABLES = {name: Table(name, ()) for name in INSTANCES}


def ground(
    instance: str = "a",
    part: str = "",
    joined: Fields = LIST_FIELDS,
    *,
    ask: Ask = USUAL,
    parts: tuple[str, ...] | None = None,
    table: Table | None = None,
    anew: Anew = Anew.NOTHING,
    good_until: float = math.inf,
) -> Ground:
    held = Held(List(part), weakref.ref(TABLES[instance] if table is None else table), joined, anew, good_until)
    return Ground(INSTANCES[instance], ask, parts, (held,))


def test_what_several_things_rest_on_has_each_list_once():
    one, same = ground(joined=frozenset({"name"}), good_until=9), ground(joined=frozenset({"icon"}), anew=Anew.ALL)
    found = grounds.joined([one, same, ground("b"), ground(part="more"), ground(ask=NOW)])
    assert found is not None
    (first, second), (b,), (now,) = (each.lists for each in found)
    assert (first.joined, first.anew, first.good_until) == ({"name", "icon"}, Anew.ALL, 9)
    assert (second.of, b.of, now.of) == (List("more"), List(""), List(""))
    assert [(each.instance.name, each.ask) for each in found] == [("a", USUAL), ("b", USUAL), ("a", NOW)]


def test_nothing_rests_on_two_states_of_a_list():
    assert grounds.joined([ground(), ground(table=TABLES["b"])]) is None
    assert grounds.joined([ground(parts=("",)), ground(parts=("", "more"))]) is None
    for parts in ((), ("",)):
        for one, other in ((None, parts), (parts, None), (parts, parts)):
            found = grounds.joined([ground(parts=one), ground(parts=other)])
            assert found is not None
            assert found[0].parts == parts


def test_a_list_is_not_kept_by_what_rests_on_it():
    table = Table("a", ())
    rests = ground(table=table)
    (held,) = rests.lists
    assert held.table() is table
    del table
    gc.collect()
    assert held.table() is None


def test_what_was_looked_up_for_single_rows_is_good_for_a_while():
    class Snapshot:
        listed = TABLES["a"]
        joined = LIST_FIELDS
        walked = None

    for offset_s, holds in ((60, True), (-1, False)):
        (held,) = ground(good_until=time.monotonic() + offset_s).lists
        assert held.is_in(Snapshot(), INSTANCES["a"]) is holds  # pyright: ignore[reportArgumentType]
