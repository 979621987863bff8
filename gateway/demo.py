"""`gateway demo`: imitation upstreams with living data on loopback, and the gateway over them by real HTTP."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from adapters.imitation import serve
from adapters.port import Imitation, Provider
from gateway import app, config
from gateway.protocol import Spoken


def imitations(providers: Mapping[str, Provider]) -> dict[str, Imitation]:
    """An imitation for each provider, by the name of its instance."""
    return {f"{provider.key.replace('_', '-')}-demo": provider.demo() for provider in providers.values()}


@contextlib.asynccontextmanager
async def upstreams(servers: Mapping[str, Imitation]) -> AsyncGenerator[dict[str, Any]]:
    """Serve imitations; gives the instances over them, as they would stand in a configuration."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            name: server.settings(await stack.enter_async_context(server.serve())) for name, server in servers.items()
        }


@contextlib.asynccontextmanager
async def running(providers: Mapping[str, Provider], port: int = 0) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    """The whole demo: gives the gateway's base URL and the instances' configuration."""
    async with upstreams(imitations(providers)) as instances:
        settings = config.settings({"instances": instances, "auth": {"explain": "everyone"}}, providers)
        async with serve(app.create(settings), port, http=Spoken) as url:
            yield url, instances
