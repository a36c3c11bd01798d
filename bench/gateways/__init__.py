"""The gateways measured, each a context manager: started with the world, stopped on the way out."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.gateways import accord, envoy, naive, nginx
from bench.gateways.port import Gateway

ACCORD = "accord-sqlite"
ENVOY = "envoy"
NAIVE = "naive"

GATEWAYS: Mapping[str, Gateway] = MappingProxyType(
    {
        "nginx": Gateway("nginx, plain proxy", nginx.start),
        ENVOY: Gateway("Envoy, ES256 + access log", envoy.start),
        "envoy-cache": Gateway("Envoy, the same with its JWT cache", envoy.start_with_cache),
        NAIVE: Gateway("naive FastAPI, httpx, PyJWT, SQLModel", naive.start),
        ACCORD: Gateway("Accord, SQLite", accord.start_on_sqlite),
        "accord-postgresql": Gateway("Accord, PostgreSQL", accord.start_on_postgresql),
    }
)
"""By the name that ``--only`` takes, in the order of the table."""
