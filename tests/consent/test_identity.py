import json
from dataclasses import replace

from joserfc import jwe
from joserfc.jwk import OctKey

from consent.identity import pairwise_subject, pseudonym, seal
from consent.keys import SealingKeys
from openapi.fields import CogCode, PivotIdentity
from tests.consent.world import OTHER_TOWN, TOWN

KEY = b"p" * 32
JEANNE = PivotIdentity(
    family_name="LÉVÊQUE",
    gender="female",
    birthcountry=CogCode("99100"),
    given_names=("Jeanne", "Anne"),
    birthdate="1980-02-03",
    birthplace=CogCode("75056"),
)


def test_the_same_person_has_the_same_pseudonym_however_she_is_spelled() -> None:
    again = replace(JEANNE, family_name="Le\u0301ve\u0302que ", preferred_username="Durand")
    assert pseudonym(again, KEY) == pseudonym(JEANNE, KEY)


def test_another_person_or_another_key_has_another_pseudonym() -> None:
    known = pseudonym(JEANNE, KEY)
    others = [
        replace(JEANNE, given_names=("Jeanne Anne",)),
        replace(JEANNE, gender="male"),
        replace(JEANNE, birthdate="1980-02-04"),
        replace(JEANNE, birthplace=None),
        replace(JEANNE, birthcountry=CogCode("99109")),
    ]
    assert known not in {pseudonym(other, KEY) for other in others} | {pseudonym(JEANNE, b"q" * 32)}


def test_two_recipients_know_the_same_citizen_by_two_subjects() -> None:
    citizen = pseudonym(JEANNE, KEY)
    subjects = {pairwise_subject(citizen, TOWN, KEY), pairwise_subject(citizen, OTHER_TOWN, KEY), citizen}
    assert len(subjects) == 3


def test_a_sealed_identity_opens_with_the_named_key_alone() -> None:
    keys = SealingKeys({"old": b"o" * 32, "new": b"n" * 32}, current="new")
    sealed = seal(JEANNE, "citizen", keys)
    opened = jwe.decrypt_compact(sealed, OctKey.import_key(b"n" * 32), algorithms=["dir", "A256GCM"])
    assert opened.protected == {"alg": "dir", "enc": "A256GCM", "kid": "new"}
    content = json.loads(opened.plaintext or b"")
    assert content["citizen"] == "citizen"
    assert PivotIdentity.from_claims(content["pivot"]) == JEANNE
