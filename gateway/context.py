"""What one request carries from the endpoint to the resolvers."""

import datetime as dt
import itertools
import time
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any, TypeAlias

from graphql import GraphQLError
from strawberry.types import Info

from adapters.errors import AdapterError
from adapters.port import LIST_FIELDS, Fields, Work
from gateway import errors, filters, grounds
from gateway.deeds import NOBODY, Caller
from gateway.explain import Explanation, Note
from gateway.grounds import Ground
from gateway.info import raw
from gateway.instances import Instances
from gateway.inventory import Ask, Inventory
from gateway.loaders import Loaders
from gateway.lookups import Gathering, Lookup, OneCall, Several, Wanted, Written
from gateway.sources import Need
from gateway.writes import Writes

_Alike: TypeAlias = tuple[str, str, type[AdapterError]]
"""What failures have in common that are one error: the instance, the operation and the kind."""


class Context:
    """The instances, a fresh set of loaders, and the errors that go beside the data.

    Made inside the running loop, and closed when the answer is ready or nobody waits for it any more.
    """

    def __init__(
        self,
        instances: Instances,
        inventory: Inventory,
        writes: Writes,
        *,
        max_first: int,
        explanation: Explanation | None = None,
        caller: Caller = NOBODY,
        idempotency_key: str | None = None,
        began: float | None = None,
        loaders: Loaders | None = None,
        tells_grounds: bool = False,
    ) -> None:
        self.instances = instances
        self.inventory = inventory
        self.writes = writes
        self.caller = caller
        self.idempotency_key = idempotency_key
        """What the request's header says; a mutation's input may have one of its own."""
        self.max_first = max_first
        self.explanation = explanation
        self.is_planning = explanation is not None and explanation.is_plan
        """Whether the calls that would be made are to be told, and none made."""
        self.tells_grounds = tells_grounds
        """Whether fields of the operation are to tell what they rest on."""
        self.now = dt.datetime.now(dt.UTC)
        """The moment of the request, the same for all of its fields."""
        self._began = time.monotonic() if began is None else began
        self._usual_ask = Ask(inventory.ages.max_age, self._began)
        self.loaders = loaders or Loaders(instances, inventory)
        self.errors: list[GraphQLError] = []
        self.abilities: dict[Hashable, Sequence[Any]] = {}
        """What can be done, by the instance and by what a connection's state forbids: many rows share it."""
        self._grounds: defaultdict[str, list[Ground | None]] = defaultdict(list)
        """What each field of the operation rests on."""
        self._wanted: dict[str, Wanted | Several | Gathering] = {}
        """What each field of the operation asks for, of those for which that can be told."""
        self._failed: dict[tuple[str, _Alike], GraphQLError] = {}
        """What failed beside the data, each once for a field of the operation."""

    def ask(self, max_age: int | None) -> Ask:
        """How old what is answered may be: as old as asked for, else as configured."""
        if max_age is not None:
            return Ask(max_age, self._began, takes_refreshing=False)
        return self._usual_ask

    def rest_on(self, grounds: Sequence[Ground | None], info: Info[Any, Any]) -> None:
        """Take note of what the present field rests on; None is among it for something that no list holds."""
        self._grounds[str(raw(info).path.key)] += grounds

    def grounds(self, fields: Collection[str]) -> Sequence[Ground] | None:
        """All that these fields of the operation rest on; None where that is not known of each of them."""
        if not self._grounds.keys() >= set(fields):
            return None
        return grounds.joined(itertools.chain.from_iterable(self._grounds.values()))

    def want(self, wanted: Wanted | Several | Gathering, info: Info[Any, Any]) -> None:
        """Take note of what the present field asks for."""
        self._wanted[str(raw(info).path.key)] = wanted

    def lookup(self, fields: Collection[str], written: Written) -> Lookup | None:
        """How all is come by that these fields ask for, which are those of the operation; None where one asks for
        something else."""
        if not fields or not self._wanted.keys() >= set(fields):
            return None
        wanted = {field: self._wanted[field] for field in fields}
        only = next(iter(wanted.values())) if len(wanted) == 1 else None
        call = OneCall.of(only, self.instances[only.place[0]]) if isinstance(only, Wanted) else None
        return Lookup(wanted, written, call)

    def noting(self, info: Info[Any, Any]) -> Note | None:
        """Where the present field tells how it came by its lists; None where nobody wants to know."""
        told = self.explanation
        return None if told is None else lambda read: told.read(str(info.path.key), read)

    def plan_lists(self, need: Need) -> None:
        """Take note of the lists that a field would read."""
        for instance in self.instances.values():
            if self.explanation is not None and filters.may_match(need.where, instance):
                narrowing = instance.adapter.narrow(need.where)
                lists = self.inventory.unread(instance, narrowing, need.ask)
                known = LIST_FIELDS if lists is not None else self.inventory.joined(instance, narrowing)
                self.explanation.plan(instance, Work(lists, (need.joins | need.fields) - known))

    def plan_connection(self, instance: str, native_id: str, fields: Fields, ask: Ask) -> None:
        """Take note of a connection that a field would load."""
        if self.explanation is not None:
            self.explanation.plan(self.instances[instance], self.loaders.work((instance, native_id), fields, ask))

    def report(self, failures: Sequence[AdapterError], info: Info) -> None:
        """Put failures beside the data, at the field of ``info``, without taking anything from it."""
        for failure in failures:
            alike = failure.instance, failure.operation, type(failure)  # as several lists of an instance fail
            failed = str(info.path.as_list()[0]), alike
            if failed not in self._failed:
                self._failed[failed] = self.placed(errors.from_adapter(failure), info)

    def told(self, fields: Iterable[str]) -> list[GraphQLError]:
        """The errors that go beside the data of these fields, in their order. What failed alike is told once: several
        fields may have waited for the same call."""
        if not self._failed:
            return self.errors
        places = {field: place for place, field in enumerate(fields)}
        once: dict[_Alike, GraphQLError] = {}
        for (_, alike), failed in sorted(self._failed.items(), key=lambda each: places.get(each[0][0], 0)):
            once.setdefault(alike, failed)
        return [*self.errors, *once.values()]

    def placed(self, error: GraphQLError, info: Info) -> GraphQLError:
        """The error, told at the field of ``info``."""
        return GraphQLError(
            error.message,
            nodes=raw(info).field_nodes,
            path=info.path.as_list(),
            extensions=error.extensions,
            original_error=error.original_error,
        )

    def close(self) -> None:
        """End what is still under way for this request."""
        self.loaders.close()
