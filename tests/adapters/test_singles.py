"""A record that is read alone stays the same object while its body is what it was; what changes is not held."""

import datetime as dt
import math
import time

import pytest

from adapters import singles
from adapters.singles import Singles
from tests.conftest import AIRBYTE, UNIFIED_TO, WORKIVA, Fleet


class Made:
    """What is made of a body, anew each time."""


class Reading:
    """Reads bodies as an adapter does; ``made`` counts those of which something was made."""

    def __init__(self) -> None:
        self.singles: Singles[Made] = Singles()
        self.made = 0

    def __call__(self, key: str, body: bytes, good_until: dt.datetime | None = None) -> Made:
        seen = self.singles.seen(key, body)
        if seen is not None and seen.made is not None:
            return seen.made
        self.made += 1
        return self.singles.take(seen, Made(), good_until)


def test_of_a_body_that_comes_again_something_is_made_twice_and_then_no_more():
    read = Reading()
    first, second, *others = [read("a", b"body") for _ in range(6)]
    assert first is not second
    assert others == [second] * 4
    assert read.made == 2


def test_a_body_that_has_changed_is_read_anew():
    read = Reading()
    for body in (b"one", b"two"):
        before = [read("a", body) for _ in range(4)]
        assert before[1] is before[3]
    assert read.made == 4
    assert read("b", b"two") is not before[3], "whose it is counts as well"


@pytest.mark.parametrize(("offset_s", "made"), [(60, 2), (-1, 6)])
def test_what_is_good_for_a_while_is_made_anew_afterwards(offset_s: float, made: int):
    read = Reading()
    good_until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=offset_s)
    for _ in range(6):
        read("a", b"body", good_until)
    assert read.made == made


@pytest.mark.parametrize(("offset_s", "least", "most"), [(None, math.inf, math.inf), (60, 50, 60), (-1, -5, -1)])
def test_it_is_told_until_when_the_same_is_made(offset_s: float | None, least: float, most: float):
    read = Reading()
    good_until = None if offset_s is None else dt.datetime.now(dt.UTC) + dt.timedelta(seconds=offset_s)
    assert read.singles.until("a", read("a", b"body", good_until)) == 0, "nothing is held of what came once"
    made = [read("a", b"body", good_until) for _ in range(2)][-1]
    assert least <= read.singles.until("a", made) - time.monotonic() <= most
    assert read.singles.until("a", Made()) == read.singles.until("b", made) == 0
    read("a", b"another")
    assert read.singles.until("a", made) == 0


def test_bodies_that_change_each_time_are_let_by_and_one_that_stays_is_seen_again():
    read = Reading()
    for number in range(singles.IN_VAIN + 1):
        assert read.singles.seen("a", b"%d" % number) is not None
    assert [read.singles.seen("a", b"%d" % number) for number in range(singles.UNSEEN)] == [None] * singles.UNSEEN
    kept = [read("a", b"body") for _ in range(5)]
    assert kept[1] is kept[4]
    assert not read.singles._latest["a"].size_bytes > 4


def test_no_more_is_held_than_allowed():
    read, size = Reading(), singles.KEPT_BYTES // 4
    for number in range(10):
        for _ in range(3):
            read(f"{number}", b"%d" % number * size)
    assert read.singles._held_bytes == sum(each.size_bytes for each in read.singles._latest.values()) == 4 * size
    for number in range(2 * singles.KEPT):
        read(f"many {number}", b"x")
        read(f"many {number}", b"x")
    assert len(read.singles._latest) == singles.KEPT
    assert read.singles._held_bytes == singles.KEPT


def test_what_is_larger_than_all_that_may_be_held_is_not():
    read, body = Reading(), b"x" * (singles.KEPT_BYTES + 1)
    for _ in range(4):
        read("a", body)
    assert (read.made, read.singles._held_bytes) == (4, 0)


@pytest.mark.parametrize("instance", [AIRBYTE, WORKIVA, UNIFIED_TO])
async def test_a_connection_by_id_is_asked_for_each_time_and_shows_what_has_changed(fleet: Fleet, instance: str):
    server = fleet.servers[instance]
    id = server.id_of(0)
    query = f"""{{ connection(ref: {{ instance: "{instance}", nativeId: "{id}" }}, maxAge: 0) {{
      name enabled status workspaceName details {{ __typename ... on AirbyteConnection {{ prefix syncCatalog {{
      streams {{ stream {{ name }} }} }} }} }} }} }}"""
    told = []
    for _ in range(5):
        fleet.forget()
        told.append(await fleet.data(query))
        assert fleet.calls(instance) >= 1
    assert told == [told[0]] * 5
