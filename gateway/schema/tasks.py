"""Tasks, which are followed by their ids."""

import datetime as dt
from typing import Any, Optional

import msgspec
import strawberry
from strawberry.types import Info

from adapters import model, writing
from adapters.capabilities import Capability
from gateway import instances, tasks
from gateway.context import Context
from gateway.schema.fields import described
from gateway.schema.instance import Instance
from gateway.schema.providers import Catalog
from gateway.schema.records import object_type, word


@strawberry.type(description="Why a task did not come to an end.")
class TaskError:
    code: str = described("The code, as in `extensions.code` of errors.")
    message: str = described("What happened, for people.")


@strawberry.type(
    description=(
        "Work that an upstream takes minutes for: ask for it again by its id until its status is neither QUEUED nor "
        "RUNNING. UNKNOWN says that nobody can tell what came of it: its answer was lost, or whoever waited for it has "
        "ended."
    )
)
class Task:
    id: strawberry.ID = described("Its id, by which `task` gives it again, to who began it.")
    action: object = described("What is done.", word(Capability))
    status: object = described("How far it came.", word(model.RunStatus))
    started_at: dt.datetime = described("When it was begun.")
    ended_at: dt.datetime | None = described("When it came to its end; null while it goes on.")
    checked: object = described(
        "What came of checking an endpoint; of a discovery, why there is no catalog.",
        Optional[object_type(writing.Checked)],
    )
    catalog_id: str | None = described("Of a discovery: the upstream's own id of the catalog, for sourceCatalogId.")
    error: TaskError | None = described("Why it did not come to an end; null where it did.")

    @strawberry.field(description="Of a discovery: what the source offers.", graphql_type=Optional[Catalog])
    @staticmethod
    def catalog(parent: strawberry.Parent[tasks.Task], info: Info[Context, None]) -> Any:
        instance = info.context.instances.get(parent.instance)
        kind = instance.provider.catalog if instance is not None else None
        return msgspec.json.decode(parent.catalog, type=Optional[kind]) if kind is not None else None

    @strawberry.field(
        description="Where it is done; null if that is configured no more.", graphql_type=Optional[Instance]
    )
    @staticmethod
    def instance(parent: strawberry.Parent[tasks.Task], info: Info[Context, None]) -> instances.Instance | None:
        return info.context.instances.get(parent.instance)
