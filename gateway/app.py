"""The composition root: settings in, ASGI app out. Concrete classes are chosen here and nowhere else."""

import contextlib
import functools
from collections.abc import AsyncGenerator, Mapping, Sequence

from starlette.applications import Starlette

from adapters.errors import ConfigurationError
from adapters.http1 import Client
from adapters.model import Connection
from adapters.port import Provider, Workshop
from adapters.transport import Hook
from adapters.walk import Bounds
from gateway import observability
from gateway.config import Settings
from gateway.context import Context
from gateway.execution.compiled import Plans, compiled
from gateway.execution.engine import Engine
from gateway.instances import Instance, Instances
from gateway.inventory import Ages, Inventory
from gateway.protection.identity import Keys
from gateway.routes import Endpoint, Gateway
from gateway.schema.providers import PROVIDERS
from gateway.schema.scalars import AS_ENCODED
from gateway.schema.schema import Subgraph, build


def http_client() -> Client:
    """The one HTTP client of a process. Proxies, .netrc and certificates of the environment are not its business:
    credentials go nowhere but where the configuration says. Concurrency is bounded by each instance's bulkhead."""
    return Client()


@functools.cache
def schema() -> Subgraph:
    """The schema, made once in a process: it depends on nothing but the providers that are installed."""
    return build()


def connect(
    settings: Settings, client: Client, providers: Mapping[str, Provider], hooks: Sequence[Hook] = ()
) -> Instances:
    """The configured instances over ``client``. Raises ConfigurationError."""
    connected: dict[str, Instance] = {}
    for name, configured in settings.instances.items():
        provider = providers[type(configured).__struct_config__.tag]  # pyright: ignore[reportArgumentType]  its key
        try:
            adapter = provider.build(Workshop(name, client, hooks), configured)
        except ConfigurationError as error:
            raise ConfigurationError(f"instances.{name}: {error}") from None
        connected[name] = Instance(name, provider, adapter)
    return connected


def create(settings: Settings, hooks: Sequence[Hook] = (observability.log_call,)) -> Starlette:
    """The gateway over ``settings``. Raises ConfigurationError."""
    client = http_client()
    instances = connect(settings, client, PROVIDERS, hooks)
    limits = settings.limits
    kept = settings.inventory
    ages = Ages(kept.max_age, kept.max_stale, kept.walk_timeout)
    inventory = Inventory(ages, Bounds(kept.max_rows, kept.max_bytes))
    plans = Plans(AS_ENCODED, constant=(Connection,), shares_arguments=True)
    executor = compiled(plans) if settings.execution.compiled else None
    new_context = functools.partial(Context, instances, inventory, max_first=limits.first)
    engine = Engine(schema(), limits, new_context, executor)
    keys = Keys(settings.auth.keys)
    endpoint = Endpoint(engine, limits, keys, explains=settings.auth.explain, show_graphiql=settings.graphiql)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with client:
            yield
            inventory.close()

    app = Gateway(endpoint, lifespan=lifespan)
    app.state.instances = instances
    return app
