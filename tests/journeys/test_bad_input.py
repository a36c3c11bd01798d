"""Whatever comes in: its own documented problem, an entry, and no data. Holders in trouble: ``test_faults.py``."""

import json
import time
from datetime import date
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from openapi.problem import problems
from tests.journeys.deployment import Deployment, deployed

pytestmark = [pytest.mark.enable_socket]

_CANARY = "pseudonym-0"


def _check_refusal(deployment: Deployment, answer: httpx.Response, slug: str) -> None:
    """The problem is the registered one, it carries no data, and its entry is in the log under the same id."""
    row = problems()[slug]
    document = answer.json()
    assert (answer.status_code, document["type"].rsplit("/", 1)[1]) == (row.status, slug)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "data" not in document
    assert document["detail"]
    page = httpx.get(document["type"], trust_env=False, timeout=5)
    assert page.status_code == 200
    request_id = document["instance"].removeprefix("urn:uuid:")
    logged = [json.loads(entry) for entry in deployment.entries() if request_id in entry]
    assert [entry["outcome"] for entry in logged] == [slug]
    assert logged[0]["kind"] in ("refusal", "failure")


def _tokens(deployment: Deployment) -> dict[str, tuple[str, bytes | None]]:
    mint = deployment.mint()
    past = int(time.time()) - 1
    right = deployment.token()
    return {
        "missing": ("token_missing", None),
        "malformed": ("token_malformed", b"not-a-token"),
        "cut short": ("token_signature_invalid", right[:-20]),
        "expired": ("token_expired", deployment.token(exp=past)),
        "wrong audience": ("token_audience_invalid", deployment.token(aud="https://other.example")),
        "alg none": ("token_algorithm_refused", mint.token(key=None, alg="none")),
        "HS256 with the public key": ("token_algorithm_refused", mint.hs256_with_the_public_key()),
        "unknown kid": ("token_key_unknown", mint.token(kid="unknown")),
        "another key": ("token_signature_invalid", mint.token(key=ec.generate_private_key(ec.SECP256R1()))),
        "unknown application": ("client_unknown", deployment.token(client_id="other")),
        "another dataset": ("dataset_not_consented", deployment.token(detail={"type": "urn:accord:other"})),
        "another purpose": ("habilitation_missing", deployment.token(detail={"purpose": "curiosity"})),
        "expired grant": ("grant_expired", deployment.token(detail={"expires_at": past})),
        "field beyond the habilitation": (
            "field_not_habilitated",
            deployment.token(detail={"datatypes": ["allocataires.nom_naissance"]}),
        ),
    }


_CASES = (
    "missing",
    "malformed",
    "cut short",
    "expired",
    "wrong audience",
    "alg none",
    "HS256 with the public key",
    "unknown kid",
    "another key",
    "unknown application",
    "another dataset",
    "another purpose",
    "expired grant",
    "field beyond the habilitation",
)


@pytest.mark.parametrize("case", _CASES)
def test_a_wrong_token_gets_its_own_problem_and_an_entry(deployment: Deployment, case: str) -> None:
    slug, token = _tokens(deployment)[case]
    headers = {} if token is None else {"Authorization": f"Bearer {token.decode()}"}
    url = f"{deployment.url}/v1/data/quotient_familial"
    _check_refusal(deployment, httpx.get(url, headers=headers, trust_env=False, timeout=10), slug)


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("?fields=allocataires.nom_naissance", "field_not_consented"),
        ("?fields=quotient_familial.montant", "field_unknown"),
        ("?fields=", "field_unknown"),
        ("?champs=x", "request_malformed"),
        ("?fields=a&fields=b", "request_malformed"),
        ("?" + "x" * 5000, "request_malformed"),
    ],
)
def test_a_wrong_question_gets_its_own_problem_and_an_entry(deployment: Deployment, query: str, slug: str) -> None:
    _check_refusal(deployment, deployment.exchange(deployment.token(), query=query), slug)


def test_an_unknown_dataset_is_refused_without_being_repeated(deployment: Deployment) -> None:
    url = f"{deployment.url}/v1/data/Canari-Zoe"
    answer = httpx.get(url, headers={"Authorization": "Bearer x"}, trust_env=False, timeout=10)
    _check_refusal(deployment, answer, "dataset_unknown")
    assert not any("Canari" in entry for entry in deployment.entries())
    assert "Canari" not in answer.text


def test_an_expired_habilitation_is_refused(tmp_path: Path) -> None:
    with deployed(tmp_path, today=date(2024, 1, 1)) as deployment:
        _check_refusal(deployment, deployment.exchange(deployment.token()), "habilitation_expired")


def test_the_problem_speaks_french_to_who_asks_for_it(deployment: Deployment) -> None:
    url = f"{deployment.url}/v1/data/quotient_familial"
    answer = httpx.get(url, headers={"Accept-Language": "fr-FR,fr;q=0.9"}, trust_env=False, timeout=10)
    assert answer.json()["title"] == problems()["token_missing"].title["fr"]


def test_no_identity_is_in_what_the_server_says_or_writes(deployment: Deployment) -> None:
    answer = deployment.exchange(deployment.token())
    assert answer.status_code == 200
    identity = deployment.world.sandbox.families[0]
    name = str(identity.params.get("nomNaissance", "CANARI"))
    said = "\n".join(deployment.entries()) + (deployment.world.folder / "accord.log").read_text()
    assert name not in said
    assert _CANARY not in said
