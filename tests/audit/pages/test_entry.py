"""One entry: its words, its bytes, its seal as the role has it, and a proof that verifies without us."""

import html
import json
import re

import pytest

from audit.merkle import leaf_hash
from audit.proof import TlogProof
from audit.verifier import verify_proof_file
from tests.audit.pages.scene import CITIZEN, TOWN, Scene
from tests.audit.pages.test_search import words

ERASED = 0


def test_an_auditor_reads_the_detail_the_bytes_and_the_salt(scene: Scene) -> None:
    reply = scene.browser("claire").get("/audit/entree/5")
    stored = scene.queries.entry(5)
    assert stored is not None
    assert stored.salt is not None
    page = html.unescape(reply.text)
    assert stored.leaf.decode() in page
    assert stored.salt.hex() in page
    for expected in ("Entrée n° 5", "28 octobre 2026, 19:00:00", "Données transmises", CITIZEN, "eidas1"):
        assert expected in words(page), expected


def test_an_operator_is_told_that_the_detail_is_sealed(scene: Scene) -> None:
    page = scene.browser("nadia").get("/audit/entree/5").text
    stored = scene.queries.entry(5)
    assert stored is not None
    assert stored.salt is not None
    assert "ouvre pas ce qui concerne une personne" in page
    for kept_back in (CITIZEN, stored.salt.hex(), "grant-c", "eidas1"):
        assert kept_back not in page


def test_an_erased_detail_is_said_to_be_erased(scene: Scene) -> None:
    page = scene.browser("claire").get(f"/audit/entree/{ERASED}").text
    assert "Effacé à la fin de sa conservation" in page
    assert "accord-preuve-0" not in page


def test_an_entry_about_nobody_says_that_its_detail_is_empty(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?kind=keys.rotated").text
    number = re.findall(r"/audit/entree/(\d+)", page)[0]
    page = scene.browser("claire").get(f"/audit/entree/{number}").text
    assert "ne concerne personne" in page
    assert "tokens_dropped" in page


def test_everything_that_an_entry_says_leads_to_those_that_say_the_same(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit/entree/5").text
    for link in (
        f"/audit?organisation={TOWN}",
        "/audit?application=portail-famille",
        "/audit?dataset=quotient_familial",
        "/audit?field=quotient_familial.mois",
        "/audit?request_id=request-5",
        f"/audit/personne?citizen={CITIZEN}",
    ):
        assert f'href="{link}"' in page, link


def test_a_proof_for_who_sees_details_opens_the_seal_and_verifies_offline(scene: Scene) -> None:
    reply = scene.browser("marc").get("/audit/entree/5/preuve")
    assert reply.headers["content-disposition"] == 'attachment; filename="accord-preuve-5.json"'
    assert set(json.loads(reply.content)) == {"entry", "salt", "detail", "proof"}
    proven = verify_proof_file(reply.content, scene.key.vkey)
    assert (proven.index, proven.detail["citizen"]) == (5, CITIZEN)


@pytest.mark.parametrize(("who", "index"), [("nadia", 5), ("claire", ERASED)])
def test_without_the_detail_the_proof_is_the_bare_tlog_proof(scene: Scene, who: str, index: int) -> None:
    reply = scene.browser(who).get(f"/audit/entree/{index}/preuve")
    stored = scene.queries.entry(index)
    assert stored is not None
    assert reply.headers["content-disposition"] == f'attachment; filename="accord-preuve-{index}.tlog-proof"'
    parsed = TlogProof.parse(reply.text)
    assert parsed.index == index
    parsed.verify(leaf_hash(stored.leaf), scene.key.verifier())


def test_the_entries_beside_it_are_one_link_away(scene: Scene) -> None:
    browser = scene.browser("claire")
    page = browser.get("/audit/entree/5").text
    assert 'href="/audit/entree/4" rel="prev"' in page
    assert 'href="/audit/entree/6" rel="next"' in page
    assert 'rel="prev"' not in browser.get("/audit/entree/0").text
    newest = scene.size()
    assert browser.get(f"/audit/entree/{newest}").status_code == 200
    assert browser.get(f"/audit/entree/{newest + 1}").status_code == 200


def test_who_reads_one_organisation_is_not_led_to_numbers_of_others(scene: Scene) -> None:
    page = scene.browser("marc").get("/audit/entree/5").text
    assert 'rel="prev"' not in page
    assert 'rel="next"' not in page
    assert 'href="/audit?before=5"' in page


def test_a_reading_can_be_made_again_unless_it_was_about_a_person(scene: Scene) -> None:
    browser = scene.browser("claire")
    plain = scene.size()
    browser.get("/audit?kind=refusal")
    browser.get(f"/audit?citizen={CITIZEN}&ground=complaint&case=1&kind=access")
    assert 'href="/audit?kind=refusal">Refaire' in browser.get(f"/audit/entree/{plain}").text
    assert "Refaire" not in browser.get(f"/audit/entree/{plain + 1}").text


@pytest.mark.parametrize("index", ["999999", str(2**62), "-1", "x", str(2**63), "5/preuve/x", "%00"])
def test_an_entry_that_is_none_is_a_page_in_words(scene: Scene, index: str) -> None:
    reply = scene.browser("claire").get(f"/audit/entree/{index}")
    assert reply.status_code in {400, 404}
