"""Locks what pyproject.toml asks for: exact versions with hashes, for every platform, in three files.

`python scripts/lock.py` resolves anew, keeping the versions that are locked already where they still fit; `--upgrade`
takes the newest. It needs uv and the network. `--check` needs neither: it tells whether every dependency is locked
with a version that fits and with hashes, whether the files agree, and that none of them names a place to fetch from.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
DEV = "requirements-dev.lock"
# With extras kept: older pips refuse a package asked for with one and locked without, once a newer version is out.
COMPILE = (
    "--quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate"
    " --no-strip-extras"
)

Locks = Mapping[str, Sequence[str]]


class Pin(NamedTuple):
    """One locked version of a package; the marker says where it is the one, and is empty for everywhere."""

    version: str
    marker: str
    hashes: frozenset[str]


def wanted(project: Path = ROOT / "pyproject.toml") -> Locks:
    """The requirements of each lock file. The first holds those of all others, and they follow it."""
    told = tomllib.loads(project.read_text(encoding="utf-8"))
    run, build = told["project"]["dependencies"], told["build-system"]["requires"]
    dev = told["dependency-groups"]["dev"]
    return {DEV: [*run, *build, *dev], "requirements.lock": run, "requirements-build.lock": build}


def write(locks: Locks, options: Sequence[str]) -> None:
    """Resolve each lock. Raises CalledProcessError where uv cannot."""
    for name, requirements in locks.items():
        follow = [] if name == DEV else ["--constraint", DEV]
        command = [sys.executable, "-m", "uv", "pip", "compile", *COMPILE.split(), *options, *follow]
        text = "\n".join(requirements).encode()
        command += ["--output-file", name, "-"]
        subprocess.run(command, input=text, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def read(text: str) -> Mapping[str, Sequence[Pin]]:
    """The pins in a lock file, by canonical name: one, or one for each marker. Raises ValueError for other lines."""
    pins: dict[str, list[Pin]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        found, *hashes = re.split(r"\s+--hash=", line.strip())
        if not found or found.startswith("#"):
            continue
        requirement = Requirement(found)
        exact = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if exact is None or requirement.url:
            raise ValueError(f"{requirement.name} is not locked to one version")
        pin = Pin(exact[1], str(requirement.marker or ""), frozenset(hashes))
        pins.setdefault(canonicalize_name(requirement.name), []).append(pin)
    return pins


def problems(locks: Locks, texts: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the lock files in ``texts``, in a sentence each."""
    pinned: dict[str, Mapping[str, Sequence[Pin]]] = {}
    for name, requirements in locks.items():
        text = texts.get(name, "")
        if not text:
            yield f"{name}: is missing or empty"
        elif re.search(r"://|^-", text, re.MULTILINE):
            yield f"{name}: names a place to fetch from"
        else:
            try:
                pinned[name] = read(text)
            except ValueError as error:
                yield f"{name}: {error}"
            else:
                yield from (f"{name}: {problem}" for problem in _unfit(requirements, pinned[name]))
    everything = pinned.get(DEV, {})
    for name, pins in pinned.items():
        for package in (package for package, those in pins.items() if not _agree(those, everything.get(package, []))):
            yield f"{name}: {package} is not as in {DEV}"


def _unfit(requirements: Sequence[str], pins: Mapping[str, Sequence[Pin]]) -> Iterator[str]:
    for requirement in map(Requirement, requirements):
        found = pins.get(canonicalize_name(requirement.name), [])
        if not found:
            yield f"{requirement.name} is not locked"
        for pin in found:
            if not _fits(requirement.specifier, pin.version):
                yield f"{requirement.name} is locked at {pin.version}, where {requirement.specifier} is asked for"
    for package, those in pins.items():
        if any(not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for pin in those for digest in pin.hashes or [""]):
            yield f"{package} is locked without a hash"


def _fits(specifier: SpecifierSet, version: str) -> bool:
    return specifier.contains(version, prereleases=True)


def _agree(some: Sequence[Pin], others: Sequence[Pin]) -> bool:
    """Whether the versions and hashes are those of ``others``; markers differ where fewer packages ask for one."""
    known = {(pin.version, pin.hashes) for pin in others}
    return {(pin.version, pin.hashes) for pin in some} <= known


def main() -> int:
    parser = argparse.ArgumentParser(description="Lock what pyproject.toml asks for.")
    parser.add_argument("--check", action="store_true", help="only tell whether the locks fit; needs no network")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    given = parser.parse_args()
    locks = wanted()
    if not given.check:
        write(locks, ["--upgrade"] if given.upgrade else [])
    found = list(problems(locks, {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("*.lock")}))
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
