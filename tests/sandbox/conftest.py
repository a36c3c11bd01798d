"""A FranceConnect stand-in with one partner and three people."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from openapi.fields import PivotIdentity, cog_code
from sandbox.franceconnect import Partner, Person, Provider, router

ISSUER = "http://testserver/api/v2"
PARTNER = Partner(
    client_id="a-partner",
    client_secret="a-secret-of-this-test",
    redirect_uris=("http://localhost:8000/franceconnect/retour",),
    post_logout_redirect_uris=("http://localhost:8000/",),
)
OTHER_PARTNER = Partner(
    client_id="another-partner",
    client_secret="another-secret-of-this-test",
    redirect_uris=("http://localhost:8000/franceconnect/retour",),
)
FRANCE, ITALY = cog_code("99100", field="birthcountry"), cog_code("99127", field="birthcountry")
PEOPLE = (
    Person(
        "anne",
        "Anne MARCEAU",
        PivotIdentity(
            "MARCEAU",
            "female",
            FRANCE,
            ("Anne", "Lise"),
            "1984-07-23",
            cog_code("2A004", field="birthplace"),
            "DURIVAGE",
        ),
    ),
    Person("mona", "Mona TESTARD", PivotIdentity("TESTARD", "female", ITALY, ("Mona",), "1980-01-12")),
    Person("jean", "Jean MORVAN", PivotIdentity("MORVAN", "male", FRANCE, ("Jean",), "1951-00-00")),
)


@dataclass
class Clock:
    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(clock: Clock) -> Provider:
    return Provider(ISSUER, partners=[PARTNER, OTHER_PARTNER], people=PEOPLE, clock=clock)


@pytest.fixture
def client(provider: Provider) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(router(provider), prefix="/api/v2")
    with TestClient(app, follow_redirects=False) as client:
        yield client


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
