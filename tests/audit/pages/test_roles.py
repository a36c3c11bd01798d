"""Who may see what, and that every look is an entry first: on SQLite and on PostgreSQL alike."""

import io
import json
import re
from urllib.parse import urlencode
from zipfile import ZipFile

import pytest

from audit.blocks import BLOCK
from audit.filters import SEALED, names
from tests.audit.pages.scene import (
    AGENTS,
    CITIZEN,
    DAY,
    DELEGATE,
    DEPARTMENT,
    ISSUER,
    NEIGHBOUR,
    NOW,
    PORTAL,
    PUPILS,
    SOCIAL,
    TOWN,
    Scene,
    access,
    month,
)
from tests.audit.pages.test_chronology import figures
from tests.audit.pages.test_search import rows

ACTS = {
    "/audit": "search",
    "/audit?kind=refusal&since=2026-11-01": "search",
    "/audit?kind=access&before=50": "search",
    f"/audit?citizen={CITIZEN}&ground=incident&case=A-1": "search",
    "/audit/entree/3": "entry",
    "/audit/entree/3/preuve": "entry",
    "/audit/export?format=csv": "export",
    "/audit/chronologie": "count",
    "/audit/particularites": "patterns",
}
"""Every page that reads the log, with the act that its entry names."""
UNREAD = (
    "/audit/lectures",
    "/audit/deconnexion",
    "/audit/connexion",
    "/audit/static/audit.css",
    "/audit/personne",
    "/audit?since=x",
    "/audit/chronologie?since=x",
    "/audit/particularites?since=x",
)
"""Every other page: a form alone, a mistake in it, a login."""
OTHERS: dict[str, str] = {
    "organisation": DEPARTMENT,
    "application": SOCIAL,
    "citizen": CITIZEN,
    "grant": "grant-c",
    "request_id": "request-2000",
    "dataset": "quotient_familial",
    "field": "quotient_familial.valeur",
    "purpose": "tarification_creche",
    "legal_basis": "consent",
    "provider": "api_particulier",
    "kind": "access",
    "outcome": "ok",
    "since": "2026-10-01",
    "until": "2026-11-30",
    "delegate": DELEGATE,
    "ground": "complaint",
    "case": "1",
}
"""For each parameter, what would find the other organisation's entries."""


def asked(name: str) -> str:
    given = {name: OTHERS[name]}
    return urlencode(given | ({"ground": "complaint", "case": "1"} if name in SEALED else {}))


def theirs(scene: Scene) -> set[int]:
    """The entries that an auditor of the town may not see."""
    records = scene.queries.after(-1, limit=1000)
    return {one.index for one in records if one.skeleton.get("recipient") != TOWN}


def test_every_page_is_one_entry_before_it_is_shown(own: Scene) -> None:
    own.append(month()[:60])
    for who, agent in AGENTS.items():
        browser = own.browser(who)
        for path, act in ACTS.items():
            size = own.size()
            reply = browser.get(path)
            if who == "nadia" and "citizen=" in path:
                assert (reply.status_code, own.size()) == (403, size)
                continue
            assert reply.status_code == 200, path
            (entry,) = own.readings(size)
            assert (entry["kind"], entry["act"], entry["reader"]) == ("audit.query", act, agent.subject), path


def test_when_the_log_takes_no_entry_nothing_is_shown(own: Scene) -> None:
    own.append(month()[:60])
    browser = own.browser("claire")
    own.log.close()
    for path in ACTS:
        reply = browser.get(path)
        assert reply.status_code == 503, path
        assert "Journal indisponible" in reply.text
        for kept_back in ("Valombre", "portail-famille", "grant-c", "quotient_familial", "<table", "request-"):
            assert kept_back not in reply.text, path


@pytest.mark.parametrize("path", UNREAD)
def test_what_shows_nothing_of_the_log_is_no_entry(scene: Scene, path: str) -> None:
    size = scene.size()
    reply = scene.browser("claire").get(path)
    assert reply.status_code == (400 if path.endswith("since=x") else 303 if path in UNREAD[:3:2] else 200)
    assert rows(reply.text) == []
    assert scene.size() == size


def full_blocks(scene: Scene) -> None:
    """Enough of the other organisation's accesses that every value of theirs is indexed: each begins with ``log_``."""
    values = {name: f"log_{name}" for name in ("client", "dataset", "purpose", "legal_basis", "provider", "outcome")}
    named = {**values, "kind": "log_kind", "fields": ["log_field.x"], "recipient": DEPARTMENT}
    scene.append([access(9000 + at, at=NOW - DAY, **named) for at in range(2 * BLOCK)])


def test_a_form_offers_what_the_registry_and_the_catalogue_say_and_nothing_of_the_log(own: Scene) -> None:
    full_blocks(own)
    for who in AGENTS:
        browser = own.browser(who)
        for path in UNREAD:
            assert "log_" not in browser.get(path).text, (who, path)
    assert f'value="{SOCIAL}"' in own.browser("claire").get("/audit/personne").text
    assert f'value="{DEPARTMENT}"' in own.browser("nadia").get("/audit?since=x").text


def test_an_auditor_of_one_organisation_is_offered_hers_alone_however_much_the_log_holds_of_others(own: Scene) -> None:
    full_blocks(own)
    browser = own.browser("marc")
    for path in ("/audit", "/audit/chronologie", "/audit/particularites", "/audit/personne", "/audit?since=x"):
        page = browser.get(path).text
        assert f'value="{PORTAL}"' in page, path
        assert f'value="{DELEGATE}"' in page, path
        for others_value in ("log_", SOCIAL, "aide_sociale", DEPARTMENT):
            assert others_value not in page, path


def test_every_parameter_of_a_filter_is_tried() -> None:
    assert set(OTHERS) == set(names())


@pytest.mark.parametrize("name", OTHERS)
def test_an_auditor_of_one_organisation_never_sees_anothers_entries(scene: Scene, name: str) -> None:
    reply = scene.browser("marc").get(f"/audit?{asked(name)}")
    assert set(rows(reply.text)).isdisjoint(theirs(scene))
    assert reply.status_code == (403 if name == "organisation" else 200)
    assert "Département de la Doline" not in reply.text


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("page", ["chronologie", "particularites"])
def test_an_auditor_of_one_organisation_never_sees_anothers_counts(scene: Scene, page: str, name: str) -> None:
    reply = scene.browser("marc").get(f"/audit/{page}?{asked(name)}")
    assert "Département de la Doline" not in reply.text
    counted = re.findall(r"examinées\N{NO-BREAK SPACE}: (\d+)", reply.text) + [
        str(one) for one, _ in figures(reply.text)
    ]
    # The other organisation's 36 accesses would show in any of these.
    assert all(int(count) <= 79 for count in counted)
    assert "32 demandes" not in reply.text
    if name != "application":
        assert f'<strong class="code">{SOCIAL}</strong>' not in reply.text


@pytest.mark.parametrize("name", OTHERS)
def test_an_auditor_of_one_organisation_never_exports_anothers_entries(scene: Scene, name: str) -> None:
    reply = scene.browser("marc").get(f"/audit/export?format=jsonl&{asked(name)}")
    if name == "organisation":
        assert reply.status_code == 403
        return
    with ZipFile(io.BytesIO(reply.content)) as opened:
        lines = [json.loads(line) for line in opened.read("accesses.jsonl").splitlines()]
    assert {line["index"] for line in lines}.isdisjoint(theirs(scene))


def test_an_entry_of_another_organisation_is_not_told_from_one_that_is_none(scene: Scene) -> None:
    browser = scene.browser("marc")
    for path in ("/audit/entree/{}", "/audit/entree/{}/preuve"):
        theirs_is, none_is = (browser.get(path.format(index)) for index in (min(theirs(scene)), 10**6))
        assert theirs_is.status_code == none_is.status_code == 404
        assert re.sub(r"\d{3,}|lang=\w+|value=\"[^\"]*\"", "", theirs_is.text).replace(str(min(theirs(scene))), "") == (
            re.sub(r"\d{3,}|lang=\w+|value=\"[^\"]*\"", "", none_is.text)
        )


def test_a_colleague_of_one_organisation_sees_her_readings_and_no_others(scene: Scene) -> None:
    scene.browser("claire").get("/audit?kind=access")
    browser = scene.browser("marc")
    browser.get("/audit?kind=failure")
    page = browser.get("/audit?kind=audit.query").text
    assert "a_11111111" not in page
    assert set(rows(page)).isdisjoint(theirs(scene))


@pytest.mark.parametrize("page", ["", "/chronologie", "/particularites"])
def test_an_auditor_of_one_organisation_is_offered_no_other(scene: Scene, page: str) -> None:
    reply = scene.browser("marc").get(f"/audit{page}")
    assert "un seul organisme" in reply.text
    assert 'name="organisation"' not in reply.text
    assert f'value="{SOCIAL}"' not in reply.text
    assert DEPARTMENT not in reply.text


@pytest.mark.parametrize("asked", [f"citizen={CITIZEN}", "grant=grant-c", "ground=complaint", "case=1"])
@pytest.mark.parametrize(
    "path",
    [
        "/audit?{}&ground=complaint&case=1",
        "/audit?{}",
        "/audit/particularites?{}&ground=complaint&case=1",
        "/audit/export?format=csv&{}&ground=complaint&case=1",
        "/audit/personne?{}",
        "/audit/chronologie?{}",
    ],
)
def test_an_operator_may_not_look_anybody_up(scene: Scene, path: str, asked: str) -> None:
    size = scene.size()
    reply = scene.browser("nadia").get(path.format(asked))
    assert reply.status_code == 403
    assert "Au-delà de ce que vous pouvez lire" in reply.text
    assert scene.size() == size


@pytest.mark.parametrize("path", [path for path in ACTS if "citizen" not in path])
def test_an_operator_sees_no_detail_anywhere(scene: Scene, path: str) -> None:
    reply = scene.browser("nadia").get(path)
    for kept_back in (CITIZEN, NEIGHBOUR, "grant-c", "eidas1", "Rechercher une personne"):
        assert kept_back not in reply.text, kept_back


def test_the_table_names_no_person_even_to_who_may_see_details(scene: Scene) -> None:
    assert CITIZEN not in scene.browser("claire").get(f"/audit?application={PUPILS}").text


def test_somebody_unknown_is_shown_her_reference_alone(scene: Scene) -> None:
    size = scene.size()
    for path in ACTS:
        reply = scene.browser("nobody").get(path)
        assert reply.status_code == 403
        assert "a_" + "9" * 64 in reply.text
        assert "Ada Personne" in reply.text
        assert "<table" not in reply.text
    assert scene.size() == size


def test_a_program_reads_pages_with_its_token_and_another_does_not(scene: Scene) -> None:
    browser = scene.browser()
    assert browser.get("/audit", headers={"authorization": "Bearer a-program"}).status_code == 200
    refused = browser.get("/audit", headers={"authorization": "Bearer another"})
    assert (refused.status_code, "<table" in refused.text) == (401, False)


@pytest.mark.parametrize(
    "path", [*ACTS, "/audit/personne", "/audit/deconnexion", "/audit/entree/999999", "/audit?since=x"]
)
def test_every_page_is_kept_by_nobody_and_lets_nothing_in(scene: Scene, path: str) -> None:
    headers = scene.browser("claire").get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    if headers["content-type"].startswith("text/html"):
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' https://proconnect.example; "
            "frame-ancestors 'none'; base-uri 'none'"
        )


@pytest.mark.parametrize("path", [path for path in ACTS if "preuve" not in path and "export" not in path])
def test_a_page_asks_nobody_else_for_anything(scene: Scene, path: str) -> None:
    page = scene.browser("claire").get(path).text
    fetched = re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page)
    assert fetched
    assert all(one.startswith("/") and not one.startswith("//") for one in fetched)
    for forbidden in ("<script", "style=", " onclick", "<iframe", "<img"):
        assert forbidden not in page
    outside = [
        one for one in re.findall(r'https?://[^"<\s]*', page) if not one.startswith((ISSUER, "http://www.w3.org/"))
    ]
    assert outside == []


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_page_is_in_one_language_and_offers_the_other_with_its_query(scene: Scene, language: str) -> None:
    other = {"fr": "en", "en": "fr"}[language]
    browser = scene.browser("claire", language=language)
    reply = browser.get("/audit?kind=refusal&since=2026-11-01")
    assert reply.headers["content-language"] == language
    assert f'<html lang="{language}">' in reply.text
    assert f'href="/audit?kind=refusal&amp;since=2026-11-01&amp;lang={other}"' in reply.text
    chosen = browser.get(f"/audit?kind=refusal&lang={other}")
    assert f'<html lang="{other}">' in chosen.text
    assert f'<html lang="{other}">' in browser.get("/audit/chronologie").text
    assert {"fr": "Refus", "en": "Refusal"}[other] in chosen.text
