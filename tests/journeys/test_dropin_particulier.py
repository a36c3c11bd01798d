"""API Particulier's paths on a real deployment: the State's fixtures, two municipal applications, every refusal."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from consent.identity import pseudonym
from exchange.grounds import agent_of
from openapi.document import committed
from sandbox.api_particulier import identity_of
from sandbox.world import TOWN_SIRET
from tests.journeys.dropin import (
    ENVELOPE,
    FIELDS,
    FRANCE_CONNECT,
    IDENTITE,
    OTHER_TOWN,
    OTHERS,
    Town,
    check_answer,
    params_of,
    raw,
    town,
)
from tests.journeys.receipts import check_receipt_in_headers
from tests.state_contract import check_against

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

ONE_OF_THEM = "civility__200-QF-150-CNAF"
HERS = "france_connect__france_connect_200_cnaf_2_parents_0_enfant"
SAMPLES = {"anneeScolaire": "2026-2027"}

WITH_A_NAME_IN_USE = {"france_connect__fake_france_connect_cnaf"}
"""Deviation: FranceConnect tells a data provider no name in use (its schema has none), so that a file that is found by
one is not found by a FranceConnect token. A consent token carries it."""


@pytest.fixture(scope="module")
def here(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("dropin"), reference) as running:
        yield running


@pytest.fixture(autouse=True)
def _unhurried() -> None:
    """Twenty requests a second is the State's limit, and ours."""
    time.sleep(0.06)


# -- the State's fixtures


def test_every_identity_fixture_is_answered_as_it_and_the_contract_say(here: Town, reference: Path) -> None:
    asked = {name: family for name, family in here.families.items() if name.startswith("civility__")}
    assert len(asked) == 18
    before = len(here.entries())
    for name, family in asked.items():
        answer = here.get(IDENTITE, here.tokens["noethys"], params_of(family))
        check_answer(reference, IDENTITE, answer, family, name)
        if family.status == 200:
            check_receipt_in_headers(here.deployment, answer)
        time.sleep(0.06)
    entries = here.entries()[before:]
    assert [entry["kind"] == "access" for entry in entries] == [family.status == 200 for family in asked.values()]
    assert {entry["rests_on"] for entry in entries} == {"application"}
    assert here.deployment.verify().ok


@pytest.fixture
def franceconnected(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One person stands in both of the State's folders, with two families: these fixtures are served alone."""
    with town(tmp_path_factory.mktemp("franceconnect"), reference, kinds=("france_connect",)) as running:
        yield running


def test_every_franceconnect_fixture_is_answered_as_it_and_the_contract_say(
    franceconnected: Town, reference: Path
) -> None:
    here = franceconnected
    asked = {name: family for name, family in here.families.items() if name.startswith("france_connect__")}
    assert len(asked) == 9
    assert {name for name, family in asked.items() if "nomUsage" in family.params} == WITH_A_NAME_IN_USE
    for name, family in asked.items():
        answer = here.get(FRANCE_CONNECT, here.franceconnect_token(name), {"recipient": TOWN_SIRET})
        entry = here.entries()[-1]
        assert (entry["rests_on"], entry["client"]) == ("franceconnect", "portail-citoyen")
        if name in WITH_A_NAME_IN_USE:
            refused(answer, 404, "37003")
            answer = here.get(FRANCE_CONNECT, here.consent_token(name), {"recipient": TOWN_SIRET})
        check_answer(reference, FRANCE_CONNECT, answer, family, name)
    assert here.deployment.verify().ok


def test_every_dataset_asked_for_by_identity_is_answered_as_the_contract_says_by_its_manifest_alone(
    here: Town, reference: Path
) -> None:
    assert len(OTHERS) >= 11
    for manifest in OTHERS:
        params = params_of(here.families[ONE_OF_THEM])
        params += [(name, SAMPLES[name]) for name, one in manifest.parameters.items() if one.required]
        answer = here.get(manifest.path, here.tokens["noethys"], params)
        assert answer.status_code == 200, (manifest.path, answer.text)
        assert answer.json().keys() == ENVELOPE
        check_against(reference / "api-particulier" / "openapi.yaml", manifest.path, 200, answer.json())
        assert here.entries()[-1]["dataset"] == manifest.dataset
        unidentified = here.get(manifest.path, here.tokens["noethys"], {"recipient": TOWN_SIRET})
        assert unidentified.status_code == 422
        named = {one["source"]["parameter"] for one in unidentified.json()["errors"]}
        check_against(reference / "api-particulier" / "openapi.yaml", manifest.path, 422, unidentified.json())
        assert named <= {name for name, _ in params}
        assert "nomNaissance" in named
        time.sleep(0.12)


def test_an_older_version_is_answered_as_its_contract_says_where_it_can_be_made_of_todays(
    here: Town, reference: Path
) -> None:
    params = [*params_of(here.families[ONE_OF_THEM]), ("anneeScolaire", SAMPLES["anneeScolaire"])]
    today = here.get("/v5/men/scolarites/identite", here.tokens["noethys"], params).json()
    assert "regime_pensionnat" in today["data"]
    for version in ("v3", "v4"):
        path = f"/{version}/men/scolarites/identite"
        answer = here.get(path, here.tokens["noethys"], params)
        assert answer.status_code == 200, answer.text
        check_against(reference / "api-particulier" / "openapi.yaml", path, 200, answer.json())
        less = {name: value for name, value in today["data"].items() if name != "regime_pensionnat"}
        assert answer.json()["data"] == less
        assert [one for one in here.entries()[-1]["fields"] if one.startswith("regime_pensionnat")] == []


def test_a_version_that_is_not_served_is_refused_with_the_one_that_is(here: Town) -> None:
    params = params_of(here.families[ONE_OF_THEM])
    for path, served in (
        ("/v3/cnous/etudiant_boursier/identite", "v4"),
        ("/v3/cnous/etudiant_boursier/ine", "v4"),
        ("/v9/dss/quotient_familial/identite", "v3"),
        ("/v2/men/scolarites/identite", "v5"),
    ):
        answer = here.get(path, here.tokens["noethys"], params)
        refused(answer, 404, "00402", "version_not_served")
        detail = answer.json()["errors"][0]["detail"]
        assert path[1:3] in detail
        assert served in detail
        refused(here.get(path, None, params), 401, "00101")


# -- applications that were written for API Particulier


def test_noethysweb_checks_its_token_and_asks_for_a_quotient_familial(here: Town) -> None:
    """Noethys/Noethysweb, noethysweb/individus/utils/utils_api_particulier.py: Check_token, then Envoi_requete.

    The bytes are those of requests 2.32 with its headers and parameters in its order: no day of birth.
    """
    token, host = here.tokens["noethys"], urlsplit(here.deployment.url).netloc
    head = (
        f"Host: {host}\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n"
        f"Accept: application/json\r\nConnection: keep-alive\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    status, _, body = raw(here.deployment.url, f"GET /api/introspect?token={token} HTTP/1.1\r\n{head}".encode())
    assert status == 200
    assert b'"cnaf_quotient_familial"' in body
    told = (
        f"recipient={TOWN_SIRET}&codeCogInseePaysNaissance=99100&sexeEtatCivil=F&nomNaissance=LEFEBVRE"
        "&prenoms%5B%5D=ALEXIS&prenoms%5B%5D=G%C3%89R%C3%94ME&prenoms%5B%5D=JEAN-PHILIPPE"
    )
    born = "&codeCogInseeCommuneNaissance=08480&moisDateNaissance=12&anneeDateNaissance=1982"
    family = here.families["civility__200-identite-cas-nominal-peu-de-donnee-naissance"]
    for month in ("", "&mois=3&annee=2026"):
        status, headers, body = raw(
            here.deployment.url, f"GET {IDENTITE}?{told}{month}{born} HTTP/1.1\r\n{head}".encode()
        )
        assert status == 200, body
        assert headers["content-type"] == "application/json"
        assert httpx.Response(200, content=body).json() == family.payload


def test_formulaire_qf_asks_with_the_citizens_franceconnect_token(here: Town) -> None:
    """etalab/formulaire-qf, which communes use: ApiParticulier::QuotientFamilial::V2 over Ruby's Net::HTTP."""
    token, host = here.franceconnect_token(HERS), urlsplit(here.deployment.url).netloc
    request = (
        f"GET {FRANCE_CONNECT}?recipient={TOWN_SIRET} HTTP/1.1\r\n"
        "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\nUser-Agent: Ruby\r\n"
        f"Host: {host}\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )
    status, headers, body = raw(here.deployment.url, request.encode())
    assert status == 200, body
    assert headers["content-type"] == "application/json"
    assert httpx.Response(200, content=body).json() == here.families[HERS].payload


# -- grounds


def test_a_consent_token_is_a_ground_as_the_bearer_or_beside_the_applications_own(here: Town) -> None:
    params = params_of(here.families[ONE_OF_THEM])
    bearer = here.get(IDENTITE, here.consent_token(ONE_OF_THEM), params)
    assert bearer.status_code == 200, bearer.text
    assert bearer.json()["data"] == here.families[ONE_OF_THEM].payload["data"]
    entry = here.entries()[-1]
    assert (entry["client"], entry["recipient"], entry["outcome"]) == ("portail-famille", TOWN_SIRET, "ok")
    assert "rests_on" not in entry
    consent = here.consent_token(ONE_OF_THEM)
    beside = here.get(IDENTITE, here.tokens["portail-famille"], params, x_accord_consent_token=consent)
    assert beside.json() == bearer.json()
    assert "rests_on" not in here.entries()[-1]
    other = here.get(
        IDENTITE, here.tokens["sans-droit"], params, x_accord_consent_token=here.consent_token(ONE_OF_THEM)
    )
    refused(other, 401, "00101")


def test_a_consent_token_opens_nobody_elses_file(here: Town) -> None:
    other = here.families["civility__200-giraud-anne-3_enfants"]
    refused(
        here.get(IDENTITE, here.consent_token(ONE_OF_THEM), params_of(other)), 403, "00100", "identity_not_consented"
    )
    nearly = [
        (name, "MARTINE" if name == "nomNaissance" else value) for name, value in params_of(here.families[ONE_OF_THEM])
    ]
    refused(here.get(IDENTITE, here.consent_token(ONE_OF_THEM), nearly), 403, "00100", "identity_not_consented")


def test_what_an_authorisation_allows_holds_at_this_door_too(here: Town) -> None:
    params = params_of(here.families[ONE_OF_THEM])
    once = here.consent_token(ONE_OF_THEM, access="once")
    assert here.get(IDENTITE, once, params).status_code == 200
    refused(here.get(IDENTITE, once, params), 403, "00100", "grant_used_up")
    elsewhere = [(name, OTHER_TOWN if name == "recipient" else value) for name, value in params]
    refused(here.get(IDENTITE, here.consent_token(ONE_OF_THEM), elsewhere), 403, "00100", "delegation_missing")
    refused(here.get(IDENTITE, here.consent_token(ONE_OF_THEM)[:-8] + "AAAAAAAA", params), 401, "00101")
    other = here.get("/v3/dss/prime_activite/identite", here.consent_token(ONE_OF_THEM), params)
    refused(other, 403, "00100", "dataset_not_consented")


def test_a_consent_token_serves_on_the_franceconnect_path(here: Town) -> None:
    answer = here.get(FRANCE_CONNECT, here.consent_token(HERS), {"recipient": TOWN_SIRET})
    assert answer.status_code == 200, answer.text
    assert answer.json() == here.families[HERS].payload


def test_an_agent_says_who_she_is_and_why_and_neither_is_in_clear_outside_the_sealed_part(here: Town) -> None:
    params = params_of(here.families[ONE_OF_THEM])
    reason = "creche/2026-118"
    answer = here.get(IDENTITE, here.tokens["guichet"], params, x_agent_id="agent-7", x_agent_reason=reason)
    assert answer.status_code == 200, answer.text
    (entry,) = here.entries()[-1:]
    assert entry["rests_on"] == "agent"
    assert "agent-7" not in str(entry)
    assert reason not in str(entry)
    refused(here.get(IDENTITE, here.tokens["guichet"], params), 403, "00100", "ground_missing")
    only = here.get(IDENTITE, here.tokens["guichet"], params, x_agent_id="agent-7")
    refused(only, 403, "00100", "ground_missing")
    assert "agent" in only.json()["errors"][0]["detail"]
    long = here.get(IDENTITE, here.tokens["guichet"], params, x_agent_id="a" * 500, x_agent_reason=reason)
    refused(long, 422, "00366", "request_malformed")


@pytest.mark.parametrize("words", ["Appel de Madame Durand", "durand", "dossier 12", "d" * 40 + "1", "../12"])
def test_an_agents_reason_is_a_files_reference_and_no_words_that_could_hold_a_name(here: Town, words: str) -> None:
    params = params_of(here.families[ONE_OF_THEM])
    answer = here.get(IDENTITE, here.tokens["guichet"], params, x_agent_id="agent-7", x_agent_reason=words)
    refused(answer, 422, "00366", "request_malformed")
    assert words not in answer.text
    assert all(words not in str(detail) for detail in here.details(1))


def test_whom_an_access_was_about_and_who_asked_is_sealed_the_same_whatever_the_ground(here: Town) -> None:
    params = params_of(here.families[HERS])
    here.get(FRANCE_CONNECT, here.franceconnect_token(HERS), {"recipient": TOWN_SIRET})
    here.get(IDENTITE, here.tokens["noethys"], params)
    here.get(IDENTITE, here.tokens["guichet"], params, x_agent_id="agent-7", x_agent_reason="dossier-12")
    told, asked, looked_up = here.details(3)
    hers = pseudonym(identity_of(here.families[HERS]), here.deployment.keyring().pseudonym)
    assert [one["citizen"] for one in (told, asked, looked_up)] == [hers] * 3
    assert looked_up["agent"] == agent_of("agent-7", here.deployment.keyring().pseudonym)
    assert looked_up["reason"] == "dossier-12"
    assert told["acr"] == "eidas1"
    assert "agent" not in asked
    assert "agent-7" not in str(looked_up)


def test_an_application_bound_to_a_key_proves_it_each_time_and_no_proof_serves_twice(here: Town) -> None:
    token, params = here.tokens["lie"], params_of(here.families[ONE_OF_THEM])
    proof = here.proof(IDENTITE, token)
    answer = here.get(IDENTITE, token, params, dpop=proof)
    assert answer.status_code == 200, answer.text
    assert answer.headers["dpop-nonce"]
    refused(here.get(IDENTITE, token, params, dpop=proof), 401, "00101", "dpop_proof_replayed")
    missing = here.get(IDENTITE, token, params)
    refused(missing, 401, "00101", "dpop_proof_missing")
    assert missing.headers["www-authenticate"].startswith("DPoP")
    refused(here.get(IDENTITE, token, params, dpop=here.proof(FRANCE_CONNECT, token)), 401, "00101")


def test_an_editor_asks_for_a_town_that_delegates_to_it_and_for_no_other(here: Town) -> None:
    family = here.families[ONE_OF_THEM]
    params = [*params_of(family)[1:], ("recipient", OTHER_TOWN)]
    named = here.get(IDENTITE, here.tokens["editeur"], [*params, ("delegation_id", "convention-1")])
    assert named.status_code == 200, named.text
    entry = here.entries()[-1]
    assert (entry["recipient"], entry["delegate"]) == (OTHER_TOWN, "73282932000074")
    assert here.get(IDENTITE, here.tokens["editeur"], params).status_code == 200
    wrong = here.get(IDENTITE, here.tokens["editeur"], [*params, ("delegation_id", "convention-2")])
    refused(wrong, 403, "00100", "delegation_missing")
    refused(here.get(IDENTITE, here.tokens["editeur"], params_of(family)), 403, "00100", "delegation_missing")
    refused(here.get(IDENTITE, here.tokens["noethys"], params), 403, "00100", "delegation_missing")


# -- masks and refusals


def refused(answer: httpx.Response, status: int, code: str, outcome: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"errors"}
    assert answer.json()["errors"][0]["code"] == code, answer.text
    assert outcome is None or LOGGED.outcome() == outcome


class _Logged:
    """Where the last refusal's entry is looked up."""

    town: Town

    def outcome(self) -> str:
        return str(self.town.entries()[-1]["outcome"])


LOGGED = _Logged()


@pytest.fixture(autouse=True)
def _logged(here: Town) -> None:
    LOGGED.town = here


def test_what_is_masked_is_absent(here: Town) -> None:
    answer = here.get(IDENTITE, here.tokens["masque"], params_of(here.families[ONE_OF_THEM]))
    assert answer.json() == {"data": {"quotient_familial": {"valeur": 150}}, "links": {}, "meta": {}}
    rights = here.get("/api/introspect", here.tokens["masque"])
    assert rights.json() == {"_id": "masque", "name": "masque", "scopes": ["cnaf_quotient_familial"]}


def test_franceconnects_scopes_mask_too(here: Town) -> None:
    token = here.franceconnect_token(HERS, scopes=("cnaf_enfants",))
    answer = here.get(FRANCE_CONNECT, token, {"recipient": TOWN_SIRET})
    assert answer.json()["data"].keys() == {"enfants"}
    none = here.franceconnect_token(HERS, scopes=())
    refused(here.get(FRANCE_CONNECT, none, {"recipient": TOWN_SIRET}), 403, "00100", "field_not_habilitated")


def test_json_api_is_answered_where_it_is_asked_for(here: Town) -> None:
    params = params_of(here.families[ONE_OF_THEM])
    answer = here.get(IDENTITE, here.tokens["noethys"], params, accept="application/vnd.api+json")
    assert answer.headers["content-type"] == "application/vnd.api+json"


def test_each_bad_parameter_is_named_with_the_states_code(here: Town) -> None:
    right = dict(params_of(here.families[ONE_OF_THEM]))
    for name, value, code in (
        ("recipient", "12345678901234", "00210"),
        ("recipient", "", "00203"),
        ("nomNaissance", "", "00420"),
        ("nomNaissance", "R2D2", "00420"),
        ("sexeEtatCivil", "X", "00427"),
        ("codeCogInseePaysNaissance", "33000", "00400"),
        ("codeCogInseeCommuneNaissance", "", "00365"),
        ("codeCogInseeCommuneNaissance", "ABCDE", "00365"),
        ("moisDateNaissance", "13", "00363"),
        ("jourDateNaissance", "31 décembre", "00363"),
        ("anneeDateNaissance", "3021", "00363"),
        ("prenoms[]", "C3PO", "00367"),
        ("campaignYear", "2025", "00366"),
    ):
        answer = here.get(IDENTITE, here.tokens["noethys"], {**right, name: value})
        refused(answer, 422, code, "parameters_refused")
        assert answer.json()["errors"][0]["source"] == {"parameter": name}
        time.sleep(0.05)
    several = here.get(IDENTITE, here.tokens["noethys"], {**right, "recipient": "1", "sexeEtatCivil": ""})
    assert [one["source"]["parameter"] for one in several.json()["errors"]] == ["recipient", "sexeEtatCivil"]


def test_every_path_that_the_contract_announces_is_served(here: Town) -> None:
    announced = [path for path in yaml.safe_load(committed())["x-drop-in-paths"] if "{" not in path]
    assert {IDENTITE, FRANCE_CONNECT} < set(announced)
    for path in announced:
        refused(here.get(path, None), 401, "00101", "application_token_missing")
    assert here.get("/v3/dss/nothing/identite", None).status_code == 404


def test_who_is_not_known_is_refused_in_the_states_codes(here: Town) -> None:
    params = params_of(here.families[ONE_OF_THEM])
    refused(here.get(IDENTITE, None, params), 401, "00101", "application_token_missing")
    refused(here.get(IDENTITE, "accord_unknown", params), 401, "00101", "application_token_unknown")
    refused(here.get(IDENTITE, here.tokens["adresse"], params), 403, "00107", "address_not_allowed")
    refused(here.get(IDENTITE, here.tokens["sans-droit"], params), 403, "00100", "habilitation_missing")
    refused(here.get("/api/introspect", None), 401, "00101")
    refused(here.get("/api/introspect?token=accord_unknown", None), 401, "00101")
    posted = httpx.post(here.deployment.url + IDENTITE, trust_env=False)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET")


def test_franceconnect_tokens_that_do_not_serve(here: Town) -> None:
    recipient = {"recipient": TOWN_SIRET}
    refused(here.get(FRANCE_CONNECT, "unknown", recipient), 401, "50002", "franceconnect_token_inactive")
    refused(here.get(FRANCE_CONNECT, here.tokens["noethys"], recipient), 401, "50002")
    refused(here.get(FRANCE_CONNECT, here.franceconnect_token(HERS), {}), 422, "00203", "parameters_refused")
    refused(here.get(FRANCE_CONNECT, here.franceconnect_token(HERS), {"recipient": OTHER_TOWN}), 403, "00100")


def test_made_up_franceconnect_tokens_from_one_address_stop_reaching_franceconnect(here: Town) -> None:
    def ask(number: int) -> httpx.Response:
        return here.get(FRANCE_CONNECT, f"made-up-{number}", {"recipient": TOWN_SIRET})

    # More than two minutes' worth: a minute may end among them.
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(70)))
    assert {answer.status_code for answer in answers} == {401, 429}
    assert all(0 < int(answer.headers["retry-after"]) <= 60 for answer in answers if answer.status_code == 429)


def test_the_twenty_first_request_of_a_second_is_told_when_to_come_back(here: Town) -> None:
    head = f"Host: accord\r\nAuthorization: Bearer {here.tokens['masque']}\r\n\r\n"

    def ask(number: int) -> tuple[int, Mapping[str, str], bytes]:
        return raw(here.deployment.url, f"GET {IDENTITE}?recipient=1&n={number} HTTP/1.1\r\n{head}".encode())

    # Many at a time: a slow machine answers them within one second all the same.
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    assert {status for status, _, _ in answers} == {422, 429}
    headers, body = next(answer[1:] for answer in answers if answer[0] == 429)
    assert b'"00429"' in body
    assert int(headers["retry-after"]) == 1
    assert headers["ratelimit-remaining"] == "0"
    assert "rate_limited" in {entry["outcome"] for entry in here.entries()[-200:]}


def test_pings_tell_what_was_seen_of_each_holder(here: Town) -> None:
    here.get(IDENTITE, here.tokens["noethys"], params_of(here.families[ONE_OF_THEM]))
    pings = {one["url"]: one["name"] for one in here.get("/api/pings", None).json()}
    url = f"{here.deployment.url}/api/quotient_familial/ping"
    assert pings[url] == "Quotient familial"
    seen = here.get("/api/quotient_familial/ping", None)
    assert (seen.status_code, seen.json()["status"]) == (200, "ok")
    here.get(IDENTITE, here.tokens["noethys"], params_of(here.families["civility__502"]))
    failing = here.get("/api/quotient_familial/ping", None)
    assert (failing.status_code, failing.json()["status"]) == (502, "bad_gateway")


def test_the_public_keys_for_franceconnect_are_published_without_their_private_halves(here: Town) -> None:
    (key,) = here.get("/api/france_connect_jwks", None).json()["keys"]
    assert (key["kty"], key["crv"]) == ("EC", "P-256")
    assert "d" not in key


HOSTILE_QUERIES = (
    b"recipient=%00",
    b"recipient=%FF%FE",
    b"recipient=%ED%A0%80",
    b"nomNaissance=%E2%80%AE&prenoms[]=" + b"A" * 9_000,
    b"prenoms[]=" + b"&prenoms[]=".join([b"A"] * 70),
    b"prenoms[]=&prenoms[]=&prenoms=X&prenoms[0]=Y",
    b"anneeDateNaissance=1e3&moisDateNaissance=%D9%A3&jourDateNaissance=--1",
    b"anneeDateNaissance=0000&moisDateNaissance=00&jourDateNaissance=00",
    b"codeCogInseePaysNaissance=99100&nomCommuneNaissance=%0A&codeCogInseeDepartementNaissance=%27",
    b"delegation_id=%27%20OR%201=1&annee=2026%00&mois=",
    b";&;&=&==&%",
    b"token=x&token=y",
)
HOSTILE_HEADERS = (
    b"X-Agent-Id: \xff\xfe\r\nX-Agent-Reason: x\r\n",
    b"X-Agent-Id: a\r\nX-Agent-Id: b\r\n",
    b"X-Accord-Consent-Token: a.b.c\r\n",
    b"X-Accord-Consent-Token: " + b"A" * 17_000 + b"\r\n",
    b"X-Accord-Consent-Token: \xff\r\n",
    b"DPoP: x\r\nDPoP: y\r\n",
    b"Accept: \xff;q=\r\nAccept-Language: \xff\r\nCache-Control: \xff\r\n",
)
HOSTILE_TOKENS = (b"eyJ0eXAiOiJhdCtqd3QifQ.e30.", b"..", b"\xff", b"a b", b"A" * 17_000)


def test_hostile_bytes_are_refused_and_never_a_defect(here: Town) -> None:
    right = b"recipient=" + TOWN_SIRET.encode()
    token = here.tokens["noethys"].encode()
    requests = [(query, b"", token) for query in HOSTILE_QUERIES]
    requests += [(right, headers, token) for headers in HOSTILE_HEADERS]
    requests += [(right, b"", one) for one in HOSTILE_TOKENS]
    for path in (IDENTITE.encode(), FRANCE_CONNECT.encode(), b"/api/introspect"):
        for query, headers, bearer in requests:
            head = b"Host: accord\r\n" + headers + b"Authorization: Bearer " + bearer + b"\r\n\r\n"
            status, _, body = raw(here.deployment.url, b"GET " + path + b"?" + query + b" HTTP/1.1\r\n" + head)
            assert 400 <= status < 500 or path == b"/api/introspect", (status, query, headers, bearer)
            assert status < 500, (status, path, query, headers, body)
            time.sleep(0.04)
    assert '"defect"' not in (here.deployment.world.folder / "accord.log").read_text(errors="replace")


def test_nothing_of_a_person_or_a_token_is_in_the_log_or_the_logs(here: Town) -> None:
    secrets = [*here.tokens.values(), "AXELLE", "MARTIN", "LEFEBVRE", "Instruction du dossier", "agent-7", "1989-12"]
    written = "\n".join(here.deployment.entries())
    written += (here.deployment.world.folder / "accord.log").read_text(errors="replace")
    assert len(FIELDS) > 20
    assert [secret for secret in secrets if secret in written] == []
