"""What can be changed: what is wished for, what would be sent for it, and what came of it.

An adapter makes a `Draft` of a wish, which takes reads at the most. Whoever holds the draft shows it or sends it,
once; so what a rehearsal lists is what would be sent, and nothing is sent twice. Where an answer is lost, the draft
reads back whether it happened all the same.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias, cast

import msgspec
from msgspec import Meta

from adapters.capabilities import Capability, Refusal
from adapters.errors import AdapterError, Unsupported
from adapters.model import Connection, Record, Run, Word
from adapters.requests import Request
from adapters.secret import masked


class Side(Word):
    """Which side of a connection an endpoint is."""

    SOURCE = "SOURCE", "Data is read from it."
    DESTINATION = "DESTINATION", "Data is written to it."


# --- what is wished for ---


class Create(Record, frozen=True):
    """A new connection. ``input`` is the provider's own record of it."""

    input: msgspec.Struct
    action: ClassVar[Capability] = Capability.CREATE


class Update(Record, frozen=True):
    """A connection changed: what is `msgspec.UNSET` in ``input`` stays as it is, and None clears."""

    connection: Connection
    input: msgspec.Struct
    action: ClassVar[Capability] = Capability.UPDATE


class Enable(Record, frozen=True):
    """A connection switched on or off."""

    connection: Connection
    enabled: bool
    action: ClassVar[Capability] = Capability.ENABLE


class Start(Record, frozen=True):
    """A run started; ``input`` has what the provider can be told about it."""

    connection: Connection
    input: msgspec.Struct | None = None
    action: ClassVar[Capability] = Capability.RUN


class StartMany(Record, frozen=True):
    """Runs started by one call: wishes of one group of `Writer.grouped`."""

    starts: Sequence[Start]
    action: ClassVar[Capability] = Capability.RUN_MANY


class Cancel(Record, frozen=True):
    """A run cancelled; without an id the one that goes on."""

    connection: Connection
    run_id: str | None = None
    action: ClassVar[Capability] = Capability.CANCEL_RUN


class Reset(Record, frozen=True):
    """What a connection has written, cleared."""

    connection: Connection
    action: ClassVar[Capability] = Capability.RESET


class Delete(Record, frozen=True):
    """A connection deleted."""

    connection: Connection
    action: ClassVar[Capability] = Capability.DELETE


class Check(Record, frozen=True):
    """An endpoint checked, by its id."""

    side: Side
    id: str
    action: ClassVar[Capability] = Capability.CHECK_ENDPOINT


class Discover(Record, frozen=True):
    """What a source offers, discovered; ``anew`` also where that is still known from the last time."""

    source_id: str
    anew: bool = False
    action: ClassVar[Capability] = Capability.DISCOVER_SCHEMA


Wish: TypeAlias = Create | Update | Enable | Start | StartMany | Cancel | Reset | Delete | Check | Discover


# --- what is wrong with it ---


class ProblemCode(Word):
    """What is wrong with what was sent, or with what it was sent for."""

    REQUIRED = "REQUIRED", "Something is missing."
    INVALID = "INVALID", "This cannot be used."
    UNKNOWN_ID = "UNKNOWN_ID", "Nothing has this id, or nothing of this kind and in this place."
    WRONG_PROVIDER = "WRONG_PROVIDER", "This goes with another provider than the one asked."
    CONTRADICTION = "CONTRADICTION", "Two things were said that exclude each other."
    TOO_MANY = "TOO_MANY", "These are more than are taken at once."
    CANNOT_CLEAR = "CANNOT_CLEAR", "The upstream cannot clear this; leave it out to keep it as it is."
    OUT_OF_DATE = "OUT_OF_DATE", "It was changed since; read it again and decide anew."
    KEY_REUSED = "KEY_REUSED", "The idempotency key was sent before, with something else."
    REFUSED_UPSTREAM = (
        "REFUSED_UPSTREAM",
        "The upstream does not take this; it does not say why in words meant for you.",
    )
    PROVIDER_LACKS_IT = Refusal.PROVIDER_LACKS_IT.value, Refusal.PROVIDER_LACKS_IT.description
    NOT_PERMITTED = Refusal.NOT_PERMITTED.value, Refusal.NOT_PERMITTED.description
    DELETED = Refusal.DELETED.value, Refusal.DELETED.description
    LOCKED = Refusal.LOCKED.value, Refusal.LOCKED.description
    PAUSED = Refusal.PAUSED.value, Refusal.PAUSED.description
    RUNNING_ALREADY = Refusal.RUNNING_ALREADY.value, Refusal.RUNNING_ALREADY.description
    NOT_RUNNING = Refusal.NOT_RUNNING.value, Refusal.NOT_RUNNING.description
    SCHEMA_CHANGE_BREAKING = Refusal.SCHEMA_CHANGE_BREAKING.value, Refusal.SCHEMA_CHANGE_BREAKING.description


Place: TypeAlias = tuple[str | int, ...]
"""Names of fields, as the record has them, and places in lists."""


class Problem(Record, frozen=True):
    """One thing that is wrong; ``place`` leads to it from the record that was given."""

    place: Place
    code: ProblemCode
    message: str


class Unfit(Exception):
    """A wish cannot be fulfilled as it is, and nothing was sent."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("the wish cannot be fulfilled")
        self.problems = problems


def refuse(problems: Iterable[Problem]) -> None:
    """Raises Unfit where there are any."""
    found = tuple(problems)
    if found:
        raise Unfit(*found)


# --- what would be sent, and what came of it ---


class Change(Record, frozen=True, kw_only=True):
    """One difference between what is and what is wished for."""

    field: Annotated[str, Meta(description="The upstream's own name of the field; dots lead into it.")]
    before: Annotated[Any, Meta(description="What stands there now; null where there is nothing.")] = None
    after: Annotated[Any, Meta(description="What would stand there.")] = None


def change(field: str, before: Any, after: Any) -> Change:
    """A difference as it may be shown: what sounds like a credential is masked, by the field's own name too."""
    shown = cast("dict[str, Any]", masked({field: before, "after": {field: after}}))
    return Change(field=field, before=shown[field], after=shown["after"][field])


class Checked(Record, frozen=True, kw_only=True):
    """What came of checking an endpoint."""

    succeeded: Annotated[bool, Meta(description="Whether it can be reached and used.")]
    message: Annotated[str | None, Meta(description="What it said, with credentials masked.")] = None


class Done(NamedTuple):
    """What came of a wish. ``native_id`` is of a connection that is new; ``is_attached`` says that the run went on
    already; ``was_read_back`` that the answer was lost and it was seen to have happened. ``runs`` are those of a group,
    by native id, or what came in place of one."""

    native_id: str | None = None
    run: Run | None = None
    is_attached: bool = False
    was_read_back: bool = False
    url: str | None = None
    checked: Checked | None = None
    catalog: msgspec.Struct | None = None
    catalog_id: str | None = None
    runs: Mapping[str, Run | AdapterError] = {}


class Lost(NamedTuple):
    """Why it is to be read back: the answer is not there, or it was a conflict, which may be with the very thing."""

    is_conflict: bool = False


ReadBack: TypeAlias = Callable[[Lost], Awaitable[Done | None]]
"""Gives what came of it where that can be seen, None where it cannot. May raise AdapterError."""


async def cannot_tell(_: Lost) -> Done | None:
    """Nothing that could be read would tell whether it happened."""
    return None


class Draft(NamedTuple):
    """What would be sent for a wish. ``read`` makes of the answer's body what came of it, and raises ContractBroken
    where nothing can be made of it. ``changes`` is empty where there is nothing to compare with."""

    request: Request
    read: Callable[[bytes], Done]
    read_back: ReadBack = cannot_tell
    changes: tuple[Change, ...] = ()
    done: Done | None = None
    """Where this is there, it is so already, and there is nothing to send."""


class ReadsOnly:
    """For adapters of providers that can change nothing."""

    def refuses(self, action: Capability) -> Refusal | None:
        """Nothing is left to refuse."""
        return None

    async def draft(self, wish: Wish) -> Draft:
        """Raises Unsupported."""
        raise Unsupported("the provider can change nothing")

    def grouped(self, starts: Sequence[Start]) -> Sequence[Sequence[Start]]:
        """Each alone."""
        return [[start] for start in starts]
