"""The bracket and not the amount: from what an application asks to the screen, the answer and the entry."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import yaml

from audit.query import Queries, Wanted
from audit.store import open_store
from sandbox.browser import Browser, Form, Page
from sandbox.portail_famille.accord import Accord, AccordRefused, PortalConfig
from sandbox.world import World
from tests.journeys.citizen import log_in
from tests.journeys.deployment import Deployment, deployed, load_registry

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]

VALUE, BIRTHS = "quotient_familial.valeur", "enfants.date_naissance"
HABILITATED = (VALUE, BIRTHS, "quotient_familial.mois", "quotient_familial.annee")
RULES: tuple[Mapping[str, object], ...] = (
    {"name": "tranche", "rule": "bracket", "field": VALUE, "bounds": [500, 800, 1200]},
    {"name": "petits", "rule": "count", "field": BIRTHS, "under_years": 6},
    {"name": "a_un_mois", "rule": "is_present", "field": "quotient_familial.mois"},
)
TEXTS = [
    "tranche=bracket(quotient_familial.valeur,500,800,1200)",
    "petits=count(enfants.date_naissance,6)",
    "a_un_mois=is_present(quotient_familial.mois)",
]
TRANCHE = "Montant du quotient familial : seulement sa tranche, parmi : moins de 500 ; de 500 à 799 ; de 800 à 1 199 ; "
CHILDREN = (
    "Date de naissance des enfants : seulement le nombre d'enfants de moins de 6 ans. Aucune date n'est transmise."
)
KNOWN, INCOMPLETE, NOT_COMPUTABLE, UNKNOWN = range(4)


def _born(years: int, *, known: bool = True) -> str:
    today = datetime.now(ZoneInfo("Europe/Paris")).date()
    return f"{today.year - years}-{'01-01' if known else '00-00'}"


def _family(name: str, status: int, payload: object) -> dict[str, object]:
    return {
        "description": name,
        "params": {
            "nomNaissance": name,
            "prenoms": ["Camomille"],
            "anneeDateNaissance": 1991,
            "moisDateNaissance": 4,
            "jourDateNaissance": 17,
            "sexeEtatCivil": "F",
            "codeCogInseePaysNaissance": "99100",
            "codeCogInseeCommuneNaissance": "44109",
        },
        "status": status,
        "payload": json.dumps(payload),
    }


def _record(*births: str) -> dict[str, object]:
    return {
        "data": {
            "quotient_familial": {"valeur": 732, "mois": 11, "annee": 2026},
            "enfants": [{"prenoms": "LISERON", "date_naissance": one} for one in births],
        },
        "links": {},
        "meta": {},
    }


def _error(code: str) -> dict[str, object]:
    return {"errors": [{"code": code, "title": "t", "detail": "d", "source": None, "meta": {}}]}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    fixtures: Path = tmp_path_factory.mktemp("families")
    families = [
        _family("Aubedore", 200, _record(_born(2), _born(4), _born(20))),
        # Nobody knows whether this child is six already, except on the last day of a year.
        _family("Brumevigne", 200, _record(_born(6, known=False))),
        _family("Clairlune", 404, _error("23502")),
        _family("Dormoisel", 404, _error("37003")),
    ]
    for number, family in enumerate(families):
        (fixtures / f"{number}.yaml").write_text(yaml.safe_dump(family, allow_unicode=True), encoding="utf-8")
    folder = tmp_path_factory.mktemp("derived")
    with deployed(folder, fixtures=fixtures, fields=HABILITATED, before=_entitled_to_answers_alone) as running:
        yield running


def _entitled_to_answers_alone(world: World) -> None:
    """The town is habilitated for what is answered about the amount and the births, and for neither of them."""
    text = world.registry.read_text(encoding="utf-8")
    of_fields = f"fields = {json.dumps(list(HABILITATED))}"
    assert of_fields in text
    split = f"fields = {json.dumps(list(HABILITATED[2:]))}\nderived_only = {json.dumps(list(HABILITATED[:2]))}"
    world.registry.write_text(text.replace(of_fields, split), encoding="utf-8")
    load_registry(world)


def _portal(deployment: Deployment, **changes: Any) -> PortalConfig:
    return replace(deployment.world.sandbox.portal, **{"fields": (), "derived": RULES, **changes})


def _words(page: Page) -> str:
    return page.text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def _without(page: Page, name: str) -> tuple[Form, Any]:
    """The form as she leaves it when she unticks a box, and its button."""
    form, button = page.button(action="/decision", value="agree")
    form.controls = [one for one in form.controls if not (one.kind == "checkbox" and one.value.endswith(f":{name}"))]
    return form, button


def _authorize(deployment: Deployment, *, person: int, unticked: str = "", **changes: Any) -> tuple[str, Page]:
    """Ask, show, agree; the token and the screen that she saw."""
    portal = Accord(_portal(deployment, **changes))
    departure = asyncio.run(portal.request_authorization())
    with Browser() as browser:
        screen = log_in(deployment, browser, browser.open(departure.url), person=person)
        back = browser.press(_without(screen, unticked))
    code = parse_qs(urlsplit(back.url).query)["code"][0]
    return asyncio.run(portal.redeem(code, departure.verifier)), screen


def _last_entry(deployment: Deployment) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(deployment.entries()[-1])
    return entry


def test_only_the_answers_leave_and_the_screen_the_entry_and_her_pages_say_which(deployment: Deployment) -> None:
    token, screen = _authorize(deployment, person=KNOWN)
    assert TRANCHE in _words(screen)
    assert CHILDREN in _words(screen)

    answer = deployment.exchange(token)
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["data"] == {}
    assert body["derived"] == {
        "tranche": {"computable": True, "value": {"from": 500, "below": 800}},
        "petits": {"computable": True, "value": 2},
        "a_un_mois": {"computable": True, "value": True},
    }
    shown = json.dumps({**body, "meta": None}) + str(answer.headers)
    assert not [one for one in ("732", "LISERON", _born(2), "Aubedore") if one in shown]

    entry = _last_entry(deployment)
    assert (entry["kind"], entry["request_id"]) == ("access", body["meta"]["access_id"])
    assert entry["fields"] == [VALUE, BIRTHS, "quotient_familial.mois"]
    assert entry["rules"] == TEXTS
    given = next(json.loads(one) for one in reversed(deployment.entries()) if '"grant.given"' in one)
    assert (given["fields"], given["rules"]) == (sorted(entry["fields"]), sorted(TEXTS))

    with Browser() as browser:
        log_in(deployment, browser, browser.open(f"{deployment.url}/mes-acces"), person=KNOWN)
        accesses = browser.open(f"{deployment.url}/mes-acces")
        grants = browser.open(f"{deployment.url}/mes-autorisations")
        receipt = browser.open(grants.link(r"/mes-autorisations/[^/]+$") + "/recu.json").content.decode()
    assert TRANCHE in _words(accesses)
    assert TRANCHE in _words(grants)
    assert TEXTS[0] in receipt
    assert TRANCHE in receipt.replace("\\u202f", " ").replace("\N{NO-BREAK SPACE}", " ").replace(
        "\N{NARROW NO-BREAK SPACE}", " "
    )
    verdict = deployment.verify()
    assert verdict.ok, verdict.findings


def test_an_auditor_finds_an_answer_by_the_field_that_it_was_about(deployment: Deployment) -> None:
    token, _ = _authorize(deployment, person=KNOWN, derived=RULES[:1])
    access = deployment.exchange(token).json()["meta"]["index"]
    found = Queries(open_store(deployment.database_url)).find(Wanted({"field": VALUE, "kind": "access"}))
    assert access in [record.index for record in found.records]


def test_answers_are_asked_for_by_name_and_nothing_but_what_was_granted_is_given(deployment: Deployment) -> None:
    token, _ = _authorize(
        deployment, person=KNOWN, fields=("quotient_familial.annee",), derived=RULES[:2], unticked="petits"
    )
    whole = deployment.exchange(token).json()
    assert (whole["data"], whole["derived"].keys()) == ({"quotient_familial": {"annee": 2026}}, {"tranche"})
    alone = deployment.exchange(token, query="?fields=tranche").json()
    assert (alone["data"], alone["derived"].keys()) == ({}, {"tranche"})
    field = deployment.exchange(token, query="?fields=quotient_familial.annee").json()
    assert "derived" not in field
    both = deployment.exchange(token, query="?fields=quotient_familial.annee,tranche").json()
    assert (both["data"], both["derived"].keys()) == ({"quotient_familial": {"annee": 2026}}, {"tranche"})
    for name in ("petits", VALUE, BIRTHS, f"tranche,{VALUE}"):
        refused = deployment.exchange(token, query=f"?fields={name}")
        assert refused.json()["type"].endswith("/field_not_consented"), name
        assert refused.status_code == 403
    assert "petits" not in json.dumps(_last_entry(deployment))


def test_what_the_holder_cannot_compute_is_an_answer_of_its_own_and_never_zero(deployment: Deployment) -> None:
    token, _ = _authorize(deployment, person=NOT_COMPUTABLE)
    answer = deployment.exchange(token)
    none = {"computable": False, "value": None, "reason": "not_computable_by_holder"}
    assert (answer.status_code, answer.json()["derived"]) == (
        200,
        dict.fromkeys(("tranche", "petits", "a_un_mois"), none),
    )
    assert _last_entry(deployment)["outcome"] == "ok"


def test_beside_a_field_what_the_holder_cannot_compute_stays_a_problem(deployment: Deployment) -> None:
    token, _ = _authorize(deployment, person=NOT_COMPUTABLE, fields=("quotient_familial.annee",))
    answer = deployment.exchange(token)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (422, "value_not_computable")
    assert _last_entry(deployment)["kind"] == "failure"


def test_a_citizen_unknown_to_the_holder_is_no_answer(deployment: Deployment) -> None:
    token, _ = _authorize(deployment, person=UNKNOWN)
    answer = deployment.exchange(token)
    assert answer.json()["type"].endswith("/citizen_unknown_to_holder")
    assert "derived" not in answer.json()


def test_a_birthday_that_nobody_knows_makes_the_count_not_computable_and_the_rest_is_told(
    deployment: Deployment,
) -> None:
    token, _ = _authorize(deployment, person=INCOMPLETE)
    derived = deployment.exchange(token).json()["derived"]
    today = datetime.now(ZoneInfo("Europe/Paris")).date()
    if (today.month, today.day) != (12, 31):
        assert derived["petits"] == {"computable": False, "value": None, "reason": "date_incomplete"}
    assert derived["tranche"]["value"] == {"from": 500, "below": 800}


NARROW = tuple(
    {"name": f"n{number}", "rule": "bracket", "field": VALUE, "bounds": [700 + number * 2, 701 + number * 2]}
    for number in range(8)
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"derived": NARROW}, "at most 12 numbers over one field"),
        ({"fields": (VALUE,)}, "no rule over a field that is asked for itself"),
        ({"fields": (VALUE,), "derived": ()}, "habilitation.*quotient_familial.valeur"),
        ({"derived": ({"name": "n", "rule": "value", "field": VALUE},)}, "rule"),
        ({"derived": ({"name": "n", "rule": "is_present", "field": "adresse.pays"},)}, "habilitation"),
    ],
)
def test_what_would_tell_too_much_is_refused_before_the_citizen_is_asked(
    deployment: Deployment, changes: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(AccordRefused) as refused:
        asyncio.run(Accord(_portal(deployment, **changes)).request_authorization())
    assert refused.value.code == "invalid_authorization_details"
    assert re.search(said, refused.value.detail), refused.value.detail
