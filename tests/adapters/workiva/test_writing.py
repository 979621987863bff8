"""Runs of Workiva: what is sent to start them, alone and together, and when they are seen to have started."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from adapters import errors
from adapters.imitation import Knobs
from adapters.model import Connection, Endpoint, Run, RunStatus, altered
from adapters.port import Capability
from adapters.secret import masked
from adapters.workiva import PROVIDER, convert, wire, writing
from adapters.workiva.demo import WorkivaImitation
from adapters.workiva.inputs import WorkivaRunInput
from adapters.writing import Create, Delete, Done, Draft, Lost, ProblemCode, Start, StartMany
from tests.adapters.contracted import NOW, Contracted, listed, over
from tests.adapters.sending import problems

PLANT = "hunter2plant"
PARAMETERS = {"period": "2026-Q4", "filters": {"entity": ["US01"]}, "password": PLANT}
CODE = ProblemCode
LOST, CONFLICT = Lost(), Lost(is_conflict=True)


def workiva(**options: Any) -> WorkivaImitation:
    return WorkivaImitation(clock=lambda: NOW, **options)


def to(row: Connection, id: str, type: str = "spreadsheet_section") -> Connection:
    """The connection, as one that writes to this place."""
    return altered(row, destination=Endpoint(id=id, type=type), last_run=None)


def groups(starts: Sequence[Start]) -> list[list[str]]:
    return [[start.connection.native_id for start in group] for group in writing.grouped(starts)]


async def still(contracted: Contracted) -> list[Connection]:
    """The connections of which no run goes on."""
    return [row for row in await listed(contracted.adapter) if not row.running]


# --- problems ---


@pytest.mark.parametrize("parameters", ["a text", 5, [], ["a"], True])
@pytest.mark.parametrize("side", ["source", "destination"])
async def test_parameters_are_an_object(side: str, parameters: Any):
    async with over(PROVIDER, workiva(size=1)) as contracted:
        (row,) = await listed(contracted.adapter)
        wish = Start(row, WorkivaRunInput(**{f"{side}_parameters": parameters}))
        assert await problems(contracted.adapter, wish) == [((f"{side}_parameters",), CODE.INVALID)]


@pytest.mark.parametrize("parameters", [{}, PARAMETERS])
async def test_parameters_of_its_own_and_those_of_the_run_before_exclude_each_other(parameters: Any):
    async with over(PROVIDER, workiva(size=1)) as contracted:
        (row,) = await listed(contracted.adapter)
        both = WorkivaRunInput(source_parameters=parameters, use_previous_source_parameters=True)
        assert await problems(contracted.adapter, Start(row, both)) == [(("source_parameters",), CODE.CONTRADICTION)]
        several = StartMany([Start(row), Start(row, both)])
        assert await problems(contracted.adapter, several) == [((1, "source_parameters"), CODE.CONTRADICTION)]
        each = WorkivaRunInput(source_parameters=parameters, use_previous_destination_parameters=True)
        await contracted.adapter.draft(Start(row, each))
        neither = WorkivaRunInput(source_parameters=parameters, use_previous_source_parameters=False)
        await contracted.adapter.draft(Start(row, neither))


async def test_what_wdata_cannot_do_never_arrives():
    async with over(PROVIDER, workiva(size=1)) as contracted:
        (row,) = await listed(contracted.adapter)
        for wish in (
            Delete(row),
            Create(msgspec.defstruct("Other", [])()),
            Start(row, msgspec.defstruct("Other", [])()),
        ):
            with pytest.raises(TypeError):
                await contracted.adapter.draft(wish)
        assert contracted.adapter.refuses(Capability.RUN) is None


# --- groups ---


@pytest.fixture(scope="module")
async def rows() -> list[Connection]:
    async with over(PROVIDER, workiva(size=300)) as contracted:
        return await listed(contracted.adapter)


def test_starts_of_one_spreadsheet_go_together_in_the_order_they_came(rows: list[Connection]):
    a, b, c, d = rows[:4]
    places = [to(a, "x"), to(b, "y"), to(c, "x", "spreadsheet"), to(d, "y")]
    together = [[a.native_id, c.native_id], [b.native_id, d.native_id]]
    assert groups([Start(row) for row in places]) == together


@pytest.mark.parametrize("type", ["document", "wdata_table", "presentation_chart", "unknown_record_type", None])
def test_what_writes_elsewhere_goes_alone(rows: list[Connection], type: Any):
    assert groups([Start(to(row, "x", type)) for row in rows[:3]]) == [[row.native_id] for row in rows[:3]]
    nowhere = [Start(altered(row, destination=None)) for row in rows[:3]]
    assert groups(nowhere) == [[row.native_id] for row in rows[:3]]


def test_a_hundred_at_the_most_go_together(rows: list[Connection]):
    sizes = [len(group) for group in writing.grouped([Start(to(row, "x")) for row in rows[:201]])]
    assert sizes == [100, 100, 1]


def test_what_would_spoil_a_group_goes_alone(rows: list[Connection]):
    running = altered(to(rows[1], "x"), last_run=Run(id="j", status=RunStatus.RUNNING))
    previous = WorkivaRunInput(use_previous_source_parameters=True)
    wrong: Any = WorkivaRunInput(source_parameters="no object")  # pyright: ignore[reportArgumentType]
    alone = [Start(running), Start(to(rows[2], "x"), previous), Start(to(rows[3], "x"), wrong)]
    fine = [Start(to(row, "x")) for row in (rows[0], rows[4])]
    twice = Start(to(rows[0], "x"))
    ids = [row.native_id for row in rows[:5]]
    assert groups([fine[0], *alone, fine[1], twice]) == [[ids[0], ids[4]], [ids[1]], [ids[2]], [ids[3]], [ids[0]]]


def test_those_that_are_to_spare_the_others_go_with_their_like(rows: list[Connection]):
    inputs = [None, WorkivaRunInput(cancel_unwritables=True), WorkivaRunInput(cancel_unwritables=True)]
    starts = [Start(to(row, "x"), given) for row, given in zip(rows, inputs, strict=False)]
    assert [len(group) for group in writing.grouped(starts)] == [1, 2]


# --- what is sent ---


async def test_only_what_is_given_is_sent():
    async with over(PROVIDER, workiva(size=3)) as contracted:
        row = (await still(contracted))[0]
        bare = await contracted.adapter.draft(Start(row))
        assert (bare.request.json, bare.request.safe) == ({}, False)
        given = WorkivaRunInput(source_parameters=PARAMETERS, use_previous_destination_parameters=True)
        full = await contracted.adapter.draft(Start(row, given))
        assert full.request.json == {"sourceParameters": PARAMETERS, "usePreviousDestinationParameters": True}
    async with over(PROVIDER, workiva(size=3), workspace_id="w") as contracted:
        assert (await contracted.adapter.draft(Start(row))).request.json == {"workspaceId": "w"}
        both = await contracted.adapter.draft(StartMany([Start(row), Start(row, given)]))
        assert both.request.json == [
            {"connectionId": row.native_id, "workspaceId": "w"},
            {"connectionId": row.native_id, "workspaceId": "w", **full.request.json},
        ]
        assert (both.request.batch, list(both.request.query)) == (2, [])


@pytest.mark.parametrize("cancel", [True, False])
async def test_sparing_the_others_is_said_of_the_call_and_not_of_a_run(cancel: bool):
    async with over(PROVIDER, workiva(size=2)) as contracted:
        rows = await listed(contracted.adapter)
        starts = [Start(row, WorkivaRunInput(cancel_unwritables=cancel)) for row in rows]
        draft = await contracted.adapter.draft(StartMany(starts))
        assert draft.request.query == [("cancelUnwritables", "true" if cancel else "false")]
        assert [set(item) for item in draft.request.json] == [{"connectionId"}] * 2
        alone = await contracted.adapter.draft(starts[0])
        assert (alone.request.query, alone.request.json) == ((), {})


async def test_drafting_takes_no_call():
    async with over(PROVIDER, workiva()) as contracted:
        rows = await listed(contracted.adapter)
        contracted.imitation.journal.clear()
        for row in rows:
            await contracted.adapter.draft(Start(row))
        await contracted.adapter.draft(StartMany([Start(row) for row in rows]))
        assert contracted.imitation.journal.calls == []
        assert contracted.imitation.effects == []


# --- runs that go on ---


def running(row: Connection, **told: Any) -> Connection:
    """The connection with a run that goes on, and what Wdata tells of it."""
    sent = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}
    run = wire.ConnectionRun(job_id="j", source_status="running", destination_status="not_started", **sent)
    parsed = wire.Connection(connection_id=row.native_id, last_run=run, last_run_job_id="j")
    return convert.connection(parsed, instance=row.instance)


@pytest.mark.parametrize(
    "given",
    [
        None,
        WorkivaRunInput(),
        WorkivaRunInput(source_parameters={}),
        WorkivaRunInput(source_parameters={"period": "2026-Q4"}),
        WorkivaRunInput(source_parameters=PARAMETERS),
        WorkivaRunInput(use_previous_source_parameters=True),
        WorkivaRunInput(destination_parameters={"cell": "A1"}),
    ],
)
async def test_a_run_that_goes_on_is_what_was_wished_for(given: WorkivaRunInput | None, rows: list[Connection]):
    async with over(PROVIDER, workiva()) as contracted:
        row = running(rows[0], source_parameters={**PARAMETERS, "added": "by Wdata"})
        draft = await contracted.adapter.draft(Start(row, given))
        assert draft.done is not None
        assert (draft.done.run, draft.done.is_attached) == (row.last_run, True)


async def test_a_run_with_other_parameters_is_in_the_way(rows: list[Connection]):
    async with over(PROVIDER, workiva()) as contracted:
        row = running(rows[0], source_parameters={"period": "2026-Q3"}, destination_parameters={"cell": "A1"})
        given = WorkivaRunInput(source_parameters={"period": "2026-Q4"}, destination_parameters={"cell": "A1"})
        expected = [(("source_parameters",), CODE.RUNNING_ALREADY)]
        assert await problems(contracted.adapter, Start(row, given)) == expected


# --- what the answers say ---


def answered(draft: Draft, body: Any) -> Done:
    return draft.read(msgspec.json.encode({"body": body, "code": 200}))


async def drafted(*rows: Connection, **settings: Any) -> Draft:
    async with over(PROVIDER, workiva(size=1), **settings) as contracted:
        starts = [Start(row) for row in rows]
        return await contracted.adapter.draft(StartMany(starts) if len(starts) > 1 else starts[0])


@pytest.mark.parametrize("body", [None, {}, "x", [], {"sourceStatus": "running"}, {"jobId": ""}, {"jobId": {}}])
async def test_an_answer_without_a_run_is_a_broken_contract(body: Any, rows: list[Connection]):
    with pytest.raises(errors.ContractBroken):
        answered(await drafted(to(rows[0], "x")), body)
    with pytest.raises(errors.ContractBroken):
        answered(await drafted(*(to(row, "x") for row in rows[:2])), body)


async def test_a_run_that_could_not_be_started_has_failed_and_says_why_without_credentials(rows: list[Connection]):
    row, other = (to(row, "x") for row in rows[:2])
    refused = {"connectionId": row.native_id, "error": f"no access with token={PLANT}", "sourceStatus": "not_started"}
    alone = answered(await drafted(row), refused).run
    assert alone == Run(status=RunStatus.FAILED, error="no access with token=**********")
    fine = {"connectionId": other.native_id, "jobId": "j2", "sourceStatus": "running", "destinationStatus": "running"}
    runs = answered(await drafted(row, other), {"childRefreshes": [fine, refused]}).runs
    assert runs == {row.native_id: alone, other.native_id: Run(id="j2", status=RunStatus.RUNNING)}


@pytest.mark.parametrize("child", [None, {}, {"jobId": "j"}, {"connectionId": "somebody"}, 5])
async def test_a_run_that_a_batch_does_not_tell_of_may_have_started(child: Any, rows: list[Connection]):
    row, other = (to(row, "x") for row in rows[:2])
    fine = {"connectionId": other.native_id, "jobId": "j2"}
    runs = answered(await drafted(row, other), {"childRefreshes": [child, fine]}).runs
    error = runs[row.native_id]
    assert isinstance(error, errors.ContractBroken)
    assert error.may_have_happened
    assert (error.instance, error.provider, error.operation) == ("contract-1", "workiva", "start_runs")
    assert isinstance(runs[other.native_id], Run)


async def test_a_batch_that_could_not_be_started_says_why_for_all(rows: list[Connection]):
    row, other = (to(row, "x") for row in rows[:2])
    failed = Run(status=RunStatus.FAILED, error="locked with password=**********")
    done = answered(await drafted(row, other), {"error": f"locked with password={PLANT}"})
    assert done.runs == {row.native_id: failed, other.native_id: failed}


# --- whether it happened ---


async def read_back(rows: Sequence[Connection], now: Any, lost: Lost = LOST, given: Any = None) -> Done | None:
    """What is read back where the status of every connection is this; a number is a status of HTTP."""
    knobs: dict[str, Any] = (
        {"status": now} if isinstance(now, int) else {"body": msgspec.json.encode({"body": now}).decode()}
    )
    async with over(PROVIDER, workiva(size=1), retries=0) as contracted:
        starts = [Start(row, given) for row in rows]
        draft = await contracted.adapter.draft(StartMany(starts) if len(starts) > 1 else starts[0])
        contracted.imitation.knobs = Knobs(only="/status", **knobs)
        return await draft.read_back(lost)


def ran(row: Connection, job_id: str | None) -> Connection:
    return altered(row, last_run=Run(id=job_id, status=RunStatus.SUCCEEDED))


GOES_ON = {"jobId": "new", "sourceStatus": "running", "destinationStatus": "not_started"}
ENDED = {"jobId": "new", "sourceStatus": "complete", "destinationStatus": "complete"}


@pytest.mark.parametrize("now", [GOES_ON, ENDED])
async def test_another_run_than_before_is_the_one_that_was_started(now: Any, rows: list[Connection]):
    for before in (ran(rows[0], "old"), altered(rows[0], last_run=None)):
        done = await read_back([before], now)
        assert done is not None
        assert (done.was_read_back, done.is_attached) == (True, False)
        assert done.run is not None
        assert done.run.id == "new"


@pytest.mark.parametrize("now", [{**ENDED, "jobId": "old"}, {**GOES_ON, "jobId": "old"}, {}, {"jobId": ""}, 404])
async def test_without_another_run_than_before_nothing_is_known_to_have_started(now: Any, rows: list[Connection]):
    assert await read_back([ran(rows[0], "old")], now) is None
    assert await read_back([ran(row, "old") for row in rows[:2]], now) is None


async def test_of_a_run_before_without_an_id_nobody_can_tell(rows: list[Connection]):
    assert await read_back([ran(rows[0], None)], GOES_ON) is None


async def test_a_new_run_with_other_parameters_is_somebody_elses(rows: list[Connection]):
    given = WorkivaRunInput(source_parameters={"period": "2026-Q4"})
    theirs = {**GOES_ON, "sourceParameters": {"period": "2026-Q3"}}
    assert await read_back([ran(rows[0], "old")], theirs, given=given) is None
    assert await read_back([ran(rows[0], "old")], theirs, CONFLICT, given) is None
    ours = {**GOES_ON, "sourceParameters": {"period": "2026-Q4", "more": 1}}
    assert await read_back([ran(rows[0], "old")], ours, given=given) is not None


async def test_what_a_start_is_in_conflict_with_is_attached_while_it_goes_on(rows: list[Connection]):
    row = ran(rows[0], "new")
    done = await read_back([row], GOES_ON, CONFLICT)
    assert done is not None
    assert (done.was_read_back, done.is_attached) == (True, True)
    assert await read_back([row], ENDED, CONFLICT) is None
    assert await read_back([row], GOES_ON) is None, "it went on before, and nothing was in its way"


@pytest.mark.parametrize("now", [401, 500])
async def test_reading_back_may_fail_itself(now: int, rows: list[Connection]):
    with pytest.raises(errors.AdapterError):
        await read_back([rows[0]], now)
    with pytest.raises(errors.AdapterError):
        await read_back([*rows[:2]], now)


async def test_of_several_all_are_told_or_none(rows: list[Connection]):
    done = await read_back([ran(row, "old") for row in rows[:20]], GOES_ON)
    assert done is not None
    assert done.runs.keys() == {row.native_id for row in rows[:20]}
    mixed = [ran(row, "new" if place == 17 else "old") for place, row in enumerate(rows[:20])]
    assert await read_back(mixed, GOES_ON) is None


# --- secrets ---


async def test_parameters_are_not_printed(rows: list[Connection]):
    given = WorkivaRunInput(source_parameters=PARAMETERS)
    assert PLANT not in f"{given} {given!r} {Start(rows[0], given)!r}"
    async with over(PROVIDER, workiva(size=1)) as contracted:
        for wish in (Start(rows[0], given), StartMany([Start(row, given) for row in rows[:2]])):
            draft = await contracted.adapter.draft(wish)
            assert PLANT in msgspec.json.encode(draft.request.json).decode()
            assert PLANT not in repr(draft)
            assert PLANT not in repr(masked(draft.request.json))
