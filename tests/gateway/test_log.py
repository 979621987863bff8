"""The log: a JSON object a line, written whole, whatever is said and whoever said it."""

import asyncio
import gc
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from gateway import observability
from tests.conftest import Fleet
from tests.gateway.conftest import logged

Lines: TypeAlias = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def out() -> Iterator[io.BytesIO]:
    """What the process logs, as `gateway` sets it up."""
    with logged("INFO") as out:
        yield out


@pytest.fixture
def lines(out: io.BytesIO) -> Lines:
    """The lines that were written until now."""
    return lambda: [json.loads(line) for line in out.getvalue().splitlines()]


def leave_ours_alone() -> None:
    """Without the handlers of pytest, which come when a test begins: so it is in a process of ours."""
    root = logging.getLogger()
    root.handlers = root.handlers[:1]


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_request_is_a_line_with_what_is_known_of_it(lines: Lines, is_alone: bool):
    if is_alone:
        leave_ours_alone()
    began = time.monotonic()
    for number in range(3):
        observability.log_request(operation=f"Ünder \n {number}", viewer="ops", began=began, codes=["A", "B"])
    said = lines()
    assert [line["operation"] for line in said] == [f"Ünder \n {number}" for number in range(3)]
    for line in said:
        assert line.keys() == {
            "time", "level", "logger", "pid", "message", "operation", "viewer", "duration_s", "codes"
        }  # fmt: skip
        assert (line["level"], line["logger"], line["message"]) == ("INFO", "gateway.requests", "request")
        assert (line["viewer"], line["codes"]) == ("ops", ["A", "B"])
        assert 0 <= line["duration_s"] < 60
    assert [line["time"] for line in said] == sorted(line["time"] for line in said)


@pytest.mark.parametrize("codes", [[], ["A"], ["400", "BAD_REQUEST"]])
@pytest.mark.parametrize("text", [None, "", "Plain", 'ü"\\\n\x00\u2028 %s %d {}'])
def test_the_line_of_a_request_is_that_of_a_record_whoever_makes_it(
    out: io.BytesIO, text: str | None, codes: list[str]
):
    for alone in (False, True):
        if alone:
            leave_ours_alone()
        observability.log_request(operation=text, viewer=text, began=time.monotonic(), codes=codes)
    of_record, of_ours = (json.loads(line) for line in out.getvalue().splitlines())
    assert list(of_record) == list(of_ours)
    for line in (of_record, of_ours):
        assert line.pop("time")[:4].isdigit()
        assert 0 <= line.pop("duration_s") < 1
    assert of_record == of_ours


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_a_client_calls_something_is_cut(lines: Lines, out: io.BytesIO, is_alone: bool):
    if is_alone:
        leave_ours_alone()
    for length in (200, 201, 200_000):
        ask("é" * length)
        observability.log_write(action="RUN", native_id="é" * length, run_id=None)
    assert [line.get("operation") or line.get("native_id") for line in lines()] == ["é" * 200] * 6
    assert max(map(len, out.getvalue().splitlines())) < 1_000


async def test_nothing_long_is_held_until_it_is_written(out: io.BytesIO):
    leave_ours_alone()
    ask("x" * 200_000)
    assert out.getvalue() == b""
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, tuple) and "x" * 200_000 in each]


def test_a_request_is_a_record_for_any_handler(out: io.BytesIO, caplog: pytest.LogCaptureFixture):
    logging.getLogger().addHandler(caplog.handler)
    before = time.time()
    observability.log_request(operation=None, viewer=None, began=time.monotonic(), codes=[])
    observability.log_request(operation="Second", viewer=None, began=time.monotonic(), codes=[])
    first, second = caplog.records
    assert before <= first.created <= second.created <= time.time()
    assert 0 <= first.msecs < 1000
    assert (first.name, first.levelname, first.getMessage()) == ("gateway.requests", "INFO", "request")
    assert vars(first)["fields"]["operation"] is None
    assert vars(second)["fields"]["operation"] == "Second"
    assert logging.Formatter("%(asctime)s %(name)s %(threadName)s").format(first)
    assert out.getvalue().count(b"\n") == 2


def ask(operation: str) -> None:
    observability.log_request(operation=operation, viewer=None, began=0.0, codes=[])


async def test_requests_are_written_together_a_moment_later(lines: Lines):
    leave_ours_alone()
    for _ in range(2):
        written = len(lines())
        ask("first")
        ask("second")
        assert len(lines()) == written
        async with asyncio.timeout(5):
            while len(lines()) == written:  # noqa: ASYNC110  nobody else tells
                await asyncio.sleep(0.01)
        assert [line["operation"] for line in lines()[written:]] == ["first", "second"]


async def test_no_more_requests_are_held_than_can_be_written_in_no_time(lines: Lines):
    leave_ours_alone()
    for number in range(120):
        ask(str(number))
    assert 100 <= len(lines()) < 120
    assert [line["operation"] for line in lines()] == [str(number) for number in range(len(lines()))]


async def test_what_is_said_of_something_else_comes_after_the_requests_before_it(lines: Lines):
    leave_ours_alone()
    ask("before")
    logging.getLogger("elsewhere").warning("something")
    ask("after")
    assert [line["message"] for line in lines()] == ["request", "something"]
    observability.write_all()
    assert [line.get("operation") for line in lines()] == ["before", None, "after"]


def test_what_a_loop_held_that_has_ended_is_written_with_what_follows(lines: Lines):
    leave_ours_alone()

    async def in_a_loop() -> None:
        ask("held")

    for _ in range(2):
        asyncio.run(in_a_loop())
    ask("without a loop")
    assert [line["operation"] for line in lines()] == ["held", "held", "without a loop"]


class Heard(logging.Handler):
    """Keeps the operations of the requests that it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.operations.append(vars(record)["fields"]["operation"])


@pytest.mark.parametrize("name", ["gateway.requests", "gateway", ""])
def test_a_request_is_told_to_whoever_listens_and_to_nobody_where_a_filter_says_so(out: io.BytesIO, name: str):
    leave_ours_alone()
    heard, logger = Heard(), logging.getLogger(name)
    ask("before")
    logger.addHandler(heard)
    ask("told")
    observability.requests.addFilter(deaf := logging.Filter("elsewhere"))
    ask("kept")
    logger.removeHandler(heard)
    ask("kept as well")
    observability.requests.removeFilter(deaf)
    ask("after")
    assert heard.operations == ["told"]
    assert [json.loads(line)["operation"] for line in out.getvalue().splitlines()] == ["before", "told", "after"]


def test_requests_are_not_told_below_their_level(out: io.BytesIO):
    logging.getLogger().setLevel("WARNING")
    observability.log_request(operation=None, viewer=None, began=0.0, codes=[])
    assert out.getvalue() == b""


def test_an_exception_is_told_by_its_type_and_place_alone(lines: Lines):
    try:
        raise ValueError("hunter2")
    except ValueError:
        logging.getLogger("elsewhere").exception("it failed, token=%s", "hunter2")
    (line,) = lines()
    assert (line["exception"], line["level"]) == ("ValueError", "ERROR")
    assert line["at"][-1].startswith("test_log.py:")
    assert "hunter2" not in json.dumps(line)


@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_log_that_cannot_be_written_costs_no_answer(
    fleet: Fleet, out: io.BytesIO, monkeypatch: pytest.MonkeyPatch, is_alone: bool
):
    if is_alone:
        leave_ours_alone()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    out.close()
    for _ in range(2):
        assert await fleet.data("{ __typename }") == {"__typename": "Query"}
        observability.write_all()
