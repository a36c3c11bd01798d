"""Exchanges about companies: how a question is read, on what it rests, and what happens when things go wrong."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.model import Append, LogError, Receipt
from consent.dpop import Nonces
from consent.model import Client, Detail
from exchange.application import Caller, new_token
from exchange.bundle import Bundles
from exchange.company import CompanyExchanges
from exchange.company_request import Question, credentials, question_to_bundle, question_to_dataset, sealed
from exchange.model import Asked, Habilitation, Refusal, Registry
from exchange.policy import habilitation_for
from exchange.recipient import Proxies, Recipient
from exchange.registry_file import RegistryFileError, parse_registry
from exchange.release import Released, Releases
from openapi.fields import Siret
from openapi.problem import AccordError
from providers.bundle import bundles, parse_bundle
from providers.config import HolderConfig
from providers.errors import HolderTimeout, UnknownCompany
from providers.manifest import ManifestError, manifests
from providers.port import Answer, Query
from providers.registry import load

NOW = 1_800_000_000.0
TOWN, OTHER = Siret("21990001600011"), Siret("35600000000048")
COMPANY = Siret("00000001800010")
TOKEN, DIGEST = new_token()
CLIENT = Client("marches", "Marchés", TOWN, "Valombre", (), {}, "none", token_sha256=DIGEST, token_until=int(NOW) + 100)
QUESTION = Question(COMPANY, "Marché public", "Lot 3")
BUNDLE = bundles()["dossier_marche_public"]


def habilitation(dataset: str, **changed: Any) -> Habilitation:
    one = Habilitation(
        f"h-{dataset}",
        TOWN,
        frozenset(),
        dataset,
        frozenset(manifests()[dataset].fields),
        {"marche_public": {"fr": "Vérifier", "en": "Check"}},
        "public_task",
        int(NOW) - 10,
        int(NOW) + 10,
        grounds=frozenset({"company"}),
    )
    return replace(one, **changed)


def registry(*given: Habilitation) -> Registry:
    held = {(one.organisation, one.dataset): (one,) for one in given or map(habilitation, BUNDLE.datasets)}
    return Registry(1, {TOWN: "Valombre"}, {CLIENT.client_id: CLIENT}, held, tokens={DIGEST: CLIENT.client_id})


class Log:
    """Keeps what is appended; ``refuses``: the datasets whose entries cannot be written."""

    def __init__(self, *refuses: str) -> None:
        self.written: list[Append] = []
        self._refuses = refuses

    async def append(self, append: Append) -> Receipt:
        if append.skeleton.get("dataset") in self._refuses or "*" in self._refuses:
            raise LogError("disk full")
        self.written.append(append)
        return Receipt(len(self.written) - 1, None, b"{}", "c2sp.org/tlog-proof@v1")


class Holder:
    """A dataset whose holder does as it is told; ``asked``: the queries that reached it."""

    def __init__(self, dataset: str, act: Callable[[Query], Any] | None = None) -> None:
        self.manifest = manifests()[dataset]
        self.asked: list[Query] = []
        self._act = act

    async def fetch(self, query: Query) -> Answer:
        self.asked.append(query)
        if self._act is not None and asyncio.iscoroutine(waited := self._act(query)):
            await waited
        return Answer({"siren": COMPANY[:9]}, int(NOW))


class Catalogue:
    """The datasets offered."""

    def __init__(self, *holders: Holder) -> None:
        self._holders = {one.manifest.dataset: one for one in holders}

    def get(self, name: str) -> Holder | None:
        return self._holders.get(name)

    def ids(self) -> list[str]:
        return sorted(self._holders)


def exchanges(log: Log, known: Registry | None = None, *, is_fresh: bool = True) -> CompanyExchanges:
    return CompanyExchanges(
        knowledge=SimpleNamespace(registry=known or registry(), is_fresh=is_fresh),
        recipient=Recipient("https://accord.example", proxies=Proxies(), nonces=Nonces(b"n" * 32, required=False)),
        releases=Releases(log, clock=lambda: NOW),
        pseudonym_key=b"k" * 32,
        clock=lambda: NOW,
    )


def ask(
    log: Log, *, question: Question = QUESTION, known: Registry | None = None, holder: Holder | None = None
) -> Released | AccordError:
    asked = Asked("r", "unite_legale", question.fields)
    return asyncio.run(
        exchanges(log, known).ask(asked, holder or Holder("unite_legale"), Caller(CLIENT), question)  # type: ignore[arg-type]
    )


def slug(found: Released | AccordError) -> str:
    assert isinstance(found, AccordError)
    return found.slug


def refusing(error: Exception) -> Callable[[Query], None]:
    def act(_query: Query) -> None:
        raise error

    return act


# What is asked.


def test_a_question_is_read_whole() -> None:
    query = urlencode(
        {"siret": COMPANY, "context": " Marché ", "object": "Lot n° 3", "recipient": OTHER, "fields": "siren,rna"}
    )
    read = question_to_dataset(query.encode(), manifests()["unite_legale"])
    assert read == Question(COMPANY, "Marché", "Lot n° 3", OTHER, fields=("siren", "rna"))
    assert read.siren == COMPANY[:9]
    assert repr(read) == "Question(...)"


@given(st.binary(max_size=300))
def test_hostile_queries_end_in_a_question_or_a_declared_refusal(query: bytes) -> None:
    for read in (question_to_bundle, lambda raw: question_to_dataset(raw, manifests()["unite_legale"])):
        with suppress(AccordError):
            assert isinstance(read(query), Question)


@given(
    st.dictionaries(
        st.sampled_from(("siret", "siren", "context", "object", "recipient", "delegation_id", "fields", "x")),
        st.text(max_size=20),
    )
)
def test_a_refused_question_is_named_and_its_value_is_not_repeated(given_: dict[str, str]) -> None:
    canary = {name: f"Canari{value}" for name, value in given_.items()}
    with pytest.raises(AccordError) as caught:
        question_to_dataset(urlencode(canary).encode(), manifests()["etablissement"])
    assert caught.value.slug == "request_malformed"
    assert "Canari" not in str(caught.value.facts)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Basic abc")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
        [(b"authorization", b"Bearer " + b"a" * 20_000)],
    ],
)
def test_credentials_that_cannot_be_read_are_none(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(AccordError) as caught:
        credentials(headers)
    assert caught.value.slug == "application_token_missing"


def test_a_company_has_one_pseudonym_whichever_its_establishment_and_none_without_the_key() -> None:
    first = sealed(COMPANY, "c", "o", key=b"k" * 32)
    assert sealed(Siret(COMPANY[:9] + "99999"), "c", "o", key=b"k" * 32) == first
    assert sealed(COMPANY, "c", "o", key=b"j" * 32).keys().isdisjoint({COMPANY})
    assert not set(sealed(COMPANY, "c", "o", key=b"j" * 32).values()) & set(first.values())
    assert len(set(sealed(COMPANY, "x", "x", key=b"k" * 32).values())) == 3
    assert COMPANY[:9] not in json.dumps(first)


# On what it rests.


def test_what_is_habilitated_is_asked_of_the_holder_and_written_down() -> None:
    log, holder = Log(), Holder("unite_legale")
    known = registry(habilitation("unite_legale", fields=frozenset({"siren", "rna"})))
    found = ask(log, known=known, holder=holder, question=replace(QUESTION, fields=("siren", "sigle", "rna")[:1]))
    assert isinstance(found, Released)
    (query,), (entry,) = holder.asked, log.written
    assert (query.company, query.context, query.object, query.recipient) == (COMPANY, "Marché public", "Lot 3", TOWN)
    assert query.fields == ("siren",)
    assert entry.skeleton["rests_on"] == "company"
    assert entry.skeleton["fields"] == ["siren"]
    assert entry.detail["habilitation"] == "h-unite_legale"
    whole = json.dumps([dict(entry.skeleton), dict(entry.detail)], ensure_ascii=False)
    assert not any(clear in whole for clear in (COMPANY, COMPANY[:9], "Marché public", "Lot 3"))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"organisation": OTHER}, "habilitation_missing"),
        ({"dataset": "etablissement"}, "habilitation_missing"),
        ({"clients": frozenset({"another"})}, "habilitation_missing"),
        ({"valid_from": int(NOW) + 1}, "habilitation_not_started"),
        ({"valid_until": int(NOW)}, "habilitation_expired"),
        ({"grounds": frozenset({"consent"})}, "ground_missing"),
        ({"fields": frozenset({"enseigne"})}, "field_not_habilitated"),
    ],
)
def test_with_one_condition_removed_nothing_is_asked(changed: dict[str, Any], expected: str) -> None:
    log, holder = Log(), Holder("unite_legale")
    assert slug(ask(log, known=registry(replace(habilitation("unite_legale"), **changed)), holder=holder)) == expected
    assert not holder.asked
    (entry,) = log.written
    assert (entry.skeleton["kind"], entry.skeleton["outcome"]) == ("refusal", expected)


def test_a_citizen_is_never_asked_to_agree_to_a_dataset_about_companies() -> None:
    detail = Detail("unite_legale", ("siren",), "marche_public", TOWN)
    found = habilitation_for(registry(), CLIENT.client_id, detail, now=int(NOW))
    assert isinstance(found, Refusal)
    assert found.slug == "habilitation_missing"


def test_a_recipient_that_is_the_company_itself_is_refused() -> None:
    log = Log()
    assert slug(ask(log, question=replace(QUESTION, company=Siret(TOWN)))) == "request_malformed"
    assert len(log.written) == 1


def test_a_gateway_that_does_not_know_the_registry_in_time_refuses() -> None:
    given = credentials([(b"authorization", f"Bearer {TOKEN}".encode())])
    with pytest.raises(AccordError) as caught:
        exchanges(Log(), is_fresh=False).caller({"headers": []}, given)
    assert caught.value.slug == "status_feed_stale"
    assert exchanges(Log()).caller({"headers": []}, given).client == CLIENT


# When things go wrong.


@pytest.mark.parametrize(
    ("error", "expected", "kind"),
    [
        (UnknownCompany("api_entreprise"), "company_unknown_to_holder", "failure"),
        (HolderTimeout("api_entreprise", retry_in=30), "holder_timeout", "failure"),
        (RuntimeError("Canari"), "internal_error", "failure"),
    ],
)
def test_every_failure_is_an_entry(error: Exception, expected: str, kind: str) -> None:
    log = Log()
    assert slug(ask(log, holder=Holder("unite_legale", refusing(error)))) == expected
    (entry,) = log.written
    assert (entry.skeleton["kind"], entry.skeleton["outcome"]) == (kind, expected)
    assert "Canari" not in json.dumps([dict(entry.skeleton), dict(entry.detail)])


def test_what_cannot_be_recorded_is_not_given() -> None:
    assert slug(ask(Log("unite_legale"))) == "log_unavailable"


def bundle(log: Log, *holders: Holder, known: Registry | None = None) -> dict[str, Any]:
    offered = Bundles(
        bundles(),
        exchanges=exchanges(log, known),
        datasets=Catalogue(*holders),
        issuer="https://accord.example",  # type: ignore[arg-type]
    )
    return asyncio.run(offered.answer(BUNDLE.name, Caller(CLIENT, ("dpop:1:k",)), QUESTION, language="fr"))


def test_a_bundle_asks_every_dataset_at_once() -> None:
    meeting: list[asyncio.Barrier] = []

    async def meet() -> None:
        if not meeting:
            meeting.append(asyncio.Barrier(len(BUNDLE.datasets)))
        async with asyncio.timeout(5):
            await meeting[0].wait()

    holders = [Holder(name, lambda _query: meet()) for name in BUNDLE.datasets]
    found = bundle(Log(), *holders)
    assert found["complete"] is True
    assert [len(one.asked) for one in holders] == [1] * len(BUNDLE.datasets)


def test_a_bundle_tells_what_fails_in_its_place() -> None:
    log = Log("extrait_rne")
    acts = {
        "etablissement": refusing(UnknownCompany("api_entreprise")),
        "attestation_fiscale": refusing(RuntimeError("Canari")),
    }
    known = registry(*(habilitation(name) for name in BUNDLE.datasets if name != "extrait_kbis"))
    found = bundle(log, *(Holder(name, acts.get(name)) for name in BUNDLE.datasets), known=known)
    assert found["complete"] is False
    problems = {
        name: part["problem"]["type"].rsplit("/", 1)[1] for name, part in found["datasets"].items() if "problem" in part
    }
    assert problems == {
        "etablissement": "company_unknown_to_holder",
        "attestation_fiscale": "internal_error",
        "extrait_rne": "log_unavailable",
        "extrait_kbis": "habilitation_missing",
    }
    assert found["datasets"]["etablissement"]["problem"]["title"] == "Entreprise inconnue du détenteur"
    # One entry each, but for the one that could not be written.
    assert sorted(str(entry.skeleton["dataset"]) for entry in log.written) == sorted(
        {*BUNDLE.datasets} - {"extrait_rne"}
    )
    assert {entry.skeleton["bundle"] for entry in log.written} == {BUNDLE.name}
    spent = [key for entry in log.written for key in entry.spends]
    assert len(set(spent)) == len(spent) == len(BUNDLE.datasets) - len(problems)


def test_a_bundle_of_which_nothing_can_be_recorded_is_refused_whole() -> None:
    with pytest.raises(AccordError) as caught:
        bundle(Log("*"), *map(Holder, BUNDLE.datasets))
    assert caught.value.slug == "log_unavailable"


def test_a_bundle_has_the_datasets_that_are_offered_here() -> None:
    assert bundle(Log(), Holder("unite_legale"))["datasets"].keys() == {"unite_legale"}


# What is written by hand.


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"datasets": '["quotient_familial"]'}, "'quotient_familial' is not a dataset about companies"),
        ({"datasets": '["inconnu"]'}, "'inconnu' is not a dataset about companies"),
        ({"datasets": '["unite_legale", "unite_legale"]'}, "at least one, each once"),
        ({"datasets": "[]"}, "at least one, each once"),
        ({"title": '{ fr = "A" }'}, "words in fr and in en"),
        ({"more": "1"}, "more is not a key"),
    ],
)
def test_a_wrong_bundle_is_named_by_file_and_key(changed: dict[str, str], fault: str) -> None:
    right = {"bundle": '"b"', "title": '{ fr = "A", en = "A" }', "datasets": '["unite_legale"]'}
    content = "\n".join(f"{name} = {value}" for name, value in (right | changed).items())
    with pytest.raises(ManifestError) as caught:
        parse_bundle(content, name="b.toml", known=manifests())
    assert str(caught.value).startswith("b.toml: ")
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("dataset", "grounds", "basis", "fault"),
    [
        ("unite_legale", ["consent"], "public_task", 'grounds: ["company"]'),
        ("unite_legale", ["company", "agent"], "public_task", 'grounds: ["company"]'),
        ("unite_legale", ["company"], "consent", "legal_basis: public_task or legal_obligation"),
        ("quotient_familial", ["company"], "public_task", "grounds: 'company' is for datasets about companies"),
    ],
)
def test_a_habilitation_rests_on_what_its_dataset_is_about(
    dataset: str, grounds: list[str], basis: str, fault: str
) -> None:
    datasets = load({name: HolderConfig("http://localhost", "x") for name in ("api_entreprise", "api_particulier")})
    field = next(iter(manifests()[dataset].fields))
    content = f"""
[[organisation]]
siret = "{TOWN}"
name = "Valombre"

[[habilitation]]
id = "h"
organisation = "{TOWN}"
dataset = "{dataset}"
fields = ["{field}"]
purposes = [{{ code = "p", fr = "P", en = "P" }}]
grounds = {json.dumps(grounds)}
legal_basis = "{basis}"
valid_from = {date(2026, 1, 1)}
valid_until = {date(2026, 12, 31)}
"""
    with pytest.raises(RegistryFileError) as caught:
        parse_registry(content.encode(), datasets)
    (error,) = caught.value.errors
    assert error.startswith(f"habilitation[1].{fault}")
