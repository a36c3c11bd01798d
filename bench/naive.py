"""The naive peer: the same exchange as a good FastAPI developer writes it first, by the frameworks' own tutorials.

It is meant to be fair: keys are read once, the HTTP client is shared and keeps its connections, uvicorn runs on
uvloop and httptools, the access log is off because the row is the log, and SQLite runs in WAL with synchronous=FULL.
The same checks as Accord's: signature and claims, status, policy, identity, mask. What it does not do is Accord's
Merkle tree and receipt.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwe
from joserfc.jwk import OctKey
from pydantic import BaseModel
from sqlalchemy import event
from sqlmodel import Field, Session, SQLModel, create_engine

SETTINGS: dict[str, Any] = json.loads(Path(os.environ["NAIVE_SETTINGS"]).read_text(encoding="utf-8"))
VERIFY_KEY = jwt.PyJWK(SETTINGS["token_jwk"])
SEALING_KEY = OctKey.import_key(SETTINGS["sealing_jwk"])
WITHDRAWN: set[int] = set()
HABILITATIONS = {(SETTINGS["recipient"], "quotient_familial", SETTINGS["purpose"]): set(SETTINGS["fields"])}

engine = create_engine(SETTINGS["database_url"], connect_args={"check_same_thread": False})


@event.listens_for(engine, "connect")
def durable(connection: Any, _record: Any) -> None:  # sqlite3's own connection, whatever wraps it
    """Durable on commit, readers beside the writer."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=5000")


class Access(SQLModel, table=True):
    """One row per exchange."""

    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(index=True)
    time: datetime
    dataset: str
    fields: str
    recipient: str
    client: str
    purpose: str
    grant_id: str
    citizen: str = Field(index=True)
    outcome: str


class Meta(BaseModel):
    """What surrounds the data."""

    access_id: str
    index: int
    provider: str
    retrieved_at: datetime


class Answer(BaseModel):
    """The answer."""

    data: dict[str, Any]
    meta: Meta


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Tables, and one client for the life of the process."""
    SQLModel.metadata.create_all(engine)
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=SETTINGS["holder_url"], limits=limits, timeout=10) as client:
        app.state.holder = client
        yield


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


def get_session() -> Iterator[Session]:
    """A session per request."""
    with Session(engine) as session:
        yield session


async def verified_claims(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict[str, Any]:
    """The token's claims, once everything about them was checked."""
    try:
        claims: dict[str, Any] = jwt.decode(
            credentials.credentials,
            VERIFY_KEY,
            algorithms=["ES256"],
            issuer=SETTINGS["issuer"],
            audience=SETTINGS["issuer"],
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "invalid token") from error
    if claims["status"]["status_list"]["idx"] in WITHDRAWN:
        raise HTTPException(403, "withdrawn")
    return claims


async def get_holder(request: Request) -> httpx.AsyncClient:
    """The shared client."""
    client: httpx.AsyncClient = request.app.state.holder
    return client


def permitted_fields(claims: dict[str, Any], dataset: str) -> tuple[dict[str, Any], list[str]]:
    """The consented detail and the fields that it and the habilitation both allow."""
    for detail in claims["authorization_details"]:
        if detail["type"] == f"urn:accord:{dataset}":
            habilitated = HABILITATIONS.get((detail["recipient"], dataset, detail["purpose"]), set())
            fields = [name for name in detail["datatypes"] if name in habilitated]
            if fields:
                return detail, fields
    raise HTTPException(403, "not permitted")


def open_identity(sealed: str) -> dict[str, Any]:
    """The pivot identity and the citizen's pseudonym."""
    opened = jwe.decrypt_compact(sealed, SEALING_KEY, algorithms=["dir", "A256GCM"])
    identity: dict[str, Any] = json.loads(opened.plaintext or b"{}")
    return identity


def holder_query(pivot: dict[str, Any], recipient: str) -> dict[str, Any]:
    """API Particulier's parameters."""
    year, month, day = pivot["birthdate"].split("-")
    return {
        "recipient": recipient,
        "nomNaissance": pivot["family_name"],
        "prenoms[]": pivot["given_name_array"],
        "anneeDateNaissance": year,
        "moisDateNaissance": month,
        "jourDateNaissance": day,
        "codeCogInseeCommuneNaissance": pivot["birthplace"],
        "codeCogInseePaysNaissance": pivot["birthcountry"],
        "sexeEtatCivil": "F" if pivot["gender"] == "female" else "M",
    }


def masked(data: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    """The allowed fields alone."""
    kept: dict[str, Any] = {}
    for name in fields:
        group, member = name.split(".")
        kept.setdefault(group, {})[member] = data[group][member]
    return kept


@app.get("/v1/data/{dataset}")
async def exchange(
    dataset: str,
    claims: Annotated[dict[str, Any], Depends(verified_claims)],
    session: Annotated[Session, Depends(get_session)],
    holder: Annotated[httpx.AsyncClient, Depends(get_holder)],
) -> Answer:
    """One exchange."""
    detail, fields = permitted_fields(claims, dataset)
    identity = open_identity(claims["identity"])
    response = await holder.get(
        "/v3/dss/quotient_familial/identite",
        params=holder_query(identity["pivot"], detail["recipient"]),
        headers={"Authorization": f"Bearer {SETTINGS['holder_token']}"},
    )
    response.raise_for_status()
    data = masked(response.json()["data"], fields)
    access = Access(
        request_id=str(uuid4()),
        time=datetime.now(UTC),
        dataset=dataset,
        fields=",".join(fields),
        recipient=detail["recipient"],
        client=claims["client_id"],
        purpose=detail["purpose"],
        grant_id=claims["grant_id"],
        citizen=identity["citizen"],
        outcome="ok",
    )
    session.add(access)
    session.commit()
    session.refresh(access)
    meta = Meta(access_id=access.request_id, index=access.id or 0, provider="CNAF & MSA", retrieved_at=access.time)
    return Answer(data=data, meta=meta)
