"""The Token Status List: the draft's own vectors, tokens that third parties verify, ten million grants in memory."""

import json
import random
import sys
import time
import tracemalloc
from pathlib import Path

import jwt
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from consent.status import LIST_SIZE, LISTS, SUSPENDED, VALID, WITHDRAWN, StatusList, index_of, uri_of
from consent.status_routes import StatusTokens, router
from consent.status_token import MEDIA_TYPE, TTL, decode, encode, status_at
from exchange.errors import ProblemWriter, install
from tests.consent.world import CITIZEN, ISSUER, NOW, World

WHOLE = LIST_SIZE // 4


def test_the_drafts_lists_decode_to_their_statuses_and_ours_decode_again(reference: Path) -> None:
    vectors = json.loads((reference / "vectors/token-status-list.json").read_text())["vectors"]
    whole = [vector for vector in vectors if "statuses_nonzero" in vector]
    assert {vector["bits"] for vector in whole} == {1, 2, 4, 8}
    for vector in whole:
        size = vector["size"] * vector["bits"] // 8
        statuses = decode(vector["lst"], size=size)
        expected = {int(index): status for index, status in vector["statuses_nonzero"].items()}
        for index in [*expected, *range(0, vector["size"], 9973)]:
            assert status_at(statuses, index, bits=vector["bits"]) == expected.get(index, 0), vector["name"]
        assert decode(encode(statuses), size=size) == statuses


def test_a_list_of_ours_reads_as_it_was_written() -> None:
    ours = StatusList()
    ours.set(5, WITHDRAWN)
    ours.set(6, SUSPENDED)
    statuses = ours.of(0)
    assert len(statuses) == WHOLE
    assert [status_at(statuses, index) for index in (4, 5, 6, 7)] == [VALID, WITHDRAWN, SUSPENDED, VALID]


@pytest.mark.parametrize("lst", ["", "AAAA", "eNo", encode(b"x" * 100)])
def test_a_list_that_is_cut_or_too_long_is_refused(lst: str) -> None:
    with pytest.raises(ValueError, match="lst"):
        decode(lst, size=50)


@given(st.text("AQgwe_-1", max_size=40))
def test_hostile_lists_raise_the_declared_error_and_nothing_else(lst: str) -> None:
    try:
        assert len(decode(lst, size=100)) <= 100
    except ValueError:
        return


def test_where_a_token_says_its_status_is_leads_back_to_its_index() -> None:
    for index in (0, 7, LIST_SIZE - 1, LIST_SIZE, LIST_SIZE * LISTS - 1):
        assert index_of(ISSUER, *uri_of(ISSUER, index)) == index


@pytest.mark.parametrize(
    ("uri", "idx"),
    [
        ("https://other.example/status/0", 0),
        (ISSUER + "/status/", 0),
        (ISSUER + "/status/00", 0),
        (ISSUER + "/status/64", 0),
        (ISSUER + "/status/-1", 0),
        (ISSUER + "/status/²", 0),
        (ISSUER + "/status/0", -1),
        (ISSUER + "/status/0", LIST_SIZE),
    ],
)
def test_any_other_list_is_not_ours(uri: str, idx: int) -> None:
    with pytest.raises(ValueError, match=r"uri|idx"):
        index_of(ISSUER, uri, idx)


def test_ten_million_grants_take_less_than_32_megabytes_of_a_gateway() -> None:
    drawn = random.Random(7)  # noqa: S311  # where bits fall, not a secret
    tracemalloc.start()
    ours = StatusList()
    for number in range(5):
        # Two million in each of five lists of four; a hundredth of them written.
        for _ in range(20_000):
            ours.set(number * LIST_SIZE + drawn.randrange(LIST_SIZE), WITHDRAWN)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ours) <= 5 * WHOLE
    assert held < 32_000_000


@pytest.fixture
def http(world: World) -> TestClient:
    app = FastAPI()
    install(app, ProblemWriter(ISSUER))
    app.include_router(router(StatusTokens(world.config, source=world.store, clock=world.clock)))
    return TestClient(app)


def test_a_list_is_signed_and_says_who_withdrew(world: World, http: TestClient) -> None:
    world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    answer = http.get("/status/0", headers={"accept": MEDIA_TYPE})
    assert answer.headers["content-type"].startswith(MEDIA_TYPE)
    assert answer.headers["cache-control"] == f"public, max-age={TTL}"
    header = jwt.get_unverified_header(answer.text)
    assert header["typ"] == "statuslist+jwt"
    key = jwt.PyJWKSet.from_dict(world.config.token_keys.jwks())[header["kid"]]
    claims = jwt.decode(answer.text, key, algorithms=["ES256"], options={"verify_iat": False, "verify_exp": False})
    assert (claims["sub"], claims["iat"], claims["ttl"]) == (ISSUER + "/status/0", NOW, TTL)
    statuses = decode(claims["status_list"]["lst"], size=WHOLE)
    assert status_at(statuses, grant.status_index) == WITHDRAWN
    assert claims["status_list"]["bits"] == 2


def _status(http: TestClient, index: int, **query: int) -> int:
    token = http.get("/status/0", params=query).text
    claims = jwt.decode(token, options={"verify_signature": False})
    return status_at(decode(claims["status_list"]["lst"], size=WHOLE), index)


def test_a_past_moment_is_told_as_it_was(world: World, http: TestClient) -> None:
    world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    world.later(100)
    world.desk.suspend(grant.grant_id)
    world.later(100)
    world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    world.later(100)
    told = [_status(http, grant.status_index, time=NOW + at) for at in (50, 150, 250)]
    assert told == [VALID, SUSPENDED, WITHDRAWN]
    assert http.get("/status/0", params={"time": NOW + 10_000}).status_code == 404


def test_a_list_is_made_once_a_minute(world: World, http: TestClient) -> None:
    world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    assert _status(http, grant.status_index) == VALID
    world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    assert _status(http, grant.status_index) == VALID
    world.later(TTL)
    assert _status(http, grant.status_index) == WITHDRAWN


def test_what_is_not_offered_is_refused_by_name(http: TestClient) -> None:
    assert http.get("/status/1").json()["type"].endswith("/status_list_unknown")
    assert http.get("/status/64").status_code == 400
    refused = http.get("/status/0", headers={"accept": "application/statuslist+cwt"})
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[1]) == (406, "not_acceptable")


def test_a_list_of_a_hundred_thousand_grants_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = random.Random(8)  # noqa: S311
    ours = StatusList()
    for _ in range(5_000):
        ours.set(drawn.randrange(LIST_SIZE), WITHDRAWN)
    began = time.process_time()
    lst = encode(ours.of(0))
    spent = (time.process_time() - began) * 1000
    with capsys.disabled():
        sys.stdout.write(f"\nstatus list of 100,000 grants, 5 % withdrawn: {spent:.0f} ms of CPU, {len(lst)} bytes\n")
    assert decode(lst, size=WHOLE) == ours.of(0)
