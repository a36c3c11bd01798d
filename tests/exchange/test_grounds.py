"""On what an access rests: refusal unless every condition holds, and the reason of each."""

from dataclasses import replace
from typing import Any

import pytest

from consent.model import Client
from exchange.dropin.call import recipient_of
from exchange.dropin.errors import Fault
from exchange.dropin.evidence import looks_like_consent
from exchange.dropin.introspection import rights_of
from exchange.dropin.scopes import opened, scopes_of
from exchange.grounds import Receiver, agent_of, habilitation_on, receiver
from exchange.model import Delegation, Habilitation, Registry
from openapi.fields import Siret
from openapi.problem import AccordError
from providers.manifest import manifests

TOWN, EDITOR, OTHER = Siret("21990001600011"), Siret("73282932000074"), Siret("35600000000048")
NOW = 1_000
QF = manifests()["quotient_familial"]
FIELDS = frozenset(QF.fields)
HABILITATION = Habilitation(
    "h",
    TOWN,
    frozenset(),
    QF.dataset,
    FIELDS,
    {"tarification": {"fr": "Tarif", "en": "Price"}},
    "public_task",
    NOW,
    NOW + 10,
    grounds=frozenset({"application", "agent"}),
)
DELEGATION = Delegation("d", TOWN, EDITOR, frozenset(), NOW, NOW + 10)


def client(organisation: Siret = TOWN, client_id: str = "c") -> Client:
    return Client(client_id, "An application", organisation, "Organisation", (), {}, "none")


def registry(*habilitations: Habilitation, delegations: tuple[Delegation, ...] = (DELEGATION,)) -> Registry:
    return Registry(
        1,
        {TOWN: "Town"},
        {},
        {(TOWN, QF.dataset): habilitations or (HABILITATION,)},
        delegations={one.id: one for one in delegations},
    )


def asked(known: Registry, kinds: Any = ("agent", "application"), *, of: Client | None = None, now: float = NOW) -> Any:
    return habilitation_on(
        kinds, receiver=Receiver(TOWN), client=of or client(), dataset=QF.dataset, registry=known, now=now
    )


def slug(call: Any) -> str:
    with pytest.raises(AccordError) as caught:
        call()
    return caught.value.slug


def test_the_better_ground_is_taken_whichever_habilitation_allows_it() -> None:
    only_application = replace(HABILITATION, id="first", grounds=frozenset({"application"}))
    found, kind = asked(registry(only_application, HABILITATION))
    assert (found.id, kind) == ("h", "agent")
    assert asked(registry(only_application, HABILITATION), ("application",))[0].id == "first"


def test_each_missing_condition_is_a_refusal_of_its_own() -> None:
    assert slug(lambda: asked(registry(replace(HABILITATION, grounds=frozenset({"consent"}))))) == "ground_missing"
    assert slug(lambda: asked(registry(), ("franceconnect",))) == "ground_missing"
    assert slug(lambda: asked(registry(replace(HABILITATION, clients=frozenset({"other"}))))) == "habilitation_missing"
    assert slug(lambda: asked(registry(), now=NOW - 1)) == "habilitation_not_started"
    assert slug(lambda: asked(registry(), now=NOW + 10)) == "habilitation_expired"
    assert slug(lambda: asked(Registry(1, {}, {}))) == "habilitation_missing"


def test_a_delegation_must_be_of_this_organisation_to_this_one_for_this_dataset_and_in_force() -> None:
    def whom(known: Registry, delegation_id: str = "", now: float = NOW, recipient: Siret = TOWN) -> Receiver:
        return receiver(recipient, delegation_id, client=client(EDITOR), dataset=QF.dataset, registry=known, now=now)

    assert whom(registry()).delegation is DELEGATION
    assert whom(registry(), "d").delegation is DELEGATION
    assert whom(registry(), recipient=EDITOR).delegation is None
    for wrong in (
        replace(DELEGATION, organisation=OTHER),
        replace(DELEGATION, delegate=OTHER),
        replace(DELEGATION, datasets=frozenset({"prime_activite"})),
        replace(DELEGATION, valid_from=NOW + 1),
        replace(DELEGATION, valid_until=NOW),
    ):
        assert slug(lambda wrong=wrong: whom(registry(delegations=(wrong,)))) == "delegation_missing"
    assert slug(lambda: whom(registry(), "another")) == "delegation_missing"
    assert slug(lambda: whom(registry(), "d", recipient=EDITOR)) == "delegation_missing"


def test_a_recipient_is_a_siret_with_a_valid_key() -> None:
    assert recipient_of(TOWN) == TOWN
    assert recipient_of("") == Fault("recipient", is_missing=True)
    assert recipient_of("21990001600012") == recipient_of("ABC") == Fault("recipient")


def test_an_agent_is_the_same_under_one_key_and_nobody_under_another() -> None:
    assert agent_of("agent-7", b"k" * 32) == agent_of("agent-7", b"k" * 32)
    assert len({agent_of("agent-7", b"k" * 32), agent_of("agent-8", b"k" * 32), agent_of("agent-7", b"l" * 32)}) == 3


def test_a_scope_opens_its_own_fields_and_no_other() -> None:
    assert {one.partition(".")[0] for one in opened(QF, FIELDS, ["cnaf_enfants", "cnaf_adresse"])} == {
        "enfants",
        "adresse",
    }
    assert opened(QF, FIELDS, []) == opened(QF, FIELDS, ["openid", "dgfip_rfr"]) == frozenset()
    assert opened(QF, FIELDS, QF.scopes) == FIELDS
    single = manifests()["allocation_soutien_familial"]
    assert opened(single, single.fields, single.scopes) == frozenset(single.fields)


def test_an_inner_field_needs_the_scope_of_the_whole_too_and_one_that_no_scope_names_needs_them_all() -> None:
    service = manifests()["service_civique"]
    now, dates = "gip_mds_service_civique_statut_actuel", "gip_mds_service_civique_dates"
    assert opened(service, service.fields, [now]) == {"statut_actuel.contrat_trouve"}
    assert opened(service, service.fields, [dates]) == frozenset()
    assert "statut_actuel.date_fin_contrat" in opened(service, service.fields, [now, dates])
    assert "statut_passe.date_fin_contrat" not in opened(service, service.fields, [now, dates])
    unsaid = replace(service, opens={})
    assert opened(unsaid, service.fields, service.scopes[1:]) == frozenset()
    assert opened(unsaid, service.fields, service.scopes) == frozenset(service.fields)


def test_every_field_of_a_dataset_with_several_scopes_has_one() -> None:
    several = [one for one in manifests().values() if one.holder == "api_particulier" and len(one.scopes) > 1]
    assert len(several) >= 8
    for manifest in several:
        unsaid = replace(manifest, scopes=(*manifest.scopes, "nobody_has_this"))
        assert opened(unsaid, manifest.fields, manifest.scopes) == frozenset(manifest.fields), manifest.dataset


@pytest.mark.parametrize("manifest", [one for one in manifests().values() if one.holder == "api_particulier"])
def test_the_scopes_that_an_application_is_said_to_have_open_what_it_may_have(manifest: Any) -> None:
    for field in manifest.fields:
        assert field in opened(manifest, manifest.fields, scopes_of(manifest, [field]))


def test_rights_are_of_the_habilitations_in_force_own_and_delegated() -> None:
    known = registry(replace(HABILITATION, fields=frozenset({"enfants.prenoms", "quotient_familial.valeur"})))
    rights = rights_of(client(), [QF], known, now=NOW)
    assert rights == {"_id": "c", "name": "An application", "scopes": ["cnaf_quotient_familial", "cnaf_enfants"]}
    assert rights_of(client(EDITOR), [QF], known, now=NOW)["scopes"] == rights["scopes"]
    assert rights_of(client(OTHER), [QF], known, now=NOW)["scopes"] == []
    assert rights_of(client(), [QF], known, now=NOW + 10)["scopes"] == []


@pytest.mark.parametrize(
    ("token", "is_ours"),
    [
        (b"eyJ0eXAiOiJhdCtqd3QifQ.e30.x", True),
        (b"eyJ0eXAiOiJKV1QifQ.e30.x", False),
        (b"accord_x", False),
        (b"a.b.c", False),
        (b"W10.e30.x", False),
        (b"\xff.\xff.\xff", False),
    ],
)
def test_a_token_is_ours_when_it_says_so(token: bytes, is_ours: bool) -> None:  # a parameter of the test
    assert looks_like_consent(token) == is_ours
