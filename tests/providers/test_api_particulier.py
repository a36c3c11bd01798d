"""API Particulier's adapter and transport, over the stand-in on real HTTP and over holders that misbehave."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import given, settings

from openapi.fields import PivotIdentity, Siret
from providers.adapters.api_particulier import ApiParticulier, request_of
from providers.config import HolderConfig
from providers.errors import BadInput, ProviderError
from providers.manifest import manifests
from providers.port import Answer, HolderReply, HolderRequest, Query
from providers.registry import load
from sandbox.api_particulier import Family, identity_of, load_families, router
from sandbox.servers import sandbox_running
from tests.conftest import REPOSITORY
from tests.hostile_holder import HostileHolder
from tests.providers.replies import STATUSES, TROUBLES, bodies
from tests.sandbox.conftest import free_port

pytestmark = pytest.mark.enable_socket

_TOKEN = "holder-token"
_SIRET = Siret("21990001600011")
_MANIFEST = manifests()["quotient_familial"]
_FOLDERS = (
    "api_particulier_v3_cnav_quotient_familial_with_civility",
    "api_particulier_v3_cnav_quotient_familial_with_france_connect",
)


def _query(identity: PivotIdentity) -> Query:
    return Query("quotient_familial", _SIRET, "r", tuple(_MANIFEST.fields), identity)


def _canary() -> PivotIdentity:
    claims = {"family_name": "Canari", "gender": "female", "birthdate": "1980-05-00", "birthcountry": "99109"}
    return PivotIdentity.from_claims(claims)


@contextmanager
def _standing_in(families: list[Family]) -> Iterator[str]:
    app = FastAPI()
    app.include_router(router(families, _TOKEN))
    with sandbox_running(app, port=(port := free_port())):
        yield f"http://127.0.0.1:{port}"


async def _ask(url: str, identity: PivotIdentity, *, deadline: float = 5) -> Answer:
    datasets = load({"api_particulier": HolderConfig(url, _TOKEN, deadline)})
    await datasets.start()
    try:
        dataset = datasets.get("quotient_familial")
        assert dataset is not None
        return await dataset.fetch(_query(identity))
    finally:
        await datasets.close()


def _outcome(url: str, identity: PivotIdentity, *, deadline: float = 5) -> tuple[str, Answer | None]:
    try:
        return "ok", asyncio.run(_ask(url, identity, deadline=deadline))
    except ProviderError as error:
        failed = error
    assert "Canari" not in str(failed) + repr(failed) + str(failed.facts)
    assert failed.__cause__ is None
    return failed.slug, None


@pytest.mark.parametrize("folder", [*_FOLDERS, "ours"])
def test_every_family_answers_the_identity_it_is_for(folder: str, reference: Path) -> None:
    place = REPOSITORY / "sandbox/families" if folder == "ours" else reference / "api-particulier/fixtures" / folder
    families = load_families(place)
    with _standing_in(families) as url:
        for family in families:
            slug, answer = _outcome(url, identity_of(family))
            expected = {200: "ok", 404: "citizen_unknown_to_holder", 502: "holder_failed"}[family.status]
            assert slug == expected, family.description
            if answer is not None:
                data = family.payload["data"]
                assert answer.record["quotient_familial"] == data["quotient_familial"]
                assert answer.record["enfants"] == data["enfants"]


def test_a_holders_token_is_shown_by_nothing() -> None:
    assert "another" not in repr(HolderConfig("http://localhost", "another"))


@pytest.mark.parametrize(("trouble", "slug"), [*TROUBLES, ("wrong_schema", "holder_answer_invalid")])
def test_each_trouble_of_a_holder_has_its_own_error(trouble: str, slug: str) -> None:
    with HostileHolder() as holder:
        holder.behave(trouble)
        began = time.monotonic()
        assert _outcome(holder.url, _canary(), deadline=0.5)[0] == slug
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("url", ["http://no-such-holder.invalid", "https://127.0.0.1:9"])
def test_a_holder_that_is_not_there_is_unreachable(url: str) -> None:
    assert _outcome(url, _canary(), deadline=3)[0] == "holder_unreachable"


def test_a_busy_holder_says_when_to_come_back() -> None:
    with HostileHolder() as holder:
        holder.behave("busy")
        with pytest.raises(ProviderError) as caught:
            asyncio.run(_ask(holder.url, _canary()))
    assert caught.value.facts["retry_in"] == 7


def test_what_is_unknown_of_a_birthdate_is_left_out() -> None:
    names = dict(request_of(_MANIFEST, _query(_canary())).query)
    assert names["anneeDateNaissance"] == "1980"
    assert names["moisDateNaissance"] == "5"
    assert "jourDateNaissance" not in names
    assert "codeCogInseeCommuneNaissance" not in names


@given(STATUSES, bodies(["data", "errors", "quotient_familial", "valeur", "enfants", "code", "x"]))
@settings(max_examples=200)
def test_whatever_comes_back_ends_in_a_clean_record_or_a_declared_error(status: int, body: bytes) -> None:
    async def send(_request: HolderRequest) -> HolderReply:
        return HolderReply(status, {"retry-after": "soon"}, body)

    try:
        answer = asyncio.run(ApiParticulier(_MANIFEST).fetch(_query(_canary()), send))
    except ProviderError:
        return
    assert answer.record.keys() <= {path.split(".")[0] for path in _MANIFEST.fields}
    assert "x" not in answer.record


def test_a_parameter_fills_its_place_in_the_path_and_leaves_it_by_no_dots() -> None:
    manifest = replace(_MANIFEST, path="/v1/account/{name}", identity=())
    query = replace(_query(_canary()), parameters={"name": "a/b?c", "codes[]": "1,2"})
    request = request_of(manifest, query)
    assert request.path == "/v1/account/a%2Fb%3Fc"
    assert request.query == (("recipient", _SIRET), ("codes[]", "1"), ("codes[]", "2"))
    with pytest.raises(BadInput):
        request_of(manifest, replace(query, parameters={"name": ".."}))
