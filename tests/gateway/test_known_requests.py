"""What is remembered of requests that came before, and of their answers: a little, and nothing in confidence."""

import time
from typing import Any

import orjson
import pytest

from adapters.walk import Bounds
from gateway import answers
from gateway.answers import Answers
from gateway.inventory import Ages, Inventory
from gateway.protection.body import BadRequest, parse_operation

SECRET = "hunter2"
KEPT_BODIES: list[dict[str, Any]] = [
    {"query": "{a}"},
    {"query": "query A { a }", "operationName": "A", "variables": {}},
    {"query": "query($id: ID!, $n: Int) { a }", "variables": {"id": "x", "n": 1, "b": None, "c": True, "d": 0.5}},
    {"query": "{a}", "variables": {"ids": ["a"], "where": {"text": "a"}}},
]
OTHER_BODIES: list[dict[str, Any]] = [
    {"query": "mutation { a }"},
    {"query": "mutation ($a: A) { a }", "variables": {"input": {"token": SECRET}}},
    {"query": "query A { a } mutation B { b }", "operationName": "A"},
    {"query": "{a}", "extensions": {}},
    {"query": "{a}", "variables": {"text": "x" * 5_000}},
]


@pytest.fixture
def kept() -> Answers:
    """Nothing yet; what rests on nothing holds for ever."""
    return Answers({}, Inventory(Ages(0, 0, 1), Bounds(1, 1)))


@pytest.mark.parametrize(
    ("body", "is_kept"), [*((body, True) for body in KEPT_BODIES), *((body, False) for body in OTHER_BODIES)]
)
def test_a_short_query_that_comes_again_is_not_read_again(kept: Answers, body: dict[str, Any], is_kept: bool):
    sent = orjson.dumps(body)
    (first, known), (second, still) = kept.read(None, sent), kept.read(None, bytes(bytearray(sent)))
    assert first == second == parse_operation(sent)
    assert (first is second) is (known is not None) is is_kept
    assert known is still
    assert kept.read(None, sent + b" ")[0] == first
    assert kept.read("ops", sent)[1] is not known or known is None


def test_what_is_no_operation_is_refused_each_time(kept: Answers):
    for _ in range(3):
        with pytest.raises(BadRequest):
            kept.read(None, b'{"query": ""}')
    assert len(kept._asked) == 0


def body(number: int) -> bytes:
    return orjson.dumps({"query": "{a}", "variables": {"n": number}})


def test_no_more_requests_are_known_than_a_few(kept: Answers):
    for number in range(1_000):
        operation, known = kept.read(None, body(number))
        assert operation.variables == {"n": number}
        assert known is not None
        kept.keep(known, b"x" * 1000, ())
        assert len(kept._asked) <= answers.KEPT
        assert kept._held_bytes == 1000 * len(kept._asked)
    assert kept.at_once((None, body(999)), time.monotonic()) is not None
    assert kept.at_once((None, body(0)), time.monotonic()) is None


def test_the_answers_that_are_held_have_no_more_bytes_than_allowed(kept: Answers):
    for number in range(100):
        _, known = kept.read(None, body(number))
        assert known is not None
        kept.keep(known, b"x" * (answers.LONGEST // 2), ())
        assert kept._held_bytes == sum(len(each.answer or b"") for each in kept._asked.values())
        assert kept._held_bytes <= answers.ANSWERS_BYTES
    held = [number for number in range(100) if kept.at_once((None, body(number)), time.monotonic())]
    assert held == list(range(84, 100))


def test_a_long_answer_is_not_held(kept: Answers):
    _, known = kept.read(None, body(1))
    assert known is not None
    kept.keep(known, b"x" * (answers.LONGEST + 1), ())
    assert (known.answer, kept._held_bytes) == (None, 0)


def test_an_answer_to_what_was_forgotten_meanwhile_is_not_held(kept: Answers):
    _, known = kept.read(None, body(0))
    for number in range(1, answers.KEPT + 1):
        kept.read(None, body(number))
    assert known is not None
    kept.keep(known, b"x", ())
    assert (known.answer, kept._held_bytes) == (None, 0)
