"""The consent screen: what it shows, and what an answer to it is worth."""

import re
from dataclasses import replace
from html import unescape

import pytest
from starlette.testclient import TestClient

from consent.pages.decision import TICKET_LIFETIME
from consent.pages.notice import Asked, notice
from openapi.problem import AccordError
from tests.consent.pages.scene import (
    AUTHORIZE,
    CALLBACK,
    CLIENT,
    DAY,
    DETAIL,
    ISSUER,
    NOTICE,
    NOW,
    PENDING,
    PERMIT,
    Scene,
)

SHOWN = notice(CLIENT, (Asked(DETAIL, PERMIT, NOTICE),), now=NOW, language="fr")


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def form_of(page: str) -> dict[str, object]:
    """The form as a browser would send it, the button aside."""
    ticket = re.search(r'name="fiche" value="([^"]+)"', page)
    assert ticket is not None
    fields = re.findall(r'name="champ" value="([^"]+)" checked', page)
    end = re.search(r'name="fin" value="([^"]+)" checked', page)
    assert end is not None
    return {"fiche": ticket[1], "champ": fields, "fin": end[1]}


def answer(browser: TestClient, form: dict[str, object], **changes: object):
    return browser.post("/oauth/authorize/decision", data={**form, "decision": "agree", **changes})


def test_the_screen_says_every_word_of_the_notice(camille):
    page = words_of(camille.get(AUTHORIZE).text)
    for line in SHOWN.text.splitlines()[1:]:
        assert " ".join(line.removeprefix("- ").split()) in page


def test_every_field_is_ticked_and_the_end_asked_for_is_chosen(camille):
    form = form_of(camille.get(AUTHORIZE).text)
    assert form["champ"] == [f"0:{name}" for name in DETAIL.fields]
    assert form["fin"] == str(SHOWN.ends[0])


def test_agreeing_records_the_fields_the_end_and_the_hash_of_what_was_shown(camille, scene):
    reply = answer(camille, form_of(camille.get(AUTHORIZE).text))
    assert reply.status_code == 303
    assert reply.headers["location"].startswith(f"{CALLBACK}?code=")
    assert scene.desk.agreed == [((DETAIL.fields,), SHOWN.ends[0], SHOWN.sha256)]


def test_a_field_unticked_is_not_granted(camille, scene):
    answer(camille, form_of(camille.get(AUTHORIZE).text), champ=["0:quotient_familial.valeur"])
    assert scene.desk.agreed[0][0] == (("quotient_familial.valeur",),)


def test_a_shorter_end_is_granted(camille, scene):
    answer(camille, form_of(camille.get(AUTHORIZE).text), fin=str(SHOWN.ends[-1]))
    assert scene.desk.agreed[0][1] == SHOWN.ends[-1]


def test_refusing_goes_back_to_the_application_and_grants_nothing(camille, scene):
    reply = answer(camille, form_of(camille.get(AUTHORIZE).text), decision="refuse")
    assert reply.headers["location"].startswith(f"{CALLBACK}?error=access_denied")
    assert (scene.desk.refused, scene.desk.agreed) == (1, [])


def test_agreeing_to_nothing_is_asked_again(camille, scene):
    reply = answer(camille, form_of(camille.get(AUTHORIZE).text), champ=[])
    assert reply.status_code == 422
    assert "Cochez au moins une information" in reply.text
    assert form_of(reply.text)["champ"] == []
    assert scene.desk.agreed == []


def test_a_field_that_was_not_asked_is_not_there(camille, scene):
    form = form_of(camille.get(AUTHORIZE).text)
    answer(camille, form, champ=["0:quotient_familial.valeur", "0:enfants.prenoms", "1:x", "nonsense"])
    assert scene.desk.agreed[0][0] == (("quotient_familial.valeur",),)


@pytest.mark.parametrize("end", ["", "x", "-1", str(NOW + 9999 * DAY)])
def test_an_end_that_was_not_offered_is_refused(camille, scene, end):
    reply = answer(camille, form_of(camille.get(AUTHORIZE).text), fin=end)
    assert reply.status_code == 403
    assert scene.desk.agreed == []


def test_a_request_that_changed_meanwhile_is_shown_again_before_it_counts(camille, scene):
    form = form_of(camille.get(AUTHORIZE).text)
    scene.desk.waiting = replace(PENDING, permits=(replace(PERMIT, purpose={"fr": "Autre", "en": "Other"}),))
    reply = answer(camille, form)
    assert reply.status_code == 409
    assert "La demande a changé" in reply.text
    assert scene.desk.agreed == []
    assert answer(camille, form_of(reply.text)).status_code == 303


def test_the_text_agreed_to_is_the_one_of_the_language_it_was_read_in(camille, scene):
    form = form_of(camille.get(f"{AUTHORIZE}&lang=en").text)
    camille.get("/?lang=fr")
    answer(camille, form)
    english = notice(CLIENT, (Asked(DETAIL, PERMIT, NOTICE),), now=NOW, language="en")
    assert scene.desk.agreed[0][2] == english.sha256


def test_the_screen_read_at_length_is_agreed_to_as_it_was_shown(camille, scene):
    form = form_of(camille.get(AUTHORIZE).text)
    scene.at += TICKET_LIFETIME - 60
    answer(camille, form)
    assert scene.desk.agreed[0][1:] == (SHOWN.ends[0], SHOWN.sha256)


def test_a_form_of_another_session_is_refused(scene: Scene, camille):
    form = form_of(camille.get(AUTHORIZE).text)
    other = TestClient(scene.app(), base_url=ISSUER, cookies=dict(scene.session_cookie()), follow_redirects=False)
    assert answer(other, form).status_code == 403
    assert scene.desk.agreed == []


@pytest.mark.parametrize("ticket", ["", "x", "a.b.c.d.e", "é", "x" * 9000])
def test_a_forged_ticket_is_refused(camille, scene, ticket):
    form = form_of(camille.get(AUTHORIZE).text)
    assert answer(camille, form, fiche=ticket).status_code in {400, 403}
    assert scene.desk.agreed == []


def test_an_answer_after_the_session_ended_grants_nothing(camille, stranger, scene):
    reply = answer(stranger, form_of(camille.get(AUTHORIZE).text))
    assert reply.status_code == 403
    assert "Session expirée" in reply.text
    assert scene.desk.agreed == []


def test_nothing_is_decided_by_a_link(camille, scene):
    assert camille.get("/oauth/authorize/decision?decision=agree").status_code == 405
    assert scene.desk.agreed == []


def test_an_unknown_request_is_a_page_and_never_a_redirect(camille, stranger):
    for browser in (camille, stranger):
        reply = browser.get("/oauth/authorize?client_id=portail-famille&request_uri=urn:unknown")
        assert reply.status_code == 400
        assert "est plus valable" in reply.text


@pytest.mark.parametrize("query", ["", "?client_id=a", f"?client_id=a&request_uri={'x' * 600}"])
def test_a_malformed_address_is_a_page(camille, query):
    reply = camille.get(f"/oauth/authorize{query}")
    assert reply.status_code == 400
    assert reply.headers["content-type"].startswith("text/html")


def test_a_log_that_cannot_be_written_is_said_and_leads_nowhere(camille, scene):
    scene.desk.failure = AccordError("log_unavailable", retry_in=5)
    reply = answer(camille, form_of(camille.get(AUTHORIZE).text))
    assert reply.status_code == 503
    assert "a été transmise" in reply.text


def test_the_enter_key_on_a_box_shows_the_same_choice_again_and_decides_nothing(camille, scene):
    page = camille.get(AUTHORIZE).text
    assert page.index('value="look"') < page.index('name="champ"') < page.index('value="agree"')
    form = {**form_of(page), "champ": ["0:quotient_familial.valeur"], "fin": str(SHOWN.ends[-1])}
    again = answer(camille, form, decision="look")
    assert again.status_code == 200
    kept = form_of(again.text)
    assert (kept["champ"], kept["fin"]) == (form["champ"], form["fin"])
    assert (scene.desk.agreed, scene.desk.refused) == ([], 0)


def test_the_form_may_end_at_the_application_and_nowhere_else(camille):
    policy = camille.get(AUTHORIZE).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://fc.example https://portail.valombre.example;" in policy
    assert "unsafe" not in policy


def test_hostile_names_are_shown_as_text(camille, scene):
    hostile = replace(CLIENT, name="<script>alert(1)</script>", organisation_name='"><img src=x>')
    scene.desk.waiting = replace(PENDING, client=hostile)
    page = camille.get(AUTHORIZE).text
    assert "<script" not in page
    assert "<img" not in page
