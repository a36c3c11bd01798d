"""API Entreprise's door without a server: its paths, questions, older versions, privileges and pings."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.model import Client
from exchange.application import digest_of
from exchange.dropin.api_entreprise import ApiEntrepriseEntrance
from exchange.dropin.call import Call, read_call
from exchange.dropin.company_call import read_question
from exchange.dropin.company_paths import Routes
from exchange.dropin.door import Passage, Visitor
from exchange.dropin.errors import ParametersRefused, provider_of, refused
from exchange.dropin.older_versions import OLDER
from exchange.dropin.privileges import privileges
from exchange.dropin.pulse import Pulse
from exchange.masking import apply_mask, compile_mask
from exchange.model import Delegation, Habilitation, Registry
from exchange.recipient import Proxies, Recipient
from openapi.fields import Siret
from openapi.problem import AccordError
from providers.config import HolderConfig
from providers.errors import HolderFailed, UnknownCompany
from providers.manifest import manifests
from providers.registry import Dataset, Datasets, load

TOWN, OTHER, EDITOR = Siret("21990001600011"), Siret("21630113500010"), Siret("73282932000074")
COMPANY = "77567227221138"
NOW = 1_800_000_000.0
PATH = f"/v3/insee/sirene/etablissements/{COMPANY}"
WHY = f"recipient={TOWN}&context=march%C3%A9&object=2026-017"


def _client(client_id: str, organisation: Siret) -> Client:
    return Client(client_id, client_id, organisation, "x", (), {}, "none", token_until=int(NOW) + 10)


APPLICATION, STRANGER, EDITORS = _client("achats", TOWN), _client("autre", OTHER), _client("editeur", EDITOR)


@pytest.fixture(scope="module")
def datasets() -> Datasets:
    return load(
        {"api_entreprise": HolderConfig("http://localhost", "t"), "dgfip": HolderConfig("http://localhost", "t")}
    )


def _companies(datasets: Datasets) -> list[Dataset]:
    found = [one for name in datasets.ids() if (one := datasets.get(name)) is not None]
    return [one for one in found if one.manifest.subject == "company"]


def _habilitation(dataset: str, *, fields: frozenset[str] = frozenset(), **changed: Any) -> Habilitation:
    given = {"grounds": frozenset({"company"}), "valid_from": 0, "valid_until": int(NOW) + 1, "clients": frozenset()}
    return Habilitation(
        id=f"h-{dataset}",
        organisation=TOWN,
        dataset=dataset,
        fields=fields,
        purposes={"marche_public": {}},
        legal_basis="public_task",
        **{**given, **changed},
    )


def _registry(*habilitations: Habilitation, delegations: Mapping[str, Delegation] | None = None) -> Registry:
    return Registry(
        1,
        {TOWN: "Valombre"},
        {one.client_id: one for one in (APPLICATION, STRANGER, EDITORS)},
        {(one.organisation, one.dataset): (one,) for one in habilitations},
        delegations=delegations or {},
        tokens={digest_of(b"a-token"): "achats"},
    )


class _Known:
    def __init__(self, registry: Registry, *, is_fresh: bool = True) -> None:
        self.registry = registry
        self.is_fresh = is_fresh


def _entrance(datasets: Datasets, registry: Registry, *, is_fresh: bool = True) -> ApiEntrepriseEntrance:
    return ApiEntrepriseEntrance(
        datasets,
        knowledge=_Known(registry, is_fresh=is_fresh),
        recipient=Recipient("https://accord.example", proxies=Proxies(), nonces=None),  # type: ignore[arg-type]  # no proofs here
        pulse=Pulse(lambda: NOW),
        pseudonym_key=b"k" * 32,
        base="https://accord.example",
    )


def _call(path: str = PATH, query: str | bytes = WHY, token: bytes = b"a-token") -> Call:
    raw = query if isinstance(query, bytes) else query.encode()
    scope = {"path": path, "query_string": raw, "headers": [(b"authorization", b"Bearer " + token)], "method": "GET"}
    return read_call(scope, began=NOW)


def _admitted(datasets: Datasets, registry: Registry, call: Call, client: Client = APPLICATION) -> Passage:
    entrance = _entrance(datasets, registry)
    dataset = entrance.dataset(call.path)
    assert dataset is not None
    return entrance.admit(call, dataset, Visitor(client), request_id="r")


def test_every_company_manifests_path_is_served_and_leads_to_it(datasets: Datasets) -> None:
    routes, companies = Routes(_companies(datasets)), _companies(datasets)
    assert len(companies) >= 12
    for one in companies:
        path = one.manifest.path.replace("{siret}", COMPANY).replace("{siren}", COMPANY[:9])
        found = routes.find(path)
        assert found is not None
        assert (found.dataset, found.is_current) == (one, True)
        for version in (1, 9):
            older = routes.find(f"/v{version}{path.removeprefix(path[:3])}")
            assert older is not None
            assert older.dataset is one


@pytest.mark.parametrize(
    "path",
    [
        "/v1/data/etablissement",
        "/v1/datasets",
        "/v3/dss/quotient_familial/identite",
        "/v3/insee/sirene/etablissements",
        "/v3/insee/sirene/etablissements/1/2",
        f"/v3/insee/sirene/etablissements/{'1' * 65}",
        f"/v10/insee/sirene/etablissements/{COMPANY}",
        f"//v3/insee/sirene/etablissements/{COMPANY}",
        "/api/introspect",
        "/pingsx",
        "/ping",
        "/",
    ],
)
def test_other_paths_are_left_to_others(datasets: Datasets, path: str) -> None:
    entrance = _entrance(datasets, _registry())
    assert not entrance.serves(path)
    assert entrance.dataset(path) is None


def test_a_citizens_dataset_is_not_behind_this_door(datasets: Datasets) -> None:
    assert datasets.get("impot_particulier") is not None
    assert not _entrance(datasets, _registry()).serves("/impotparticulier/1.0/situations/ir/assiettes/annrev/2024")


def _check_refusal(error: AccordError, number: str) -> None:
    said = json.dumps({name: str(value) for name, value in error.facts.items()})
    assert error.slug in {"parameters_refused", "recipient_is_the_company", "request_malformed"}
    assert len(number) < 4 or number not in said


_TEXT = st.text(max_size=12) | st.sampled_from(["", " ", TOWN, COMPANY, "x" * 251, "\u0000", "é", "%"])


@given(
    number=st.text(st.characters(exclude_characters="/"), max_size=16) | st.just(COMPANY),
    pairs=st.lists(
        st.tuples(st.sampled_from(["recipient", "context", "object", "delegation_id", "x"]), _TEXT), max_size=6
    ),
    noise=st.binary(max_size=20),
)
def test_whatever_is_asked_is_a_sound_question_or_a_declared_refusal(
    datasets: Datasets, number: str, pairs: list[tuple[str, str]], noise: bytes
) -> None:
    route = Routes(_companies(datasets)).find(f"/v3/insee/sirene/etablissements/{number}")
    if route is None:
        return
    try:
        question = read_question(_call(query=urlencode(pairs).encode() + noise), route)
    except AccordError as error:
        _check_refusal(error, number)
        return
    assert (question.company, len(question.recipient)) == (number, 14)
    assert question.context.strip()
    assert question.object.strip()
    assert repr(question) == "Question(...)"


def test_each_missing_parameter_is_said_in_the_states_order(datasets: Datasets) -> None:
    with pytest.raises(ParametersRefused) as caught:
        _admitted(datasets, _registry(_habilitation("etablissement")), _call(query=""))
    assert [fault.parameter for fault in caught.value.faults] == ["context", "recipient", "object"]
    assert all(fault.is_missing for fault in caught.value.faults)


def test_of_a_parameter_sent_twice_the_last_counts_as_at_the_states(datasets: Datasets) -> None:
    registry = _registry(_habilitation("etablissement", fields=frozenset({"siret"})))
    passage = _admitted(datasets, registry, _call(query=f"context=first&{WHY}&context=last"))
    assert passage.query.context == "last"


def test_the_question_and_the_ground_say_who_asks_for_whom_and_why(datasets: Datasets) -> None:
    registry = _registry(_habilitation("etablissement", fields=frozenset({"siret", "enseigne"})))
    passage = _admitted(datasets, registry, _call())
    query = passage.query
    assert (query.company, query.recipient, query.context, query.object) == (COMPANY, TOWN, "marché", "2026-017")
    assert query.fields == ("siret", "enseigne")
    assert query.identity is None
    public, sealed = passage.ground.about.public, passage.ground.about.sealed
    assert (public["client"], public["recipient"], public["rests_on"]) == ("achats", TOWN, "company")
    assert sealed.keys() == {"company", "context", "object", "habilitation"}
    assert not {COMPANY, COMPANY[:9], "marché", "2026-017"} & {str(value) for value in sealed.values()}


@pytest.mark.parametrize(
    ("changed", "slug"),
    [
        ({"valid_until": int(NOW)}, "habilitation_expired"),
        ({"valid_from": int(NOW) + 1, "valid_until": int(NOW) + 2}, "habilitation_not_started"),
        ({"grounds": frozenset({"consent"})}, "ground_missing"),
        ({"clients": frozenset({"another"})}, "habilitation_missing"),
        ({"fields": frozenset()}, "field_not_habilitated"),
        ({"fields": frozenset({"activite_principale.code"})}, "field_not_habilitated"),
    ],
    ids=["over", "not begun", "another ground", "another application", "no field", "no field of this version"],
)
def test_with_one_condition_missing_nothing_is_asked(datasets: Datasets, changed: dict[str, Any], slug: str) -> None:
    given = {"fields": frozenset({"siret"}), **changed}
    with pytest.raises(AccordError) as caught:
        _admitted(datasets, _registry(_habilitation("etablissement", **given)), _call())
    assert caught.value.slug == slug


def test_another_organisations_application_needs_a_delegation_of_this_dataset(datasets: Datasets) -> None:
    def delegation(**changed: Any) -> Mapping[str, Delegation]:
        given = {"datasets": frozenset({"etablissement"}), "valid_from": 0, "valid_until": int(NOW) + 1, **changed}
        return {"d1": Delegation("d1", TOWN, EDITOR, **given)}

    habilitation = _habilitation("etablissement", fields=frozenset({"siret"}))
    registry = _registry(habilitation, delegations=delegation())
    passage = _admitted(datasets, registry, _call(), EDITORS)
    assert (passage.ground.about.public["delegate"], passage.query.recipient) == (EDITOR, TOWN)
    for wrong in ({"datasets": frozenset({"unite_legale"})}, {"valid_until": int(NOW)}, {"valid_from": int(NOW) + 1}):
        with pytest.raises(AccordError, match="delegation_missing"):
            _admitted(datasets, _registry(habilitation, delegations=delegation(**wrong)), _call(), EDITORS)
    with pytest.raises(AccordError, match="delegation_missing"):
        _admitted(datasets, registry, _call(), STRANGER)


def test_a_registry_that_is_too_old_recognises_nobody(datasets: Datasets) -> None:
    with pytest.raises(AccordError, match="status_feed_stale"):
        _entrance(datasets, _registry(), is_fresh=False).page(_call("/privileges"))


_SIRENE: Mapping[str, Any] = {
    "siret": COMPANY,
    "activite_principale": {"code": "new"},
    "activite_principale_naf_rev2": {"code": "old"},
    "unite_legale": {"activite_principale": {"code": "new"}, "activite_principale_naf_rev2": {"code": "old"}},
}


@given(
    st.sets(
        st.sampled_from(
            [
                "siret",
                "activite_principale.code",
                "activite_principale_naf_rev2.code",
                "unite_legale.activite_principale.code",
                "unite_legale.activite_principale_naf_rev2.code",
            ]
        ),
        min_size=1,
    )
)
def test_version_3_never_shows_what_its_new_counterpart_may_not(allowed: set[str]) -> None:
    reading = OLDER["etablissement", 3]
    fields = tuple(sorted(name for name in allowed if reading.needs(name)))
    read = reading.read(apply_mask(compile_mask(fields), _SIRENE))
    assert "new" not in json.dumps(read)
    assert "naf_rev2" not in json.dumps(read)
    assert ("activite_principale" in read) == ("activite_principale_naf_rev2.code" in allowed)
    assert ("unite_legale" in read) == ("unite_legale.activite_principale_naf_rev2.code" in allowed)


def test_every_older_version_is_one_of_a_dataset_that_has_a_newer() -> None:
    for name, version in OLDER:
        assert version < int(manifests()[name].path[2])


def test_privileges_end_with_the_habilitation_and_the_delegation(datasets: Datasets) -> None:
    companies = _companies(datasets)
    registry = _registry(_habilitation("etablissement"), _habilitation("extrait_kbis", grounds=frozenset({"consent"})))
    scopes = ["etablissements", "unites_legales_etablissements_insee"]
    assert privileges(APPLICATION, companies, registry, now=NOW) == scopes
    assert privileges(APPLICATION, companies, registry, now=NOW + 1) == []
    assert privileges(EDITORS, companies, registry, now=NOW) == []
    delegated = {"d1": Delegation("d1", TOWN, EDITOR, frozenset({"etablissement"}), 0, int(NOW) + 1)}
    registry = _registry(_habilitation("etablissement"), delegations=delegated)
    assert privileges(EDITORS, companies, registry, now=NOW) == scopes
    assert privileges(EDITORS, companies, registry, now=NOW + 1) == []


def test_a_provider_is_as_it_answered_last_and_unknown_after_a_quarter_of_an_hour(datasets: Datasets) -> None:
    now = [NOW]
    pulse = Pulse(lambda: now[0])
    entrance = ApiEntrepriseEntrance(
        datasets,
        knowledge=_Known(_registry()),
        recipient=Recipient("https://accord.example", proxies=Proxies(), nonces=None),  # type: ignore[arg-type]  # idem
        pulse=pulse,
        pseudonym_key=b"k" * 32,
        base="https://accord.example",
    )

    def ping() -> tuple[int, str]:
        page = entrance.page(_call("/ping/insee/sirene"))
        assert isinstance(page.document, dict)
        return page.status, page.document["status"]

    assert ping() == (200, "unknown")
    with pytest.raises(UnknownCompany), pulse.taken("unite_legale"):
        raise UnknownCompany("api_entreprise")
    assert ping() == (200, "ok")
    now[0] += 1
    with pytest.raises(HolderFailed), pulse.taken("etablissement"):
        raise HolderFailed("api_entreprise", retry_in=1)
    assert ping() == (502, "bad_gateway")
    now[0] += 901
    assert ping() == (200, "unknown")


@pytest.mark.parametrize(
    ("slug", "path", "status", "code", "name"),
    [
        ("document_not_issued", "/v4/urssaf/unites_legales/1/attestation_vigilance", 502, "04503", "ACOSS"),
        ("document_under_review", "/v4/urssaf/unites_legales/1/attestation_vigilance", 502, "04501", "ACOSS"),
        ("document_not_issued", "/v4/dgfip/unites_legales/1/attestation_fiscale", 502, "03501", "DGFIP - Adélie"),
        ("company_unknown_to_holder", "/v3/inpi/rne/unites_legales/1/extrait_rne", 404, "34003", "INPI - RNE"),
        ("company_not_disclosed", "/v3/insee/sirene/unites_legales/1", 451, "01005", "INSEE"),
        ("holder_timeout", "/v3/ademe/etablissements/1/certification_rge", 504, "19002", "ADEME"),
    ],
)
def test_what_a_provider_says_of_a_company_has_its_own_code(
    slug: str, path: str, status: int, code: str, name: str
) -> None:
    said = refused(AccordError(slug, provider="api_entreprise", retry_in=1), provider=provider_of(path))
    (error,) = json.loads(said.body)["errors"]
    assert (said.status, error["code"], error["meta"]["provider"]) == (status, code, name)
    assert error["title"]
    assert error["detail"]


def test_pings_list_the_providers_that_are_offered_alone() -> None:
    nobody = load({"dgfip": HolderConfig("http://localhost", "t")})
    assert _entrance(nobody, _registry()).page(_call("/pings")).document == []
    assert _entrance(nobody, _registry()).page(_call("/ping/insee/sirene")).status == 404
