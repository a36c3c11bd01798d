"""Whatever the address says, the answer is a page: none of ours ever fails."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from audit.filters import names
from tests.audit.pages.scene import CITIZEN, DEPARTMENT, TOWN, Scene

PATHS = ("/audit", "/audit/chronologie", "/audit/particularites", "/audit/export", "/audit/personne", "/audit/lectures")
NAMES = st.sampled_from([*names(), "before", "lang", "format", "limit", "x"])
VALUES = st.text(max_size=30) | st.sampled_from(
    [
        TOWN,
        DEPARTMENT,
        CITIZEN,
        "2026-11-01",
        "2026-11-01T00:00:00Z",
        "2199-12-31",
        "9999-12-31",
        "0000-00-00",
        "2000-01-02",
        "access",
        "audit.query",
        "complaint",
        "csv",
        "jsonl",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "<script>alert(1)</script>",
        "' OR 1=1 --",
        "%s{0}{count}",
        "\x00",
        "../../etc/passwd",
        "a" * 200,
    ]
)


@pytest.fixture(scope="module")
def browsers(scene: Scene) -> list[TestClient]:
    return [scene.browser(who) for who in ("claire", "marc", "nadia")]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    path=st.sampled_from(PATHS),
    pairs=st.lists(st.tuples(NAMES, VALUES), max_size=5),
    who=st.integers(0, 2),
)
def test_any_query_is_answered_with_a_page(browsers, path, pairs, who):
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    reply = browsers[who].get(f"{path}?{query}")
    assert reply.status_code in {200, 303, 400, 403}
    assert "<script" not in reply.text if "zip" not in reply.headers.get("content-type", "") else True
    if reply.status_code == 303:
        assert reply.headers["location"].startswith("/audit")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(raw=st.binary(max_size=40))
def test_any_bytes_of_a_query_are_answered_with_a_page(browsers, raw):
    reply = browsers[0].get("/audit?kind=" + "".join(f"%{byte:02x}" for byte in raw))
    assert reply.status_code in {200, 303, 400}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(code=st.text(max_size=40), state=st.text(max_size=40), error=st.text(max_size=40))
def test_any_return_from_the_identity_provider_is_answered_with_a_page(scene, code, state, error):
    browser = scene.browser()
    browser.get("/audit")
    reply = browser.get("/audit/retour", params={"code": code, "state": state, "error": error})
    assert reply.status_code in {400, 403}


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c.d.e", "é" * 10, "a" * 5000])
def test_any_cookie_is_nobodys(scene: Scene, cookie: str) -> None:
    browser = scene.browser()
    reply = browser.get("/audit", headers={"cookie": f"{scene.door.session_cookie}={cookie}".encode()})
    assert reply.status_code == 303
