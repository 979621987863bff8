"""What the inputs of mutations mean: from each a deed, or what is wrong with it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from adapters import ids, writing
from adapters.capabilities import Capability
from adapters.model import Connection
from adapters.writing import Place, Problem, ProblemCode
from gateway.context import Context
from gateway.deeds import Deed
from gateway.instances import Instance
from gateway.schema.fields import given
from gateway.schema.inputs import record
from gateway.schema.providers import PROVIDERS


class Unfit(Exception):
    """An input says nothing that could be done."""

    def __init__(self, place: Place, code: ProblemCode, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(place, code, message)


class Meant(NamedTuple):
    """A connection that an input means, and where it says so."""

    instance: Instance
    native_id: str
    place: Place


# --- what an input means; each raises Unfit ---


def _instance(context: Context, name: str, place: Place = ("instance",)) -> Instance:
    instance = context.instances.get(name)
    if instance is None:
        raise Unfit(place, ProblemCode.UNKNOWN_ID, "There is no such instance.")
    return instance


def by_id(context: Context, id: str, place: Place) -> Meant:
    """The connection of a global id."""
    try:
        instance, native_id = ids.decode(id)
    except ids.MalformedId:
        raise Unfit(place, ProblemCode.INVALID, "This is not an id of this graph.") from None
    return _known(_instance(context, instance, place), native_id, place)


def _known(instance: Instance, native_id: str, place: Place) -> Meant:
    if not instance.knows(native_id):
        raise Unfit(place, ProblemCode.INVALID, f"This cannot be an id of {instance.provider.label}.")
    return Meant(instance, native_id, place)


def _meant(context: Context, asked: Any) -> Meant:
    """The connection of an input by id or by reference."""
    id, ref = given(asked.id), given(asked.ref)
    if id is not None and ref is not None:
        raise Unfit(("ref",), ProblemCode.CONTRADICTION, "Give either id or ref.")
    if id is not None:
        return by_id(context, id, ("id",))
    if ref is not None:
        return _known(_instance(context, ref.instance, ("ref", "instance")), ref.native_id, ("ref", "native_id"))
    raise Unfit(("id",), ProblemCode.REQUIRED, "Give either id or ref.")


def _own(asked: Any, instance: Instance) -> msgspec.Struct | None:
    """What an input says in the words of the instance's provider; None where it says nothing."""
    said = {key: value for key in PROVIDERS if (value := given(getattr(asked, key, None))) is not None}
    own = instance.provider.key
    foreign = next((key for key in said if key != own), None)
    if foreign is not None:
        raise Unfit((foreign,), ProblemCode.WRONG_PROVIDER, f"The instance is of {instance.provider.label}.")
    return record(said[own]) if own in said else None


def _required(asked: Any, instance: Instance, action: Capability) -> msgspec.Struct:
    """Likewise, of what cannot be done without."""
    own = _own(asked, instance)
    if own is None and action in instance.provider.capabilities:
        message = f"Say it in the words of {instance.provider.label}, here."
        raise Unfit((instance.provider.key,), ProblemCode.REQUIRED, message)
    return own or _NOTHING


class _Nothing(msgspec.Struct):
    """What is said to a provider that cannot do it anyway."""


_NOTHING = _Nothing()


# --- the deeds ---


def create(context: Context, asked: Any) -> Deed:
    """A new connection."""
    instance = _instance(context, asked.instance)
    own = _required(asked, instance, Capability.CREATE)
    place = (instance.provider.key,)
    return Deed(Capability.CREATE, instance, _always(writing.Create(own)), place=place, id_place=("instance",))


def update(context: Context, asked: Any) -> Deed:
    """A connection changed."""
    instance, native_id, id_place = _meant(context, asked)
    own = _required(asked, instance, Capability.UPDATE)

    def wish(now: Connection) -> writing.Wish:
        return writing.Update(now, own)

    place, expected = (instance.provider.key,), given(asked.expected_updated_at)
    return Deed(Capability.UPDATE, instance, wish, native_id, place, id_place, expected)


def enable(context: Context, asked: Any) -> Deed:
    """A connection switched on or off."""
    instance, native_id, id_place = _meant(context, asked)

    def wish(now: Connection) -> writing.Wish:
        return writing.Enable(now, asked.enabled)

    return Deed(Capability.ENABLE, instance, wish, native_id, id_place=id_place)


def run(context: Context, asked: Any) -> Deed:
    """A run started."""
    return start(_meant(context, asked), asked)


def start(meant: Meant, asked: Any) -> Deed:
    """Likewise, of the connection that is meant."""
    instance, native_id, id_place = meant
    own = _own(asked, instance)

    def wish(now: Connection) -> writing.Wish:
        return writing.Start(now, own)

    place = () if own is None else (instance.provider.key,)
    return Deed(Capability.RUN, instance, wish, native_id, place, id_place)


def cancel(context: Context, asked: Any) -> Deed:
    """A run cancelled."""
    instance, native_id, id_place = _meant(context, asked)

    def wish(now: Connection) -> writing.Wish:
        return writing.Cancel(now, given(asked.run_id))

    return Deed(Capability.CANCEL_RUN, instance, wish, native_id, id_place=id_place)


def reset(context: Context, asked: Any) -> Deed:
    """What a connection has written, cleared."""
    instance, native_id, id_place = _meant(context, asked)
    return Deed(Capability.RESET, instance, writing.Reset, native_id, id_place=id_place)


def delete(context: Context, asked: Any) -> Deed:
    """A connection deleted."""
    instance, native_id, id_place = _meant(context, asked)
    return Deed(Capability.DELETE, instance, writing.Delete, native_id, id_place=id_place)


def check(context: Context, asked: Any) -> Deed:
    """An endpoint checked."""
    wish = writing.Check(asked.side, asked.endpoint_id)
    return Deed(Capability.CHECK_ENDPOINT, _instance(context, asked.instance), _always(wish))


def discover(context: Context, asked: Any) -> Deed:
    """What a source offers, discovered."""
    wish = writing.Discover(asked.source_id, asked.anew)
    return Deed(Capability.DISCOVER_SCHEMA, _instance(context, asked.instance), _always(wish))


def _always(wish: writing.Wish) -> Callable[[Any], writing.Wish]:
    """The wish, whatever anything is like now."""
    return lambda _: wish  # pyright: ignore[reportUnknownLambdaType]
