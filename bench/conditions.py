"""Under which conditions the figures were taken: without them they compare with nothing."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench import holder, load
from bench.gateways import envoy
from bench.postgresql import programs_folder
from bench.processes import CannotRun, Cores
from bench.rounds import Plan
from bench.world import DISTINCT_TOKENS, holder_answer

_PACKAGES = ("uvicorn", "fastapi", "httpx", "pyjwt", "sqlmodel", "httptools", "cryptography", "orjson", "psycopg")
_VERSION = re.compile(r"\d+\.\d+[.\d]*")


def conditions(plan: Plan, cores: Cores, folder: Path) -> dict[str, str]:
    """What a reader must know, in the order it is printed."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "pinning": _pinning(cores),
        "load": f"{load.generator()}, {plan.connections} connections, {DISTINCT_TOKENS} distinct ES256 tokens, "
        f"{plan.rounds} interleaved rounds of {plan.seconds:g} s, medians",
        "holder": f"{holder.kind()}, a fixed body of {len(holder_answer())} bytes",
        "disk": f"{_filesystem(folder)}, SQLite in WAL with synchronous=FULL",
        "versions": ", ".join([*_programs(), *(f"{name} {metadata.version(name)}" for name in _PACKAGES)]),
    }


def _pinning(cores: Cores) -> str:
    if cores.gateway == cores.rest:
        return f"everything on core {cores.gateway}, the only one: requests/s and latencies mean little"
    return f"gateway on core {cores.gateway}; load, holder and PostgreSQL on core {cores.rest}"


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _filesystem(folder: Path) -> str:
    """The kind of file system under ``folder``: of all mount points above it, the deepest."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    above = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    kind = max(above, key=lambda mount: len(mount[0]))[1]
    return f"{kind} (in memory: durable writes cost nothing here)" if kind in ("tmpfs", "ramfs") else kind


def _programs() -> list[str]:
    found = [
        ("nginx", lambda: _version_of(shutil.which("nginx"), "-v")),
        ("Envoy", lambda: _version_of(str(envoy.binary()), "--version")),
        ("PostgreSQL", lambda: _version_of(str(programs_folder() / "postgres"), "--version")),
    ]
    return [f"{name} {version}" for name, ask in found if (version := _or_none(ask))]


def _or_none(ask: Callable[[], str | None]) -> str | None:
    try:
        return ask()
    except CannotRun:
        return None


def _version_of(program: str | None, option: str) -> str | None:
    if program is None:
        return None
    said = subprocess.run([program, option], capture_output=True, text=True, check=False, timeout=20)
    # Envoy begins with its own path, which may hold numbers too.
    found = _VERSION.search((said.stdout + said.stderr).rpartition("version")[2])
    return found.group() if found else None
