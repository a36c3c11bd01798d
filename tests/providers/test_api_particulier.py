"""API Particulier's adapter and transport, over the stand-in on real HTTP and over holders that misbehave."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from openapi.fields import PivotIdentity, Siret
from providers.adapters.api_particulier import ApiParticulier, request_of
from providers.config import HolderConfig
from providers.errors import BadInput, ProviderError
from providers.manifest import ManifestError, manifests, parse_manifest
from providers.port import Answer, HolderReply, HolderRequest, Query
from providers.registry import load
from sandbox.api_particulier import Family, identity_of, load_families, router
from tests.conftest import REPOSITORY
from tests.hostile_holder import HostileHolder

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
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


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


def test_a_wrong_token_is_the_operators_matter_not_the_citizens() -> None:
    app_token = HolderConfig("http://localhost", "another")
    assert "another" not in repr(app_token)


@pytest.mark.parametrize(
    ("trouble", "slug"),
    [
        ("refused", "holder_unreachable"),
        ("reset", "holder_unreachable"),
        ("silent", "holder_timeout"),
        ("drip", "holder_timeout"),
        ("garbage", "holder_answer_invalid"),
        ("wrong_schema", "holder_answer_invalid"),
        ("huge", "holder_answer_invalid"),
        ("busy", "holder_busy"),
        ("unauthorized", "holder_refused_access"),
    ],
)
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


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "errors", "quotient_familial", "valeur", "enfants", "code", "x"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.integers(100, 599), st.binary(max_size=30) | _JSON.map(lambda value: json.dumps(value).encode()))
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


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ('subject = "citizen"', 'subject = "cat"', "subject"),
        ('holder = "api_particulier"', "", "holder"),
        ('type = "integer", fr', 'type = "float", fr', "type"),
        ('path = "/v3', 'pat = "/v3', "path"),
        ("dataset =", "dataset", "line 2"),
    ],
)
def test_a_wrong_manifest_is_named_by_file_and_key(right: str, wrong: str, named: str) -> None:
    content = (REPOSITORY / "providers/manifests/quotient_familial.toml").read_text()
    assert right in content
    with pytest.raises(ManifestError) as caught:
        parse_manifest(content.replace(right, wrong, 1), name="quotient_familial.toml")
    assert "quotient_familial.toml" in str(caught.value)
    assert named in str(caught.value)


def test_a_parameter_fills_its_place_in_the_path_and_leaves_it_by_no_dots() -> None:
    manifest = replace(_MANIFEST, path="/v1/account/{name}", identity=())
    query = replace(_query(_canary()), parameters={"name": "a/b?c", "codes[]": "1,2"})
    request = request_of(manifest, query)
    assert request.path == "/v1/account/a%2Fb%3Fc"
    assert request.query == (("recipient", _SIRET), ("codes[]", "1"), ("codes[]", "2"))
    with pytest.raises(BadInput):
        request_of(manifest, replace(query, parameters={"name": ".."}))
