"""Searching one's accesses, over HTTP and a real log: by organisation, by day, page by page, and within bounds."""

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from audit.search import MAX_ENTRIES
from tests.consent.pages.real_log import entry, log_of
from tests.consent.pages.scene import GRANT, ISSUER, SIRET, Scene, make_config

OTHER = "21350001200015"
THIRTY = [f"2026-10-{day:02}T12:00:00.000Z" for day in range(1, 31)]


@pytest.fixture(scope="module")
def searched(signing_key, tmp_path_factory) -> Iterator[Scene]:
    """Thirty accesses by Valombre in October, two by another town around the midnight of 23 November in Paris."""
    around = ["2026-11-23T22:59:59.999Z", "2026-11-23T23:00:00.000Z"]
    appends = [entry(time=time) for time in THIRTY]
    appends += [entry(kind="grant.given"), *(entry(time=time, recipient=OTHER) for time in around)]
    with log_of(tmp_path_factory.mktemp("log"), appends) as accesses:
        yield Scene(make_config(signing_key, franceconnect="https://fc.example/api/v2"), accesses=accesses)


def browse(scene: Scene) -> TestClient:
    return TestClient(scene.app(), base_url=ISSUER, follow_redirects=False, cookies=dict(scene.session_cookie()))


def moments(page: str) -> list[str]:
    return re.findall(r'<time datetime="([^"]+)"', page)


def test_an_organisation_is_found_among_all_and_its_page_goes_on(searched):
    browser = browse(searched)
    first = browser.get(f"/mes-acces?organisme={SIRET}").text
    assert moments(first) == THIRTY[:4:-1]
    older = re.search(r'href="(/mes-acces\?[^"]*avant=\d+)"', first).group(1).replace("&amp;", "&")
    assert f"organisme={SIRET}" in older
    last = browser.get(older).text
    assert moments(last) == THIRTY[4::-1]
    assert "plus anciens" not in last


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("du=2026-11-24", 1),
        ("au=2026-11-23&du=2026-11-23", 1),
        ("du=2026-11-23&au=2026-11-24", 2),
        (f"du=2026-11-23&organisme={SIRET}", 0),
        ("du=2026-10-10&au=2026-10-12", 3),
        ("au=2026-09-30", 0),
        ("du=&au=&organisme=", 25),
    ],
)
def test_days_are_whole_days_of_paris(searched, query, found):
    assert len(moments(browse(searched).get(f"/mes-acces?{query}").text)) == found


def test_a_search_that_finds_nothing_says_so_and_leads_back(searched):
    page = browse(searched).get("/mes-acces?du=2030-01-01").text
    assert "Aucun accès ne correspond" in page
    assert 'href="/mes-acces">Voir tous mes accès' in page
    assert "accès plus ancien." in browse(searched).get("/mes-acces?avant=0").text


def test_the_form_offers_the_organisations_that_she_knows_and_keeps_what_was_asked(searched):
    searched.desk.grants = [GRANT]
    page = browse(searched).get(f"/mes-acces?organisme={OTHER}&du=2026-11-01").text
    assert re.findall(r'<option value="(\d+)"( selected)?>', page) == [(SIRET, ""), (OTHER, " selected")]
    assert 'value="2026-11-01"' in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("du=2026-02-31", "La première date"),
        ("du=31/12/2026", "La première date"),
        ("du=1999-12-31", "La première date"),
        ("au=9999-12-31", "La seconde date"),
        ("au=2026-W48-2", "La seconde date"),
        ("du=2026-11-24&au=2026-11-23", "vient après la seconde"),
    ],
)
def test_a_date_that_is_not_understood_is_said_beside_the_form(searched, query, said):
    reply = browse(searched).get(f"/mes-acces?{query}")
    assert reply.status_code == 400
    assert said in reply.text
    assert 'aria-invalid="true"' in reply.text
    assert moments(reply.text) == []


@pytest.mark.parametrize("query", ["organisme=1", "organisme=abcdefghijklmn", "du=2026-11-24T00", "avant=-1"])
def test_what_the_form_cannot_send_is_refused_as_a_page(searched, query):
    reply = browse(searched).get(f"/mes-acces?{query}")
    assert reply.status_code == 400
    assert "Formulaire incomplet" in reply.text


def test_a_search_stops_somewhere_and_can_be_continued(signing_key, tmp_path):
    appends = [entry(recipient=OTHER), *(entry() for _ in range(MAX_ENTRIES + 300))]
    with log_of(tmp_path, appends) as accesses:
        scene = Scene(make_config(signing_key, franceconnect="https://fc.example/api/v2"), accesses=accesses)
        page = browse(scene).get(f"/mes-acces?organisme={OTHER}").text
        assert moments(page) == []
        assert "Continuez parmi les plus anciens" in page
        older = re.search(r'href="(/mes-acces\?[^"]*avant=\d+)"', page).group(1).replace("&amp;", "&")
        assert len(moments(browse(scene).get(older).text)) == 1


def test_the_search_of_somebody_else_finds_nothing_of_hers(searched):
    assert searched.accesses.of("somebody-else", recipient=SIRET).views == []
