"""Everything about her in one file: complete, hers alone, each entry proven, however long, never silently cut short."""

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from starlette.testclient import TestClient

from audit.checkpoint import NoteVerifier
from audit.model import Append, LogUnavailable
from audit.verifier import verify_proof_file
from consent.ports import ConsentEvent
from exchange import journal
from exchange.bridge import LogAccesses
from exchange.model import About, Asked
from openapi.problem import AccordError
from tests.consent.pages.real_log import entry, log_of
from tests.consent.pages.scene import CITIZEN, DETAIL, GRANT, ISSUER, LOG, NOW, SIRET, Scene, make_config

OTHER = "pseudonym-of-another"
KINDS = ("grant.given", "grant.suspended", "grant.resumed", "grant.withdrawn", "grant.expired", "grant.refused")


def about(citizen: str, kind: str) -> Append:
    event = ConsentEvent(
        kind, f"{kind} of {citizen}", citizen, "portail-famille", SIRET, (DETAIL,), "consent", "eidas1"
    )
    return journal.consent_event(event, request_id=f"r-{kind}", now=NOW)


def of_another(append: Append) -> Append:
    return replace(append, detail={**append.detail, "citizen": OTHER})


def everything() -> list[Append]:
    """Each kind about her and about another, among entries about nobody."""
    hers = [about(CITIZEN.pseudonym, kind) for kind in KINDS]
    hers += [entry(), entry(kind="refusal", outcome="grant_withdrawn"), entry(kind="failure", outcome="holder_timeout")]
    nobody = journal.refusal(Asked("r"), About(), AccordError("token_missing"), now=NOW, began=NOW)
    return [one for append in hers for one in (append, of_another(append), nobody)]


def scene_of(signing_key, accesses: LogAccesses) -> Scene:
    scene = Scene(make_config(signing_key, franceconnect="https://fc.example/api/v2"), accesses=accesses)
    scene.desk.grants = [GRANT, replace(GRANT, grant_id="others", citizen=OTHER)]
    return scene


def browse(scene: Scene) -> TestClient:
    return TestClient(scene.app(), base_url=ISSUER, follow_redirects=False, cookies=dict(scene.session_cookie()))


@pytest.fixture(scope="module")
def scene(signing_key, tmp_path_factory) -> Iterator[Scene]:
    with log_of(tmp_path_factory.mktemp("log"), everything()) as accesses:
        yield scene_of(signing_key, accesses)


def test_every_kind_of_entry_about_her_is_in_it_and_nobody_elses(scene):
    reply = browse(scene).get("/mes-acces/export")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["content-disposition"] == 'attachment; filename="accord-mes-acces-2026-11-24.json"'
    assert reply.headers["cache-control"] == "no-store"
    export = reply.json()
    assert export["count"] == len(export["entries"]) == 9
    kinds = [json.loads(one["entry"])["kind"] for one in export["entries"]]
    assert sorted(kinds) == sorted([*KINDS, "access", "refusal", "failure"])
    assert [one["index"] for one in export["entries"]] == list(range(24, -1, -3))
    assert {json.loads(one["detail"])["citizen"] for one in export["entries"]} == {CITIZEN.pseudonym}
    assert [one["dct:identifier"] for one in export["authorisations"]] == [GRANT.grant_id]
    assert OTHER not in reply.text


def test_each_entry_is_a_proof_file_that_leads_to_the_checkpoint_of_the_export(scene):
    export = browse(scene).get("/mes-acces/export").json()
    assert export["log_key"] == LOG.vkey
    checkpoint = NoteVerifier(export["log_key"]).open(export["checkpoint"])
    assert checkpoint.size == 27
    for one in export["entries"]:
        proven = verify_proof_file(json.dumps(one).encode(), LOG.vkey)
        assert (proven.index, proven.checkpoint) == (one["index"], checkpoint)


@pytest.mark.enable_socket
def test_a_stranger_logs_in_first_and_another_reads_her_own(scene):
    stranger = TestClient(scene.app(), base_url=ISSUER, follow_redirects=False)
    reply = stranger.get("/mes-acces/export")
    assert (reply.status_code in {303, 502, 503}, "entries" in reply.text) == (True, False)
    found = [one.index for one in scene.accesses.export(OTHER).entries]
    assert found == list(range(25, -1, -3))
    assert list(scene.accesses.export("nobody").entries) == []


def test_it_explains_itself_in_the_language_of_the_page(scene):
    french, english = (browse(scene).get(f"/mes-acces/export?lang={one}").json() for one in ("fr", "en"))
    assert "article" not in str(french["explanation"])
    assert len(french["explanation"]) == len(english["explanation"]) == 4
    for name in ("entry", "detail", "salt", "index", "proof", "checkpoint", "log_key", "count", "authorisations"):
        assert name in str(french["explanation"])
        assert name in str(english["explanation"])


def test_five_thousand_accesses_cost_no_more_memory_than_a_few(signing_key, tmp_path):
    appends = [one for at in range(5_000) for one in ((entry(), of_another(entry())) if at % 9 == 0 else (entry(),))]
    with log_of(tmp_path, appends) as accesses:
        export = accesses.export(CITIZEN.pseudonym)
        assert len(list(islice(export.entries, 4_600))) == 4_600
        tracemalloc.start()
        rest = sum(1 for _ in export.entries)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (rest, peak < 8_000_000) == (400, True)
        body = browse(scene_of(signing_key, accesses)).get("/mes-acces/export").json()
    assert body["count"] == len({one["index"] for one in body["entries"]}) == 5_000
    for one in body["entries"][::250]:
        verify_proof_file(json.dumps(one).encode(), LOG.vkey)


def test_an_empty_log_is_an_empty_export(signing_key, tmp_path):
    with log_of(tmp_path, []) as accesses:
        export = browse(scene_of(signing_key, accesses)).get("/mes-acces/export").json()
    assert (export["entries"], export["count"], export["checkpoint"]) == ([], 0, "")


class _FailingQueries:
    """A log that stops answering, at once or on the way."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once
        self.checkpoint = "note"

    def history(self, _citizen):
        if self.at_once:
            raise LogUnavailable("OperationalError")
        return self

    def entries(self):
        raise LogUnavailable("OperationalError")
        yield


def test_a_log_that_cannot_be_read_is_a_page_that_says_so(signing_key):
    reply = browse(scene_of(signing_key, LogAccesses(_FailingQueries(at_once=True)))).get("/mes-acces/export")
    assert reply.status_code == 503
    assert "text/html" in reply.headers["content-type"]


def test_a_file_that_was_cut_short_does_not_end(signing_key):
    client = browse(scene_of(signing_key, LogAccesses(_FailingQueries(at_once=False))))
    with pytest.raises(AccordError):
        client.get("/mes-acces/export")


def test_the_link_is_on_the_page(camille):
    page = camille.get("/mes-acces").text
    assert '<a href="/mes-acces/export" download>Télécharger tout ce qui me concerne</a>' in page
