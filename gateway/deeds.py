"""What mutations ask for, and what came of it: as data, and as it is told."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from adapters import errors, ids
from adapters.capabilities import OF_A_CONNECTION, Capability, Refusal, refusal
from adapters.model import Connection, Record, Run
from adapters.writing import Change, Done, Place, Problem, ProblemCode, Wish
from gateway.errors import Code, code_of, details, from_adapter
from gateway.instances import Instance


class Caller(NamedTuple):
    """Who asks: by the name of a key, and whether that key may change anything."""

    viewer: str | None = None
    may_write: bool = True


NOBODY = Caller()
"""Somebody without a name, where none is asked for."""


class Deed(NamedTuple):
    """Something to be done in an instance, to the connection ``native_id`` where it is about one; ``wish`` is told what
    that is like now. ``place`` and ``id_place`` lead from the mutation's input to what the adapter is given, and to the
    id."""

    action: Capability
    instance: Instance
    wish: Callable[[Any], Wish]
    native_id: str | None = None
    place: Place = ()
    id_place: Place = ()
    expected_updated_at: dt.datetime | None = None


class Order(NamedTuple):
    """Deeds that one mutation asks for. What tells its input from others is its ``fingerprint``."""

    deeds: Sequence[Deed]
    caller: Caller
    key: str | None = None
    fingerprint: bytes = b""
    is_dry: bool = False


class Failure(Record, frozen=True, kw_only=True):
    """An error in place of a result, as clients see it."""

    code: str
    message: str
    extensions: dict[str, Any] = {}


class Result(Record, frozen=True, kw_only=True):
    """What came of one deed. ``is_final`` says that asking for it again under the same key is to bring the same."""

    instance: str = ""
    native_id: str | None = None
    run: Run | None = None
    is_attached: bool = False
    was_read_back: bool = False
    url: str | None = None
    task_id: str | None = None
    problems: tuple[Problem, ...] = ()
    failure: Failure | None = None
    is_final: bool = False

    @property
    def verdict(self) -> str:
        """What came of it in a word, for the log: DONE, or the code of what came in its place."""
        if self.failure is not None:
            return self.failure.code
        return str(self.problems[0].code) if self.problems else "DONE"


class Sent(Record, frozen=True, kw_only=True):
    """A request to an upstream as it would be sent, with credentials masked. ``path`` has the query in it."""

    instance: str
    method: str
    path: str
    body: Any = None


class Outcome(Record, frozen=True, kw_only=True):
    """What came of an order: a result for each deed, in their order; of a rehearsal also what would be sent."""

    results: tuple[Result, ...]
    sent: tuple[Sent, ...] = ()
    changes: tuple[Change, ...] = ()
    is_dry: bool = False
    is_replayed: bool = False


def refused(instance: Instance, action: Capability, caller: Caller, connection: Connection | None) -> Refusal | None:
    """Why this cannot be done in an instance, or to one of its connections; None where it can."""
    if action not in instance.provider.capabilities:
        return Refusal.PROVIDER_LACKS_IT
    if instance.is_read_only or not caller.may_write:
        return Refusal.NOT_PERMITTED
    own = instance.adapter.refuses(action)
    return own or (refusal(action, connection) if connection is not None and action in OF_A_CONNECTION else None)


def gated(deed: Deed, caller: Caller) -> Result | None:
    """What is to be said before any call: that it cannot be, or must not; None where it may."""
    why = refused(deed.instance, deed.action, caller, None)
    if why is Refusal.PROVIDER_LACKS_IT:
        message = f"{deed.instance.provider.label} has no such thing; see `can` of the instance."
        return failure(deed, deed.instance.named(errors.Unsupported(message)))
    return None if why is None else with_problems(deed, [_refusal(deed, why)])


def unfit(deed: Deed, found: Connection | errors.AdapterError | None, caller: Caller) -> Result | None:
    """What is to be said once it is known what the connection is like."""
    if deed.native_id is None:
        return None
    if isinstance(found, errors.AdapterError):
        return failure(deed, deed.instance.named(found))
    if found is None:
        return with_problems(deed, [Problem(deed.id_place, ProblemCode.UNKNOWN_ID, "Nothing has this id.")])
    why = refused(deed.instance, deed.action, caller, found)
    if why is not None and not (deed.action is Capability.RUN and why is Refusal.RUNNING_ALREADY):
        return with_problems(deed, [_refusal(deed, why)])
    return _out_of_date(deed, found)


def _out_of_date(deed: Deed, found: Connection) -> Result | None:
    expected = deed.expected_updated_at
    if expected is None or expected == found.updated_at:
        return None
    place: Place = ("expected_updated_at",)
    if found.updated_at is None:
        message = f"{deed.instance.provider.label} does not say when a connection was changed."
        return with_problems(deed, [Problem(place, ProblemCode.PROVIDER_LACKS_IT, message)])
    message = f"It was changed at {found.updated_at.isoformat()}; read it again and decide anew."
    return with_problems(deed, [Problem(place, ProblemCode.OUT_OF_DATE, message)])


def _refusal(deed: Deed, why: Refusal) -> Problem:
    return Problem(deed.id_place, ProblemCode(why.value), why.description)


def within(deed: Deed, problems: Sequence[Problem]) -> list[Problem]:
    """The problems, told from the mutation's input on; those that are with no part of it, at the id."""
    return [msgspec.structs.replace(each, place=(*deed.place, *each.place) or deed.id_place) for each in problems]


def with_problems(deed: Deed, problems: Sequence[Problem]) -> Result:
    """Something that was not done, because of these."""
    return Result(instance=deed.instance.name, native_id=deed.native_id, problems=tuple(problems))


def result(deed: Deed, done: Done) -> Result:
    """Something that was done. Of a group, each deed has its own run, or what came in place of one."""
    run = done.runs.get(deed.native_id or "", done.run)
    if isinstance(run, errors.AdapterError):
        return unknown(deed, deed.instance.named(run))
    return Result(
        instance=deed.instance.name,
        native_id=done.native_id or deed.native_id,
        run=run,
        is_attached=done.is_attached,
        was_read_back=done.was_read_back,
        url=done.url,
        is_final=True,
    )


def rejected(deed: Deed, error: errors.AdapterError) -> Result:
    """Something that the upstream does not take, which is the client's mistake as far as anybody can tell."""
    problem = Problem(deed.place or deed.id_place, ProblemCode.REFUSED_UPSTREAM, from_adapter(error).message)
    return msgspec.structs.replace(with_problems(deed, [problem]), is_final=True)


def failure(deed: Deed, error: errors.AdapterError) -> Result:
    """Something that was certainly not carried out."""
    told = Failure(code=code_of(error).value, message=from_adapter(error).message, extensions=details(error))
    return Result(instance=deed.instance.name, native_id=deed.native_id, failure=told)


def unknown(deed: Deed, cause: errors.AdapterError) -> Result:
    """Something of which nobody can tell whether it was done, because of ``cause``."""
    extensions = {
        **details(cause),
        "retryable": False,
        "cause": code_of(cause).value,
        "readBack": _how_to_read_back(deed),
    }
    message = (
        f"{deed.instance.name}: it was sent, and {cause.message}; looking for it did not settle whether it happened. "
        "Read it back before you send it again."
    )
    told = Failure(code=Code.OUTCOME_UNKNOWN.value, message=message, extensions=extensions)
    return Result(instance=deed.instance.name, native_id=deed.native_id, failure=told, is_final=True)


def _how_to_read_back(deed: Deed) -> str:
    """A query that shows whether it happened."""
    name, shown = deed.instance.name, "id name status enabled running updatedAt lastRun { id status startedAt }"
    if deed.native_id is None:
        where = f'filter: {{ instance: ["{name}"] }}, first: 100, maxAge: 0'
        return f"{{ connections({where}) {{ nodes {{ {shown} }} }} }}"
    return f'{{ connection(id: "{ids.encode(name, deed.native_id)}", maxAge: 0) {{ {shown} }} }}'


def reused(order: Order) -> Outcome:
    """An order whose key was sent before, with something else."""
    message = "This key was sent before, with another input: take a new one, or send what was sent first."
    problem = Problem(("idempotency_key",), ProblemCode.KEY_REUSED, message)
    return Outcome(results=tuple(with_problems(deed, [problem]) for deed in order.deeds))


def failed(order: Order, code: Code, message: str, *, retryable: bool) -> Outcome:
    """An order of which nothing was done now, for this reason."""
    told = Failure(code=code.value, message=message, extensions={"retryable": retryable})
    named = ((deed.instance.name, deed.native_id) for deed in order.deeds)
    return Outcome(results=tuple(Result(instance=name, native_id=id, failure=told) for name, id in named))
