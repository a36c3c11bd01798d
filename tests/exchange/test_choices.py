"""What auditors choose from: everything that is registered, or no more than what is said of their organisation."""

import pytest

from audit.filters import TERMS, names
from consent.model import Client
from exchange.choices import choices
from exchange.model import Delegation, Habilitation, Registry
from openapi.fields import Siret
from providers.manifest import manifests

TOWN, DEPARTMENT = Siret("21990001600011"), Siret("22990002200018")
EDITOR, OTHER_EDITOR = Siret("20990001800018"), Siret("73282932000074")
MANIFESTS = {name: one for name, one in manifests().items() if name in {"quotient_familial", "unite_legale"}}


def client(name: str, organisation: Siret) -> Client:
    return Client(name, "An application", organisation, "Organisation", (), {}, "none")


def habilitation(organisation: Siret, dataset: str, field: str, purpose: str, *clients: str) -> Habilitation:
    words = {purpose: {"fr": "Motif", "en": "Purpose"}}
    return Habilitation("h", organisation, frozenset(clients), dataset, frozenset({field}), words, "consent", 0, 10)


TOWNS = habilitation(TOWN, "quotient_familial", "quotient_familial.valeur", "school", "portal", "editors")
DEPARTMENTS = habilitation(DEPARTMENT, "unite_legale", "siren", "aid")
REGISTRY = Registry(
    1,
    dict.fromkeys((TOWN, DEPARTMENT, EDITOR, OTHER_EDITOR), "Organisation"),
    {
        one.client_id: one
        for one in (
            client("portal", TOWN),
            client("editors", EDITOR),
            client("editors-for-others", EDITOR),
            client("social", DEPARTMENT),
        )
    },
    {(TOWN, "quotient_familial"): (TOWNS,), (DEPARTMENT, "unite_legale"): (DEPARTMENTS,)},
    delegations={
        "d1": Delegation("d1", TOWN, EDITOR, frozenset(), 0, 10),
        "d2": Delegation("d2", DEPARTMENT, OTHER_EDITOR, frozenset(), 0, 10),
    },
)
HERS = {
    "organisation": {TOWN},
    "delegate": {EDITOR},
    "application": {"portal", "editors"},
    "dataset": {"quotient_familial"},
    "field": {"quotient_familial.valeur"},
    "purpose": {"school"},
    "legal_basis": {"consent"},
    "provider": {"api_particulier"},
}
EVERYTHING = {
    "organisation": {TOWN, DEPARTMENT, EDITOR, OTHER_EDITOR},
    "delegate": {EDITOR, OTHER_EDITOR},
    "application": {"portal", "editors", "editors-for-others", "social"},
    "dataset": set(MANIFESTS),
    "field": {field for one in MANIFESTS.values() for field in one.fields},
    "purpose": {"school", "aid"},
    "legal_basis": {"consent"},
    "provider": {one.holder for one in MANIFESTS.values()},
}


@pytest.mark.parametrize("parameter", EVERYTHING)
def test_who_reads_everything_chooses_from_all_that_is_registered(parameter: str) -> None:
    assert choices(parameter, REGISTRY, MANIFESTS) == EVERYTHING[parameter]


@pytest.mark.parametrize("parameter", HERS)
def test_an_auditor_of_one_organisation_chooses_from_what_is_said_of_that_one(parameter: str) -> None:
    assert choices(parameter, REGISTRY, MANIFESTS, organisation=TOWN) == HERS[parameter]


@pytest.mark.parametrize("parameter", sorted({*HERS} - {"organisation"}))
def test_nothing_is_offered_of_an_organisation_that_the_registry_does_not_know_any_more(parameter: str) -> None:
    assert choices(parameter, REGISTRY, MANIFESTS, organisation=Siret("13990001300018")) == set()


def test_outcomes_are_those_of_the_registered_problems_for_everybody() -> None:
    found = choices("outcome", REGISTRY, MANIFESTS, organisation=TOWN)
    assert found == choices("outcome", REGISTRY, MANIFESTS)
    assert {"ok", "grant_withdrawn", "already_spent"} <= set(found)


def test_a_parameter_that_has_no_few_values_offers_none() -> None:
    for parameter in {*names()} - {*EVERYTHING, "outcome"}:
        assert list(choices(parameter, REGISTRY, MANIFESTS)) == []
    assert {*EVERYTHING, "outcome", "kind"} == {*TERMS}
