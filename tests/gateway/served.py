"""A gateway over hand-written adapters, served as it is over real ones: for what no imitation of an upstream does."""

import contextlib
import functools
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

from adapters.imitation import serve
from adapters.walk import Bounds
from gateway import app
from gateway.answers import Answers
from gateway.context import Context
from gateway.execution.compiled import compiled
from gateway.execution.engine import Engine
from gateway.inventory import Ages, Inventory
from gateway.ledger import Ledger
from gateway.protection.identity import Keys
from gateway.protection.limits import Limits
from gateway.protocol import Spoken
from gateway.routes import Endpoint, Gateway
from gateway.writes import Writes
from tests.conftest import Fleet
from tests.gateway.listed import Listed, instances_of


@contextlib.asynccontextmanager
async def serving(*adapters: Listed, max_age: float = 0, limits: Mapping[str, Any] = {}) -> AsyncGenerator[Fleet]:
    """The gateway over these, which keeps nothing unless told to; over HTTP."""
    bounds = Limits(**limits)
    inventory = Inventory(Ages(max_age, max_age, 60), Bounds(100_000, 2**30))
    ledger = Ledger(None, 600)
    writes = Writes(inventory, ledger)
    instances = instances_of(*adapters)
    context = functools.partial(Context, instances, inventory, writes, max_first=bounds.first)
    engine = Engine(app.schema(), bounds, context, compiled(app.plans()))
    answers = Answers(instances, inventory)
    endpoint = Endpoint(engine, bounds, Keys({}), answers, explains="off", show_graphiql=False)
    async with serve(Gateway(endpoint), http=Spoken) as url, httpx.AsyncClient(timeout=30) as client:
        yield Fleet(url, {}, client)
    await writes.close()
    ledger.close()
    inventory.close()
