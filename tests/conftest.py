"""The imitation upstreams on loopback, started once, and a gateway over them for each test that asks for one."""

import contextlib
import gc
import shutil
import subprocess
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import Knobs, ListImitation, serve
from adapters.transport import Hook
from adapters.unified_to.demo import UnifiedToImitation
from adapters.workiva.demo import WorkivaImitation
from gateway import app, config, observability
from gateway.protocol import Spoken
from gateway.schema.providers import PROVIDERS

AIRBYTE, WORKIVA, UNIFIED_TO = "airbyte-prod", "workiva-us", "unified-us"

Upstreams: TypeAlias = Mapping[str, tuple[ListImitation, str]]
"""Imitations by instance, and their base URLs."""


class Clock:
    """A clock that stands still until a test moves it, so that living data holds still too."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Fleet:
    """A gateway and the imitation upstreams behind it, as a user has them: over HTTP."""

    def __init__(
        self,
        url: str,
        servers: Mapping[str, ListImitation],
        client: httpx.AsyncClient,
        instances: Mapping[str, Any] = {},
    ) -> None:
        self.url = url
        self.instances = instances
        """Their configuration, where a test is to serve another gateway over them."""
        self.servers = servers
        self.client = client

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The whole response to a query."""
        response = await self.client.post(f"{self.url}/graphql", json={"query": query, "variables": variables})
        return response.json()

    async def data(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data of a query that must not have errors."""
        answered = await self.ask(query, variables)
        assert "errors" not in answered, answered["errors"]
        return answered["data"]

    def calls(self, instance: str, part: str = "") -> int:
        """How many calls the instance's upstream has answered whose method and path contain ``part``."""
        return self.servers[instance].journal.count(part)

    def forget(self) -> None:
        """Empty all journals."""
        for server in self.servers.values():
            server.journal.clear()


@pytest.fixture(scope="module", autouse=True)
def settled() -> None:
    """What the modules before have left for good (reports, caches, schemas) is out of each collection of garbage: of
    all that thousands of tests leave, one takes longer than some calls of tests may."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
async def upstreams(clock: Clock) -> AsyncGenerator[Upstreams]:
    """The imitations, shared by all tests."""
    servers: dict[str, ListImitation] = {
        AIRBYTE: AirbyteImitation(clock=clock, token_lasts_s=86_400),
        WORKIVA: WorkivaImitation(clock=clock, token_lasts_s=86_400),
        UNIFIED_TO: UnifiedToImitation(clock=clock),
    }
    async with contextlib.AsyncExitStack() as stack:
        yield {name: (server, await stack.enter_async_context(server.serve())) for name, server in servers.items()}


@pytest.fixture
async def fleet(upstreams: Upstreams) -> AsyncGenerator[Fleet]:
    """A fresh gateway over the three upstreams, their knobs at rest and their journals empty. It reads upstream for
    every request, so that a knob turned between two of them shows."""
    async with fleet_over(upstreams, inventory={"max_age": 0}) as fleet:
        yield fleet


@pytest.fixture
async def kept_fleet(upstreams: Upstreams) -> AsyncGenerator[Fleet]:
    """As `fleet`, but what was read is fresh for longer than any test takes."""
    async with fleet_over(upstreams, inventory={"max_age": 600}) as fleet:
        yield fleet


@contextlib.asynccontextmanager
async def fleet_over(
    upstreams: Upstreams, *, each: Mapping[str, Any] = {"timeout": 2.0, "retries": 0}, **sections: Any
) -> AsyncGenerator[Fleet]:
    """A fresh gateway over imitations that are being served, at rest, with these sections of its configuration and
    these settings of each instance."""
    servers = {name: server for name, (server, _) in upstreams.items()}
    for server in servers.values():
        server.knobs = Knobs()
    instances = {name: {**server.settings(url), **each} for name, (server, url) in upstreams.items()}
    async with gateway_over(instances, **sections) as url, httpx.AsyncClient(timeout=30) as client:
        fleet = Fleet(url, servers, client)
        fleet.forget()
        yield fleet


@contextlib.asynccontextmanager
async def gateway_over(
    instances: Mapping[str, Any], hooks: Sequence[Hook] = (observability.log_call,), **sections: Any
) -> AsyncGenerator[str]:
    """A gateway of its own over ``instances``, each as it would stand in the configuration; gives its URL."""
    settings = config.settings({"instances": dict(instances), **sections}, PROVIDERS)
    async with serve(app.create(settings, hooks), http=Spoken) as url:
        yield url


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The npm packages of tests/node, installed where they are not yet, or where the lock has changed since."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node is not installed")
    here = Path(__file__).parent / "node"
    lock, installed = here / "package-lock.json", here / "node_modules" / ".installed-lock.json"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        # Scripts of packages are not run: one could download what the lock does not name.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        ran = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=600, check=False)
        assert ran.returncode == 0, ran.stderr
        shutil.copyfile(lock, installed)
    return installed.parent
