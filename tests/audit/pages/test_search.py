"""The search: every entry in words, every filter in the address, and nothing searched that was not understood."""

import re
from html import unescape
from urllib.parse import urlencode

import pytest

from audit.pages.search import PAGE
from tests.audit.pages.scene import CITIZEN, DEPARTMENT, ISSUER, PORTAL, SOCIAL, TOWN, Scene


def led_here(site: str) -> dict[str, str]:
    """What a browser says of a page that it opens because another site led there."""
    return {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def rows(page: str) -> list[int]:
    """The numbers of the entries in the table."""
    return [int(number) for number in re.findall(r'<a href="/audit/entree/(\d+)">', page)]


def words(page: str) -> str:
    """What a page says, every space a plain one."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_first_visit_shows_the_newest_entries_and_says_that_it_is_one(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit").text
    assert rows(page) == list(range(scene.size() - 1, scene.size() - 1 - PAGE, -1))
    assert "Cette consultation est elle-même inscrite au journal" in page


def test_a_row_says_when_what_how_who_which_data_and_why(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?kind=failure").text
    assert '<time datetime="2026-11-05T06:00:00.000Z">05/11/2026 <span>07:00:00</span></time>' in page
    said = words(page)
    for expected in (
        "Échec Détenteur trop lent",
        "Commune de Valombre 219 900 016 00011 portail-famille",
        "Quotient familial Montant du quotient ; Mois du quotient",
        "et 1 autre ",
        "Tarification creche Consentement",
    ):
        assert expected in said, expected


def test_entries_about_something_else_say_it_in_words(scene: Scene) -> None:
    expected = {
        "grant.given": "Autorisation donnée",
        "keys.rotated": "Nouvelles clés : tokens",
        "archive.made": "Période 2025, entrées n° 0 à 9, 7 fichiers",
        "retention.applied": "Détails effacés : 1, antérieurs au 24 novembre 2025, 01:00:00 (conservation P1Y)",
    }
    browser = scene.browser("claire")
    for kind, sentence in expected.items():
        assert sentence in words(browser.get(f"/audit?kind={kind}").text), kind
    assert "par délégation\N{NO-BREAK SPACE}: Restauration du Val" in browser.get("/audit?kind=grant.given").text


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"organisation": DEPARTMENT}, {"recipient": DEPARTMENT}),
        ({"application": SOCIAL}, {"client": SOCIAL}),
        ({"kind": "refusal", "outcome": "grant_withdrawn"}, {"kind": "refusal", "outcome": "grant_withdrawn"}),
        ({"request_id": "request-7"}, {"request_id": "request-7"}),
        ({"field": "quotient_familial.mois", "dataset": "quotient_familial"}, {"dataset": "quotient_familial"}),
        ({"purpose": "tarification_creche", "legal_basis": "consent"}, {"legal_basis": "consent"}),
        ({"provider": "api_particulier", "application": PORTAL}, {"client": PORTAL}),
        ({"since": "2026-11-01", "until": "2026-11-03"}, {}),
    ],
)
def test_every_filter_narrows_what_is_shown(scene: Scene, asked: dict[str, str], holds: dict[str, str]) -> None:
    page = scene.browser("claire").get(f"/audit?{urlencode(asked)}").text
    shown = rows(page)
    assert shown
    for index in shown:
        stored = scene.queries.entry(index)
        assert stored is not None
        assert holds.items() <= stored.record.skeleton.items()
        if "since" in asked:
            assert "2026-10-31T23" <= str(stored.record.skeleton["time"]) < "2026-11-03T23"


def test_older_entries_are_one_link_away_until_there_are_no_more(scene: Scene) -> None:
    browser = scene.browser("claire")
    page, seen = browser.get("/audit?kind=access").text, []
    while True:
        seen += rows(page)
        older = re.search(r'href="(/audit\?kind=access&amp;before=\d+)" rel="next"', page)
        if older is None:
            break
        page = browser.get(older[1].replace("&amp;", "&")).text
        assert "Revenir aux plus récentes" in page
    assert len(seen) == len(set(seen)) == 97
    assert seen == sorted(seen, reverse=True)


def test_the_address_is_the_saved_search_without_the_place_in_it(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?kind=refusal&before=60&lang=en").text
    assert f'<a href="{ISSUER}/audit?kind=refusal">{ISSUER}/audit?kind=refusal</a>' in page
    assert "Save this address" in page


def test_a_saved_search_by_a_person_says_what_its_address_holds(scene: Scene) -> None:
    page = scene.browser("claire").get(f"/audit?citizen={CITIZEN}&ground=complaint&case=2026-17").text
    assert rows(page)
    assert "Elle contient le pseudonyme recherché" in page


def test_empty_fields_of_the_form_leave_a_plain_address_and_no_entry(scene: Scene) -> None:
    size = scene.size()
    reply = scene.browser("claire").get("/audit?organisation=&application=&kind=refusal&outcome=+&since=&lang=en")
    assert (reply.status_code, reply.headers["location"]) == (303, "/audit?kind=refusal&lang=en")
    assert scene.size() == size


@pytest.mark.parametrize(
    ("asked", "marked"),
    [
        ("organisation=123", {"organisation"}),
        ("organisation=21990001600012&delegate=x", {"organisation", "delegate"}),
        ("since=2026-02-30", {"since"}),
        ("until=demain&application=deux+mots", {"until", "application"}),
        ("since=2026-11-20&until=2026-11-01", {"until"}),
        (f"citizen={CITIZEN}", {"ground", "case"}),
        (f"citizen={CITIZEN}&ground=curiosity&case=1", {"ground"}),
        ("grant=g&ground=complaint", {"case"}),
        (f"citizen={CITIZEN}&ground=complaint&case=Camille+Martin", {"case"}),
        ("outcome=%C3%A9", {"outcome"}),
        ("kind=" + "x" * 500, {"kind"}),
    ],
)
def test_a_mistake_is_marked_in_its_field_and_nothing_is_searched(scene: Scene, asked: str, marked: set[str]) -> None:
    size = scene.size()
    reply = scene.browser("claire").get(f"/audit?{asked}")
    assert reply.status_code == 400
    invalid = re.findall(r'<(?:input|select) id="champ-(\w+)"[^>]*aria-invalid="true"', reply.text)
    assert set(invalid) == marked
    for name in marked:
        described = re.search(rf'id="champ-{name}"[^>]*aria-describedby="([^"]*)"', reply.text)
        assert described is not None
        assert f"erreur-{name}" in described[1].split()
        assert f'id="erreur-{name}"' in reply.text
        assert f'href="#champ-{name}"' in reply.text
    assert "a été cherché" in reply.text
    assert rows(reply.text) == []
    assert scene.size() == size


def test_what_was_typed_is_there_again_beside_its_mistake(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?since=2026-02-30&kind=refusal&citizen=abc").text
    assert 'name="since" type="text" value="2026-02-30"' in page
    assert '<option value="refusal" selected>' in page
    assert 'name="citizen" type="text" value="abc"' in page
    assert '<details class="guarded" open>' in page


def test_a_value_that_no_list_has_is_not_dropped_by_sending_the_form_again(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?kind=kind.of.tomorrow").text
    assert '<option value="kind.of.tomorrow" selected>' in page


def test_what_may_be_chosen_has_its_words(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?kind=access").text
    assert f'<option value="{TOWN}">Commune de Valombre</option>' in page
    assert '<option value="quotient_familial.valeur">Montant du quotient</option>' in page
    assert '<option value="audit.query">Lecture du journal</option>' in page


def test_a_filter_that_holds_is_said_and_can_be_taken_away(scene: Scene) -> None:
    page = scene.browser("claire").get(f"/audit?organisation={TOWN}&kind=refusal").text
    section = page[page.index('<section class="criteria"') :]
    assert "Commune de Valombre" in words(section)
    assert '<a href="/audit?kind=refusal"><span class="unseen">Retirer le critère Organisme' in section
    assert f'<a href="/audit?organisation={TOWN}"><span class="unseen">Retirer le critère Nature' in section


def test_the_ground_goes_with_the_person_it_was_stated_for(scene: Scene) -> None:
    page = scene.browser("claire").get(f"/audit?kind=access&citizen={CITIZEN}&ground=complaint&case=1").text
    section = page[page.index('<section class="criteria"') :]
    assert '<a href="/audit?kind=access"><span class="unseen">Retirer le critère Pseudonyme' in section


def test_looking_a_person_up_says_what_of_it_is_written_down(scene: Scene) -> None:
    page = words(scene.browser("claire").get("/audit").text)
    assert "Le motif et la référence du dossier sont inscrits au journal" in page
    assert "Le pseudonyme recherché y est scellé" in page


def test_whom_it_was_about_is_sealed_in_the_entry_and_why_is_not(scene: Scene) -> None:
    size = scene.size()
    scene.browser("claire").get(f"/audit?citizen={CITIZEN}&ground=inspection&case=2026-17")
    stored = scene.queries.entry(size)
    assert stored is not None
    assert CITIZEN.encode() not in stored.leaf
    assert stored.record.detail["citizen"] == CITIZEN
    assert (stored.record.skeleton["ground"], stored.record.skeleton["case"]) == ("inspection", "2026-17")


def test_the_form_for_a_person_waits_for_a_ground_and_searches_nothing(scene: Scene) -> None:
    size = scene.size()
    reply = scene.browser("claire").get(f"/audit/personne?citizen={CITIZEN}&since=2026-11-01T00:00:00Z")
    assert reply.status_code == 200
    assert f'value="{CITIZEN}"' in reply.text
    assert 'value="2026-11-01T00:00:00Z"' in reply.text
    assert "aria-invalid" not in reply.text
    assert rows(reply.text) == []
    assert scene.size() == size


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/audit?", "/audit/particularites?", "/audit/export?format=csv&"])
def test_a_link_of_another_site_looks_nobody_up_in_her_name(scene: Scene, path: str, site: str) -> None:
    size, browser = scene.size(), scene.browser("claire")
    asked = f"citizen={CITIZEN}&ground=complaint&case=A-1"
    reply = browser.get(f"{path}{asked}", headers=led_here(site))
    assert (reply.status_code, reply.headers["location"]) == (303, f"/audit/personne?{asked}")
    page = browser.get(reply.headers["location"], headers=led_here(site)).text
    assert '<option value="complaint" selected>' in page
    assert 'value="A-1"' in page
    assert rows(page) == []
    assert scene.size() == size
    assert browser.get("/audit?kind=access", headers=led_here(site)).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "path", ["/audit", "/audit/entree/3", "/audit/particularites", "/audit/chronologie", "/audit/export?format=csv"]
)
def test_what_another_site_puts_into_its_own_page_reads_nothing_in_her_name(scene: Scene, path: str, site: str) -> None:
    size, browser = scene.size(), scene.browser("claire")
    for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")):
        reply = browser.get(path, headers={**led_here(site), "sec-fetch-mode": mode, "sec-fetch-dest": dest})
        assert reply.status_code == 403
        assert "Demande venue d'un autre site" in unescape(reply.text)
        assert rows(reply.text) == []
    assert scene.size() == size


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_her_own_bookmark_and_our_own_form_look_up_at_once(scene: Scene, site: str) -> None:
    asked = f"/audit?citizen={CITIZEN}&ground=complaint&case=A-1"
    assert rows(scene.browser("claire").get(asked, headers={"sec-fetch-site": site}).text)


def test_readings_are_a_search_of_their_own_and_say_who_did_what(scene: Scene) -> None:
    browser = scene.browser("claire")
    scene.browser("nadia").get(f"/audit?organisation={TOWN}&kind=refusal")
    assert browser.get("/audit/lectures").headers["location"] == "/audit?kind=audit.query"
    page = words(browser.get("/audit?kind=audit.query").text)
    assert "Vous, audit" in page
    assert "Référence a_33333333…, exploitation" in page
    assert "Recherche Organisme : Commune de Valombre ; Nature" in page


def test_a_search_that_finds_nothing_says_so(scene: Scene) -> None:
    browser = scene.browser("claire")
    assert "Aucune entrée ne correspond" in browser.get("/audit?application=nobody").text
    assert "entrée plus ancienne" in browser.get("/audit?kind=access&before=0").text


def test_what_cannot_be_counted_is_not_carried_to_the_timeline(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?request_id=request-7&kind=access").text
    assert '<li><a href="/audit/chronologie">' in page
    assert '<li><a href="/audit/particularites?kind=access&amp;request_id=request-7">' in page


@pytest.mark.parametrize("before", ["-1", "x", str(2**63), "", "1e3", "é"])
def test_a_place_that_is_none_is_a_page_in_words(scene: Scene, before: str) -> None:
    reply = scene.browser("claire").get("/audit", params={"before": before})
    assert reply.status_code == 400
    assert "Adresse incomprise" in reply.text
