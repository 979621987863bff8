"""The composition root: settings in, ASGI app out. Concrete classes are chosen here and nowhere else."""

import contextlib
import functools
import sqlite3
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from starlette.applications import Starlette

from adapters.dialling import trust
from adapters.errors import ConfigurationError
from adapters.http1 import Client
from adapters.model import Connection
from adapters.port import Provider, Workshop
from adapters.transport import Hook
from adapters.walk import Bounds
from gateway import config, ledger, observability
from gateway.answers import Answers
from gateway.config import Settings
from gateway.context import Context
from gateway.execution.compiled import Plans, compiled
from gateway.execution.engine import Engine
from gateway.instances import Instance, Instances
from gateway.inventory import Ages, Inventory
from gateway.ledger import Ledger
from gateway.paging import Edge
from gateway.protection.identity import Keys
from gateway.routes import Endpoint, Gateway
from gateway.schema.providers import PROVIDERS
from gateway.schema.scalars import AS_ENCODED
from gateway.schema.schema import Subgraph, build
from gateway.versions import Versions
from gateway.writes import Writes


def http_client(settings: Settings) -> Client:
    """The one HTTP client of a process. Proxies, .netrc and certificates of the environment are not its business:
    credentials go nowhere but where the configuration says. Concurrency is bounded by each instance's bulkhead.
    Raises ConfigurationError."""
    ca_file = settings.upstreams.ca_file
    try:
        return Client(None if ca_file is None else trust(ca_file))
    except (OSError, ValueError) as error:
        told = "holds no certificate" if isinstance(error, ssl.SSLError) else "cannot be read"
        raise ConfigurationError(f"upstreams.ca_file: {told}") from None


@functools.cache
def schema() -> Subgraph:
    """The schema, made once in a process: it depends on nothing but the providers that are installed."""
    return build()


def plans() -> Plans:
    """No plans yet, for what the schema's resolvers give."""
    return Plans(AS_ENCODED, constant=(Connection, Edge), shares_arguments=True)


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
        connected[name] = Instance(name, provider, adapter, configured.read_only)
    return connected


def shared(kept: config.Writes) -> tuple[Ledger, Versions]:
    """What workers share of what was changed. Raises ConfigurationError where the file cannot be used."""
    if kept.ledger is None:
        return Ledger(None, kept.keep_outcomes), Versions()
    path = Path(kept.ledger)
    try:
        ledger.opened(path).close()
        return Ledger(path, kept.keep_outcomes), Versions(path.with_name(path.name + "-versions"))
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(f"writes.ledger: cannot be used ({type(error).__name__})") from None


@contextlib.asynccontextmanager
async def serving(client: Client, inventory: Inventory, outcomes: Ledger, writes: Writes) -> AsyncGenerator[None]:
    """What a gateway holds while it serves. In the end all of it is closed, whatever becomes of each, and then what was
    raised is raised."""
    async with contextlib.AsyncExitStack() as held:  # which closes the last first
        held.callback(observability.write_all)
        await held.enter_async_context(client)
        held.callback(inventory.close)
        held.callback(outcomes.close)
        held.push_async_callback(writes.close)
        yield


def create(settings: Settings, hooks: Sequence[Hook] = (observability.log_call,)) -> Starlette:
    """The gateway over ``settings``. Raises ConfigurationError."""
    client = http_client(settings)
    instances = connect(settings, client, PROVIDERS, hooks)
    limits = settings.limits
    kept = settings.inventory
    ages = Ages(kept.max_age, kept.max_stale, kept.walk_timeout)
    outcomes, versions = shared(settings.writes)
    inventory = Inventory(ages, Bounds(kept.max_rows, kept.max_bytes), versions)
    executor = compiled(plans()) if settings.execution.compiled else None
    writes = Writes(inventory, outcomes, settings.writes.settle)
    new_context = functools.partial(Context, instances, inventory, writes, max_first=limits.first)
    engine = Engine(schema(), limits, new_context, executor)
    keys = Keys(settings.auth.keys, settings.auth.read_only)
    answers = Answers(instances, inventory)
    endpoint = Endpoint(engine, limits, keys, answers, explains=settings.auth.explain, show_graphiql=settings.graphiql)

    def lifespan(_: Starlette) -> contextlib.AbstractAsyncContextManager[None]:
        return serving(client, inventory, outcomes, writes)

    app = Gateway(endpoint, lifespan=lifespan)
    app.state.instances = instances
    return app
