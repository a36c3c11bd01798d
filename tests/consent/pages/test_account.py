"""A citizen's own pages: hers alone, and a withdrawal takes one decision."""

import re
from dataclasses import replace

import pytest

from tests.consent.pages.scene import ACCESS, DAY, GRANT, NOW

SOMEBODY_ELSES = replace(GRANT, grant_id="grant-2", citizen="somebody-else")
WITHDRAWAL = "/mes-autorisations/grant-1/retrait"


def token_of(page: str) -> str:
    tokens = re.findall(r'name="jeton" value="([0-9a-f]+)"', page)
    return tokens[-1]


def test_an_authorisation_in_force_has_its_withdraw_button(camille, scene):
    scene.desk.grants = [GRANT]
    page = camille.get("/mes-autorisations").text
    assert "Commune de Valombre" in page
    assert "Montant du quotient familial" in page
    assert f'href="{WITHDRAWAL}"' in page


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        (replace(GRANT, status="withdrawn", ended_at=NOW - 5 * DAY), "Retirée le 19 novembre 2026"),
        (replace(GRANT, expires_at=NOW - DAY), "Échue le 23 novembre 2026"),
    ],
)
def test_an_authorisation_that_ended_says_how_and_offers_nothing(camille, scene, grant, words):
    scene.desk.grants = [grant]
    page = camille.get("/mes-autorisations").text
    assert words in page
    assert WITHDRAWAL not in page
    assert camille.get(WITHDRAWAL).status_code == 303


def test_withdrawing_is_confirmed_and_says_what_becomes_of_data_already_sent(camille, scene):
    scene.desk.grants = [GRANT]
    page = camille.get(WITHDRAWAL).text
    assert "efface pas" in page
    reply = camille.post(WITHDRAWAL, data={"jeton": token_of(page)})
    assert reply.status_code == 303
    assert scene.desk.grants[0].status == "withdrawn"
    assert "Plus aucun accès" in camille.get(reply.headers["location"]).text


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "x" * 300])
def test_a_withdrawal_without_this_sessions_token_changes_nothing(camille, scene, token):
    scene.desk.grants = [GRANT]
    assert camille.post(WITHDRAWAL, data={"jeton": token}).status_code in {400, 403}
    assert scene.desk.grants == [GRANT]


def test_the_token_of_one_authorisation_does_not_withdraw_another(camille, scene):
    scene.desk.grants = [GRANT, replace(GRANT, grant_id="grant-3")]
    token = token_of(camille.get("/mes-autorisations/grant-3/retrait").text)
    assert camille.post(WITHDRAWAL, data={"jeton": token}).status_code == 403


def test_the_authorisations_of_somebody_else_do_not_exist(camille, scene):
    scene.desk.grants = [SOMEBODY_ELSES]
    assert "aucune autorisation" in camille.get("/mes-autorisations").text
    assert camille.get("/mes-autorisations/grant-2/retrait").status_code == 404


def test_every_access_says_when_who_what_why_and_how_it_ended(camille, scene):
    scene.accesses.views = [ACCESS, replace(ACCESS, index=5, outcome="grant_withdrawn")]
    page = camille.get("/mes-acces").text
    for words in (
        "23 novembre 2026 à 9 h 05",
        "Commune de Valombre, par",
        "Code postal et commune",
        "Calculer le tarif de la crèche",
        "Votre consentement",
        "Transmis",
        "autorisation retirée",
    ):
        assert words in page
    assert "grant_withdrawn" not in page


def test_what_is_registered_no_more_keeps_its_identifier(camille, scene):
    scene.accesses.views = [
        replace(ACCESS, recipient="21350001200015", client_id="ancien", dataset="rsa", purpose="aide_sociale")
    ]
    page = camille.get("/mes-acces").text
    for words in ("SIRET 213\N{NO-BREAK SPACE}500", "ancien", "rsa", "aide sociale"):
        assert words in page


def test_older_accesses_are_one_page_away(camille, scene):
    scene.accesses.views = [replace(ACCESS, index=index) for index in range(60, 0, -1)]
    first = camille.get("/mes-acces").text
    assert first.count("/preuve") == 25
    assert 'href="/mes-acces?avant=36"' in first
    assert camille.get("/mes-acces?avant=36").text.count("/preuve") == 25
    last = camille.get("/mes-acces?avant=11").text
    assert last.count("/preuve") == 10
    assert "plus anciens" not in last


def test_a_proof_is_a_file_to_keep(camille, scene):
    scene.accesses.views = [ACCESS]
    reply = camille.get("/mes-acces/7/preuve")
    assert reply.json() == {"proof": "..."}
    assert reply.headers["content-disposition"] == 'attachment; filename="accord-preuve-7.json"'
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("index", "status"), [("8", 404), ("-1", 400), ("x", 400), (str(2**63), 400)])
def test_a_proof_that_is_not_hers_does_not_exist(camille, scene, index, status):
    scene.accesses.views = [ACCESS]
    reply = camille.get(f"/mes-acces/{index}/preuve")
    assert reply.status_code == status
    assert reply.headers["content-type"].startswith("text/html")


def test_an_empty_account_says_so(camille):
    assert "aucune autorisation" in camille.get("/mes-autorisations").text
    assert "encore demandé" in camille.get("/mes-acces").text


PATHS = ["/", "/mes-autorisations", "/mes-acces", "/deconnexion", "/mes-acces/9/preuve"]


@pytest.mark.parametrize("path", PATHS)
def test_no_page_is_stored_framed_or_scripted(camille, path):
    reply = camille.get(path)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert "script-src" not in reply.headers["content-security-policy"]
    assert "<script" not in reply.text
    assert " style=" not in reply.text


@pytest.mark.parametrize("path", PATHS)
def test_every_page_speaks_both_languages_and_links_the_other(camille, path):
    french, english = camille.get(path), camille.get(f"{path}?lang=en")
    assert (french.headers["content-language"], english.headers["content-language"]) == ("fr", "en")
    assert '<html lang="fr">' in french.text
    assert f'href="{path}?lang=fr"' in english.text


def test_the_language_chosen_is_kept(camille):
    reply = camille.get("/?lang=en")
    assert "__Host-accord-lang=en" in reply.headers["set-cookie"]
    assert camille.get("/mes-acces").headers["content-language"] == "en"


def test_the_stylesheet_is_served_and_nothing_else_is(stranger):
    reply = stranger.get("/static/accord.css")
    assert reply.headers["content-type"] == "text/css; charset=utf-8"
    for name in ("base.html", "..%2Froutes.py", "texts.toml"):
        assert stranger.get(f"/static/{name}").status_code == 404
