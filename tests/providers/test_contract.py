"""Every citizen dataset of API Particulier, held to the State's contract: its examples, its errors, any other bytes.

Whatever comes back ends in a clean record or in a declared provider error.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from openapi.fields import PivotIdentity, Siret
from providers.errors import HolderBusy, HolderTimeout, ProviderError
from providers.model import IDENTITY_PARTS, Manifest
from providers.port import Answer, HolderReply, HolderRequest, Query
from providers.record import RecordInvalid, RecordReader
from providers.registry import ADAPTERS, catalogue
from tests.providers.replies import STATUSES, values

_MANIFESTS = {name: one for name, one in catalogue().items() if one.holder == "api_particulier"}
_EVERY = pytest.mark.parametrize("dataset", sorted(_MANIFESTS))
_PARAMETERS = {"identifiant": "zoe.canari", "anneeScolaire": "2026-2027", "campaignYear": "2026"}
_EXPECTED = {
    "00100": "holder_refused_access",
    "00101": "holder_refused_access",
    "00103": "holder_refused_access",
    "00105": "holder_refused_access",
    "00015": "holder_busy",
    "00429": "holder_busy",
    "00391": "citizen_not_identified",
    "00501": "holder_unreachable",
}
_EXPECTED_BY_SUBCODE = {
    "001": "holder_unreachable",
    "002": "holder_timeout",
    "003": "citizen_unknown_to_holder",
    "004": "holder_unreachable",
    "008": "holder_busy",
    "999": "holder_failed",
}


@cache
def _contract(reference: Path) -> Mapping[str, Any]:
    text = (reference / "api-particulier/openapi.yaml").read_bytes()
    return yaml.load(text, yaml.CSafeLoader)  # the safe loader, in C


def _identity_of(data: Mapping[str, Any], manifest: Manifest) -> PivotIdentity:
    """The citizen whom the example is about, where the manifest holds the answer against her."""
    told = {part: _at(data, path) for part, path in manifest.confirms.items()}
    claims = {"family_name": "Canari", "gender": "female", "birthcountry": "99100", "birthplace": "44109"}
    claims |= {"preferred_username": "Serin", "birthdate": "1980-05-17"}
    given = [str(told.pop("given_names"))] if "given_names" in told else ["Zoé", "Aline", "Rose", "Lou"]
    return PivotIdentity.from_claims({**claims, **told, "given_name_array": given})


def _at(data: Any, path: str) -> Any:
    for name in path.split("."):
        data = data[name]
    return data


def _query(manifest: Manifest, identity: PivotIdentity) -> Query:
    parameters = {name: _PARAMETERS[name] for name, one in manifest.parameters.items() if one.required}
    assert all(manifest.parameters[name].pattern.fullmatch(value) for name, value in parameters.items())
    fields = tuple(manifest.fields)
    return Query(manifest.dataset, Siret("21990001600011"), "r", fields, identity, parameters=parameters)


def _asked(manifest: Manifest, reply: HolderReply | ProviderError, identity: PivotIdentity) -> Answer | ProviderError:
    async def send(_request: HolderRequest) -> HolderReply:
        if isinstance(reply, ProviderError):
            raise reply
        return reply

    try:
        return asyncio.run(ADAPTERS[manifest.adapter](manifest).fetch(_query(manifest, identity), send))
    except ProviderError as error:
        failed = error
    assert "anari" not in f"{failed} {failed!r} {failed.facts}"
    return failed


def _example(schema: Mapping[str, Any]) -> Any:
    """What the State's file shows of a schema: its own examples."""
    if "properties" in schema:
        return {name: _example(inner) for name, inner in schema["properties"].items()}
    if "items" in schema and "example" not in schema:
        return [_example(schema["items"])]
    example = schema.get("example", next(iter(schema.get("enum", ())), None))
    return example if isinstance(example, str | int | float | bool | list) or example is None else str(example)


def _body(reference: Path, manifest: Manifest) -> dict[str, Any]:
    operation = _contract(reference)["paths"][manifest.path]["get"]
    return dict(_example(operation["responses"]["200"]["content"]["application/json"]["schema"]))


def _errors(reference: Path, manifest: Manifest) -> Iterator[tuple[int, dict[str, Any]]]:
    for status, response in _contract(reference)["paths"][manifest.path]["get"]["responses"].items():
        for example in response["content"]["application/json"].get("examples", {}).values():
            if "errors" in (example.get("value") or {}):
                yield int(status), example["value"]


@_EVERY
def test_the_states_example_is_read_whole(dataset: str, reference: Path) -> None:
    manifest, body = _MANIFESTS[dataset], _body(reference, _MANIFESTS[dataset])
    answer = _asked(manifest, HolderReply(200, {}, json.dumps(body).encode()), _identity_of(body["data"], manifest))
    assert isinstance(answer, Answer), answer
    assert answer.record == body["data"]


@_EVERY
def test_every_error_the_state_documents_has_its_own_meaning_here(dataset: str, reference: Path) -> None:
    manifest = _MANIFESTS[dataset]
    identity = _identity_of(_body(reference, manifest)["data"], manifest)
    seen = set()
    for status, value in _errors(reference, manifest):
        code = value["errors"][0]["code"]
        error = _asked(manifest, HolderReply(status, {}, json.dumps(value).encode()), identity)
        default = "holder_refused_input" if status == 422 else _EXPECTED_BY_SUBCODE.get(code[2:])
        assert isinstance(error, ProviderError)
        assert error.slug == _EXPECTED.get(code, default), (status, code)
        seen.add(error.slug)
    assert {"holder_refused_access", "holder_refused_input", "holder_busy"} <= seen


@_EVERY
def test_the_holder_is_told_what_its_contract_asks_and_of_the_identity_no_more(dataset: str, reference: Path) -> None:
    manifest = _MANIFESTS[dataset]
    taken = {one["name"]: one for one in _contract(reference)["paths"][manifest.path]["get"]["parameters"]}
    asked: list[HolderRequest] = []

    async def send(request: HolderRequest) -> HolderReply:
        asked.append(request)
        raise HolderTimeout("api_particulier", retry_in=60)

    identity = _identity_of(_body(reference, manifest)["data"], manifest)
    with pytest.raises(HolderTimeout):
        asyncio.run(ADAPTERS[manifest.adapter](manifest).fetch(_query(manifest, identity), send))
    [request] = asked
    told = [name for name, _ in request.query]
    assert set(told) <= taken.keys()
    assert {name for name, one in taken.items() if one.get("required")} <= set(told)
    assert told.count("prenoms[]") <= taken.get("prenoms[]", {"schema": {}})["schema"].get("maxItems", 0)
    whole = manifest.identity == IDENTITY_PARTS
    assert whole == ("nomUsage" in told)


@_EVERY
def test_a_holder_that_is_busy_or_silent_is_said_to_be(dataset: str, reference: Path) -> None:
    manifest = _MANIFESTS[dataset]
    identity = _identity_of(_body(reference, manifest)["data"], manifest)
    busy = _asked(manifest, HolderReply(429, {"retry-after": "7"}, b"{}"), identity)
    assert isinstance(busy, HolderBusy)
    assert busy.facts["retry_in"] == 7
    silence = HolderTimeout("api_particulier", retry_in=60)
    assert _asked(manifest, silence, identity) is silence


@_EVERY
def test_a_truncated_answer_is_no_answer(dataset: str, reference: Path) -> None:
    manifest, body = _MANIFESTS[dataset], _body(reference, _MANIFESTS[dataset])
    whole = json.dumps(body).encode()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        error = _asked(manifest, HolderReply(200, {}, whole[:length]), _identity_of(body["data"], manifest))
        assert isinstance(error, ProviderError)
        assert error.slug == "holder_answer_invalid"


@_EVERY
def test_a_value_of_another_type_is_no_answer(dataset: str, reference: Path) -> None:
    """Each field in turn: a text for a number, ``1`` for true, an object for a text. Never read as something else."""
    manifest = _MANIFESTS[dataset]
    for path, field in manifest.fields.items():
        body = _body(reference, manifest)
        identity = _identity_of(body["data"], manifest)
        *parents, last = path.split(".")
        node = body["data"]
        for parent in parents:
            node = node[parent][0] if isinstance(node[parent], list) else node[parent]
        node[last] = {"string": 3, "date": "yesterday", "integer": "3", "number": True, "boolean": 1}[field.type]
        error = _asked(manifest, HolderReply(200, {}, json.dumps(body).encode()), identity)
        assert isinstance(error, ProviderError), path
        assert error.slug in ("holder_answer_invalid", "citizen_not_identified"), path


_CANARY = _identity_of(
    {"identite": {"nom_naissance": "Canari", "prenom": "Zoé", "date_naissance": "1980-05-17"}},
    _MANIFESTS["demandeur_emploi"],
)
_KEYS = sorted({part for one in _MANIFESTS.values() for path in one.fields for part in path.split(".")})
_SAID = values(["data", "errors", "code", *_KEYS])


@given(
    st.sampled_from(sorted(_MANIFESTS)),
    STATUSES,
    st.binary(max_size=40) | _SAID.map(lambda said: json.dumps({"data": said, "errors": said}).encode()),
)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_back_ends_in_a_clean_record_or_a_declared_error(dataset: str, status: int, body: bytes) -> None:
    manifest = _MANIFESTS[dataset]
    answer = _asked(manifest, HolderReply(status, {"retry-after": "soon"}, body), _CANARY)
    if isinstance(answer, Answer):
        assert answer.record.keys() <= {path.split(".")[0] for path in manifest.fields}
        assert (answer.links, answer.meta) == ({}, {})


def test_links_and_meta_are_carried_only_when_the_manifest_names_them() -> None:
    manifest = replace(_MANIFESTS["service_national"], links=frozenset({"next"}), meta=frozenset({"count", "deep"}))
    body = {
        "data": {"statut_service_national": "en_regle", "commentaires": None},
        "links": {"next": "https://holder.example/2", "other": "x"},
        "meta": {"count": 2, "deep": {"a": 1}, "internal": "x"},
    }
    answer = _asked(manifest, HolderReply(200, {}, json.dumps(body).encode()), _CANARY)
    assert isinstance(answer, Answer)
    assert answer.links == {"next": "https://holder.example/2"}
    assert answer.meta == {"count": 2}


@pytest.mark.parametrize("said", [{}, {"links": None}, {"links": {}}])
def test_a_holder_need_not_say_what_its_manifest_would_carry(said: dict[str, object]) -> None:
    manifest = replace(_MANIFESTS["service_national"], links=frozenset({"next"}))
    body = {"data": {"statut_service_national": "en_regle"}, **said}
    answer = _asked(manifest, HolderReply(200, {}, json.dumps(body).encode()), _CANARY)
    assert isinstance(answer, Answer)
    assert answer.links == {}


@pytest.mark.parametrize("fields", [("regime_pensionnat.code",), ("regime_pensionnat.libelle", "est_scolarise")])
def test_an_object_that_the_holder_gives_as_null_is_null_and_no_other(fields: tuple[str, ...], reference: Path) -> None:
    manifest = _MANIFESTS["scolarites"]
    data = {**_body(reference, manifest)["data"], "regime_pensionnat": None}
    assert RecordReader(manifest).read(data, fields)["regime_pensionnat"] is None
    # One field of it may be null, and not all.
    with pytest.raises(RecordInvalid):
        RecordReader(manifest).read({**data, "etablissement": None}, ("etablissement.code_ministere_tutelle",))
