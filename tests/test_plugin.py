"""A provider of somebody else's: installed as a package, it is in the graph, without a line changed here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapters.contract import AdapterContract
from tests.plugin.toy_connections import PROVIDER, TOKEN, ToyImitation
from tests.processes import demo

PLUGIN = Path(__file__).parent / "plugin"
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a process in which the plugin is installed, by pip, as any package is."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(PLUGIN, source)  # building leaves files beside what it builds from
    site = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--target", str(site)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, str(source)]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert installed.returncode == 0, installed.stderr
    return {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}


def schema(environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "gateway", "schema"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def test_an_installed_plugin_is_in_the_schema(environment: Mapping[str, str]):
    printed = schema(environment)
    assert "  TOY\n" in printed
    assert "type ToyConnection {" in printed
    members = next(line for line in printed.splitlines() if line.startswith("union ConnectionDetails"))
    assert "ToyConnection" in members


def test_without_it_the_schema_does_not_know_it():
    assert "Toy" not in schema(os.environ)


async def test_the_demo_serves_an_installed_plugin_beside_the_others(environment: Mapping[str, str]):
    query = """{
        all: connections(first: 1) { sources { state instance { providerLabel } } }
        toys: connections(filter: { provider: [TOY] }) {
            nodes { provider name status details { ... on ToyConnection { diameterMm } } }
            totalCount
            sources { state }
        }
    }"""
    async with demo(environment) as url, httpx.AsyncClient() as client:
        answered = (await client.post(url, json={"query": query})).json()
    assert "errors" not in answered
    everything, toys = answered["data"]["all"], answered["data"]["toys"]
    assert [source["state"] for source in everything["sources"]] == ["OK"] * 4
    assert "Toy" in [source["instance"]["providerLabel"] for source in everything["sources"]]
    assert toys["nodes"][0] == {
        "provider": "TOY",
        "name": "Pipe 0",
        "status": "HEALTHY",
        "details": {"diameterMm": "0"},
    }
    assert (len(toys["nodes"]), toys["totalCount"]) == (12, 12)
    assert sorted(source["state"] for source in toys["sources"]) == ["OK", "SKIPPED", "SKIPPED", "SKIPPED"]


def test_two_providers_of_one_name_are_refused(environment: Mapping[str, str], tmp_path: Path):
    (tmp_path / "twin-1.0.dist-info").mkdir()
    (tmp_path / "twin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 1.0\n")
    entry = "[connection_gateway.providers]\ntwin = twin:PROVIDER\n"
    (tmp_path / "twin-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (tmp_path / "twin.py").write_text(
        "import msgspec, toy_connections\nPROVIDER = msgspec.structs.replace(toy_connections.PROVIDER, label='Twin')\n"
    )
    twice = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    command = [sys.executable, "-m", "gateway", "schema"]
    ran = subprocess.run(command, env=twice, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode != 0
    assert "two providers are called 'toy'" in ran.stderr


class TestToy(AdapterContract):
    """The plugin keeps what every adapter promises."""

    provider = PROVIDER
    list_path, id_name = "/pipes", "id"
    secrets = (TOKEN,)
    empty_bodies = frozenset({"[]"})

    def imitation(self, **options: Any) -> ToyImitation:
        size: int = options.pop("size", 60)
        return ToyImitation(size=size, **options)
