"""The log for programs: who may ask, what is answered, and that no request does worse than a problem."""

import io
import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from audit import routes, tile_routes
from audit.auditors import Auditor
from audit.checkpoint import NoteSigner
from audit.door import Door
from audit.exports.verification import verify_export
from audit.ports import Agent
from audit.publication import Publication
from audit.store import open_store
from consent.session import Seal
from exchange import errors
from exchange.errors import ProblemWriter
from tests.audit.conftest import ORIGIN
from tests.audit.test_reading import CITIZEN, COUNT, EVERYTHING, OF_THE_TOWN, OPERATOR, TOWN, Room, place

__all__ = ["place"]

pytestmark = pytest.mark.enable_socket

TOKENS = {"t-everything": EVERYTHING, "t-town": OF_THE_TOWN, "t-operator": OPERATOR}


class Registered:
    def auditor(self, subject: str) -> Auditor | None:
        return next((one for one in TOKENS.values() if one.subject == subject), None)

    def machine(self, token: str) -> Auditor | None:
        return TOKENS.get(token)


@pytest.fixture
def door() -> Door:
    return Door(Registered(), Seal(b"k" * 32, "audit", clock=lambda: 1_800_000_000.0), secure=True)


@pytest.fixture
def client(place: Room, door: Door, database_url: str) -> Iterator[TestClient]:
    app = FastAPI()
    errors.install(app, ProblemWriter("https://accord.example"))
    app.include_router(routes.router(place.room, door, product_version="1", log_origin=ORIGIN))
    with closing(open_store(database_url)) as store:
        app.include_router(tile_routes.router(Publication(store), auditor_of=door.reader, recorded=place.room.raw))
        with closing(TestClient(app, base_url="https://accord.example")) as client:
            yield client


def cookie(door: Door, who: Auditor) -> dict[str, str]:
    """Somebody is logged in."""
    response = Response()
    door.let_in(response, Agent(who.subject, "Agent", "id-token"))
    return {"Cookie": response.headers["set-cookie"].split(";")[0]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


_ABOUT_HER = f"citizen={CITIZEN}&ground=complaint&case=A-1"
READINGS = [
    f"/v1/audit/accesses?{_ABOUT_HER}",
    f"/v1/audit/export?{_ABOUT_HER}",
    "/v1/audit/entries/0",
    "/v1/audit/events",
    "/log/tile/entries/000",
    "/log/details/000",
    "/log/erased.jsonl",
]
"""Every route that reads entries of the log."""
STRANGERS = [{}, bearer("wrong"), {"Authorization": "Basic dDp0"}, bearer(""), bearer("x" * 300)]


@pytest.mark.parametrize("path", ["accesses", "entries/0", "export", "events"])
@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), {"Authorization": "Basic dDp0"}, bearer(""), bearer("x" * 300)]
)
def test_a_stranger_is_told_to_log_in_and_leaves_no_entry(
    client: TestClient, place: Room, path: str, headers: dict[str, str]
) -> None:
    answer = client.get(f"/v1/audit/{path}", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("/auditor_login_required")
    assert place.new_entries() == []


def test_a_search_answers_entries_with_what_the_role_opens(client: TestClient) -> None:
    answer = client.get("/v1/audit/accesses?dataset=a&limit=3", headers=bearer("t-everything"))
    found = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert [sorted(one) for one in found["accesses"]] == [["detail", "entry", "index"]] * 3
    assert found["accesses"][0]["detail"]["citizen"] == CITIZEN
    further = client.get(f"/v1/audit/accesses?dataset=a&before={found['older']}", headers=bearer("t-operator")).json()
    assert further["accesses"][0]["index"] < found["accesses"][-1]["index"]
    assert all(sorted(one) == ["entry", "index"] for one in further["accesses"])


def test_an_auditor_who_logged_in_reads_with_her_cookie(client: TestClient, door: Door) -> None:
    given = cookie(door, OF_THE_TOWN)
    answer = client.get("/v1/audit/accesses", headers=given)
    assert {one["entry"]["recipient"] for one in answer.json()["accesses"]} == {TOWN}
    whole = given["Cookie"]
    changed = whole[:-3] + ("AAA" if not whole.endswith("AAA") else "BBB")
    assert client.get("/v1/audit/accesses", headers={"Cookie": changed}).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", READINGS)
def test_another_site_reads_nothing_through_an_auditors_browser_and_writes_nothing_in_her_name(
    client: TestClient, door: Door, place: Room, path: str, site: str
) -> None:
    led = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = client.get(path, headers={**cookie(door, EVERYTHING), **led})
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/request_from_another_site")
    assert place.new_entries() == []


@pytest.mark.parametrize("path", READINGS)
def test_her_own_request_and_a_program_with_a_token_are_answered(
    client: TestClient, door: Door, place: Room, path: str
) -> None:
    for headers in (
        cookie(door, EVERYTHING),
        {**cookie(door, EVERYTHING), "Sec-Fetch-Site": "none"},
        {**cookie(door, EVERYTHING), "Sec-Fetch-Site": "same-origin"},
        {**bearer("t-everything"), "Sec-Fetch-Site": "cross-site"},
    ):
        assert client.get(path, headers=headers).status_code == 200
        assert len(place.new_entries()) == 1


def test_an_agent_whom_nobody_registered_is_told_her_reference(client: TestClient, door: Door) -> None:
    answer = client.get("/v1/audit/accesses", headers=cookie(door, Auditor("a_" + "9" * 64, "auditor", None)))
    assert answer.status_code == 403
    assert answer.json()["reference"] == "a_" + "9" * 64


def test_one_entry_comes_with_its_proof(client: TestClient, key: NoteSigner) -> None:
    found = client.get("/v1/audit/entries/7", headers=bearer("t-everything")).json()
    assert found["proof"].startswith("c2sp.org/tlog-proof@v1")
    assert "salt" in found
    assert "salt" not in client.get("/v1/audit/entries/7", headers=bearer("t-operator")).json()
    assert client.get("/v1/audit/entries/99999", headers=bearer("t-operator")).status_code == 404


@pytest.mark.parametrize("made", ["csv", "jsonl", "parquet"])
def test_an_export_is_an_archive_that_verifies(client: TestClient, key: NoteSigner, made: str) -> None:
    answer = client.get(f"/v1/audit/export?format={made}&kind=access", headers=bearer("t-everything"))
    assert answer.headers["content-type"] == "application/zip"
    manifest = verify_export(io.BytesIO(answer.content), key.vkey)
    assert dict(manifest.filter) == {"kind": "access"}
    assert 0 < manifest.count < COUNT


def test_the_feed_is_resumed_by_its_link(client: TestClient) -> None:
    seen: list[int] = []
    url = "/v1/audit/events?limit=250"
    for _ in range(4):
        answer = client.get(url, headers=bearer("t-operator"))
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        seen += [json.loads(line)["metadata"]["sequence"] for line in answer.text.splitlines()]
        url = answer.headers["link"].partition(">")[0][1:]
    assert seen == list(range(len(seen)))
    assert len(seen) > COUNT


_PATHS = st.sampled_from(["accesses", "export", "events"])
_PARAMETERS = st.sampled_from(
    ["organisation", "dataset", "since", "until", "citizen", "ground", "case", "before", "limit", "after", "format"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["accesses", "export", "events"]), st.dictionaries(_PARAMETERS, st.text(max_size=30), max_size=4)
)
def test_no_parameters_do_worse_than_a_problem_that_says_what_to_do(client, path, parameters):
    answer = client.get(f"/v1/audit/{path}", params=parameters, headers=bearer("t-town"))
    assert answer.status_code in {200, 400, 403}
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
