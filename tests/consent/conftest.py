from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Engine

from consent.config import ConsentConfig, FranceConnectConfig
from consent.keys import FixedKeys, SealingKeys, SigningKey, TokenKeys
from consent.store import ConsentStore
from exchange.database import open_engine
from tests.consent.world import ISSUER, OTHER_TOWN, TOWN, Application, FakeRegistry, World, make_client


@contextmanager
def migrated(url: str) -> Iterator[Engine]:
    """An engine on a database with consent's tables."""
    engine = open_engine(url)
    alembic = Config()
    alembic.set_main_option("script_location", "consent:migrations")
    alembic.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
    yield engine
    engine.dispose()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with migrated(f"sqlite:///{tmp_path / 'consent.sqlite'}") as engine:
        yield engine


@pytest.fixture
def store(engine: Engine) -> ConsentStore:
    return ConsentStore(engine)


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2048)


@pytest.fixture(scope="session")
def config() -> ConsentConfig:
    return ConsentConfig(
        issuer=ISSUER,
        audience=ISSUER,
        franceconnect=FranceConnectConfig("https://fc.example/api/v2", "accord", "secret"),
        keys=FixedKeys(
            TokenKeys((SigningKey("t2", _p256()), SigningKey("t1", _p256()))),
            SealingKeys({"s1": bytes(range(32))}, current="s1"),
        ),
        session_key=b"s" * 32,
        pseudonym_key=b"p" * 32,
    )


@pytest.fixture(scope="session")
def applications() -> tuple[Application, Application]:
    town, other = _p256(), _p256()
    return (
        Application(make_client("portail-famille", town, organisation=TOWN), town),
        Application(make_client("autre-portail", other, organisation=OTHER_TOWN), other),
    )


@pytest.fixture(scope="session")
def registry_of() -> Callable[[Iterable[Application]], FakeRegistry]:
    return lambda applications: FakeRegistry({one.client.client_id: one.client for one in applications})


@pytest.fixture
def world(config: ConsentConfig, store: ConsentStore, applications: tuple[Application, Application]) -> World:
    town, other = applications
    registry = FakeRegistry({one.client.client_id: one.client for one in applications})
    return World(config, store, registry, town, other)


def _p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
