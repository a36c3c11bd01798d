"""Asked by a number that could be anybody's: which paths are, what is read, and what her agreement opens then."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

from consent.model import Client, Detail
from exchange.dropin.admission import Question, consented, granted
from exchange.dropin.call import Call, read_call
from exchange.dropin.citizen_paths import Places, ways_to
from exchange.dropin.door import Visitor
from exchange.dropin.identity import read_parameters
from exchange.dropin.older_versions import CURRENT
from exchange.grounds import identifier_of
from exchange.model import ConsentToken, Habilitation, Registry
from openapi.fields import FRANCE, PivotIdentity, Siret
from openapi.problem import AccordError
from providers.confirmation import confirms
from providers.manifest import ManifestError, manifests, parse_manifest
from providers.model import Manifest
from providers.port import IdentityMissing, Query
from providers.registry import ADAPTERS
from tests.conftest import REPOSITORY

TOWN, NOW, KEY = Siret("21990001600011"), 1_000, b"k" * 32
STUDENT, JOBS, QF = (manifests()[name] for name in ("statut_etudiant", "demandeur_emploi", "quotient_familial"))
INE = "/v3/mesri/statut_etudiant/ine"
CITIZEN = PivotIdentity("Martin", "female", FRANCE, ("Axelle", "Laurence"), "1989-12-03")
CLIENT = Client("c", "An application", TOWN, "Town", (), {}, "none")


def call(path: str = INE, **told: str) -> Call:
    query = urlencode({"recipient": TOWN, **told}).encode()
    return read_call({"path": path, "query_string": query, "headers": []}, began=NOW)


def question(manifest: Manifest = STUDENT, **told: str) -> Question:
    asked = call(**(told or {"ine": "0123456789A"}))
    way = ways_to(manifest)[INE]
    read = read_parameters(asked, manifest, identifier=way.identifier)
    assert read.faults == ()
    return Question(asked, manifest, Visitor(CLIENT), read, TOWN, "r", way)


def registry(*grounds: Any) -> Registry:
    purposes = {"bourse": {"fr": "Bourse", "en": "Grant"}}
    fields = frozenset(STUDENT.fields)
    given = frozenset(grounds)
    one = Habilitation(
        "h", TOWN, frozenset(), STUDENT.dataset, fields, purposes, "public_task", NOW, NOW + 10, grounds=given
    )
    return Registry(1, {TOWN: "Town"}, {"c": CLIENT}, {(TOWN, STUDENT.dataset): (one,)})


def token() -> ConsentToken:
    detail = Detail(STUDENT.dataset, tuple(STUDENT.fields), "bourse", TOWN, expires_at=NOW + 5)
    return ConsentToken("c", "g", "eidas1", 0, {STUDENT.dataset: detail}, "pseudonym", CITIZEN)


def test_a_manifest_alone_says_by_what_a_dataset_is_asked_for() -> None:
    stem = "/v3/mesri/statut_etudiant"
    assert {path: way.mode for path, way in ways_to(STUDENT).items()} == {
        f"{stem}/identite": "identite",
        f"{stem}/france_connect": "france_connect",
        f"{stem}/ine": "identifier",
    }
    assert [(path, way.identifier) for path, way in ways_to(JOBS).items()] == [(JOBS.path, "identifiant")]
    assert {way.mode for way in ways_to(QF).values()} == {"identite", "france_connect"}
    assert ways_to(replace(JOBS, holder="dgfip")) == {}
    assert ways_to(replace(JOBS, parameters={})) == {}


def test_a_path_leads_to_the_manifest_of_its_version_and_any_other_version_to_the_newest() -> None:
    old = replace(STUDENT, dataset="statut_ancien", path=STUDENT.path.replace("v3", "v2"))
    offered: Any = [SimpleNamespace(manifest=one) for one in (old, STUDENT, JOBS)]
    for places in (Places(offered), Places(reversed(offered))):
        found = {f"/v{number}": places.find(INE.replace("/v3", f"/v{number}")) for number in (1, 2, 3, 9)}
        told = {path: place and place.dataset.manifest.dataset for path, place in found.items()}
        assert told == {
            "/v1": "statut_etudiant",
            "/v2": "statut_ancien",
            "/v3": "statut_etudiant",
            "/v9": "statut_etudiant",
        }
        for path, place in found.items():
            assert place is not None
            if path in ("/v2", "/v3"):
                assert place.reading is CURRENT
                continue
            with pytest.raises(AccordError) as caught:
                _ = place.reading
            assert (caught.value.slug, caught.value.facts["served"]) == ("version_not_served", "v3")
        assert places.find("/mesri/statut_etudiant/ine") is None
        assert places.find("/v3/mesri/statut_etudiant/numero") is None


def test_her_agreement_opens_nothing_where_nothing_of_the_answer_is_held_against_her() -> None:
    """A number that she did not give could be anybody's, and nobody would see it."""
    passage = consented(question(), token(), registry("consent"))
    assert (passage.query.identity, passage.query.identifier) == (CITIZEN, "ine")
    silent = {"ine": replace(STUDENT.identifiers["ine"], confirms={})}
    with pytest.raises(AccordError) as caught:
        consented(question(replace(STUDENT, identifiers=silent)), token(), registry("consent"))
    assert caught.value.slug == "ground_missing"


def test_without_her_agreement_the_entry_has_a_hash_of_the_number_and_no_pseudonym() -> None:
    passage = granted(question(), registry("application"), KEY)
    assert passage.query.identity is None
    assert passage.query.status_index is None
    sealed = passage.ground.about.sealed
    assert sealed["identifier"] == identifier_of("ine", "0123456789a", KEY)
    assert "citizen" not in sealed
    assert "0123456789" not in f"{sealed} {passage.ground.about.public} {question()!r} {passage.query!r}"


def test_another_number_name_or_key_is_another_hash() -> None:
    hashes = {
        identifier_of(*one) for one in (("ine", "1", KEY), ("ine", "2", KEY), ("x", "1", KEY), ("ine", "1", b"x"))
    }
    assert len(hashes) == 4
    assert identifier_of("a\0b", "c", KEY) != identifier_of("a", "b", KEY)


def test_a_number_that_the_path_does_not_ask_by_is_refused() -> None:
    by_name = read_parameters(call(ine="0123456789A"), STUDENT)
    assert [one.parameter for one in by_name.faults] == ["ine"]
    both = read_parameters(call(ine="0123456789A", identifiant="x"), STUDENT, identifier="ine")
    assert [one.parameter for one in both.faults] == ["identifiant"]
    nothing = read_parameters(call(), STUDENT, identifier="ine")
    assert [(one.parameter, one.is_missing) for one in nothing.faults] == [("ine", True)]


@pytest.mark.parametrize("manifest", [STUDENT, JOBS])
def test_a_question_without_an_identity_is_asked_only_by_who_says_that_it_has_none(manifest: Manifest) -> None:
    given = {"identifiant": "martin"} if manifest is JOBS else {}
    query = Query(manifest.dataset, TOWN, "r", tuple(manifest.fields), parameters=given)

    async def never(_request: object) -> Any:
        raise AssertionError

    with pytest.raises(IdentityMissing):
        ADAPTERS[manifest.adapter](manifest).fetch(query, never).send(None)


def test_a_twin_is_not_the_citizen_who_agreed() -> None:
    fields = manifests()["etudiant_boursier"].identifiers["ine"].confirms
    hers = {"identite": {"nom": "MARTIN", "prenoms": ["AXELLE", "LAURENCE"], "date_naissance": "1989-12-03"}}
    assert confirms(fields, hers, CITIZEN)
    for prenoms in (["LAURENCE"], [], None, [1], "Marie"):
        assert not confirms(fields, {"identite": {**hers["identite"], "prenoms": prenoms}}, CITIZEN)


def test_a_wrong_identifier_of_a_manifest_is_named() -> None:
    content = (REPOSITORY / "providers/manifests/statut_etudiant.toml").read_text()
    for right, wrong, named in (
        ("[identifiers.ine]", "[identifiers.INE]", "identifiers.'INE': 2 to 64 small letters"),
        ('"identite.nom_naissance", given', '"nom", given', "identifiers.'ine'.confirms.family_name: 'nom' is not"),
        ('pattern = "[0-9a-zA-Z]{11}"', 'pattern = "["', "identifiers.'ine'.pattern: a regular expression"),
        ("confirms = ", "confirm = ", "identifiers.'ine': confirm is not a key"),
    ):
        assert right in content
        with pytest.raises(ManifestError) as caught:
            parse_manifest(content.replace(right, wrong, 1), name="x.toml")
        assert named in str(caught.value)
