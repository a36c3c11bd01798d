"""What an authorisation allows, however many ask at once: one use, so many a day, its own sender alone."""

import asyncio
import hashlib
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from joserfc.jwk import ECKey

from sandbox.browser import Browser
from sandbox.portail_famille.accord import Accord
from sandbox.servers import run_accord
from tests.certificates import certificate
from tests.journeys.citizen import authorize, log_in
from tests.journeys.deployment import Deployment, deployed

pytestmark = [pytest.mark.enable_socket]

_PATH = "/v1/data/quotient_familial"
_KEY = ec.generate_private_key(ec.SECP256R1())
_JWK = jwt.algorithms.ECAlgorithm.to_jwk(_KEY.public_key(), as_dict=True)
_JKT = ECKey.import_key(_JWK).thumbprint()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    settings = {
        "ACCORD_WORKERS": "4",
        "ACCORD_TRUSTED_PROXIES": '["127.0.0.1/32"]',
        "ACCORD_LOG_TIMEOUT": "20",
        # However unevenly the kernel spreads a hundred requests over the workers.
        "ACCORD_HOLDERS__API_PARTICULIER__MAX_IN_FLIGHT": "200",
    }
    with deployed(tmp_path_factory.mktemp("world"), settings=settings) as running:
        yield running


def _many(deployment: Deployment, token: str, count: int) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        # A connection each: the kernel spreads them over the workers.
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=0)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            headers = {"Authorization": f"Bearer {token}"}
            return await asyncio.gather(*[client.get(deployment.url + _PATH, headers=headers) for _ in range(count)])

    return asyncio.run(ask())


def _slugs(answers: list[httpx.Response]) -> list[str]:
    return [answer.json()["type"].rsplit("/", 1)[1] for answer in answers if answer.status_code != 200]


def test_a_grant_of_one_use_gives_a_hundred_simultaneous_requests_on_four_processes_one_answer(
    deployment: Deployment,
) -> None:
    grant = token_urlsafe(8)
    token = deployment.token(detail={"access": "once"}, grant_id=grant).decode()
    answers = _many(deployment, token, 100)
    assert [answer.status_code for answer in answers].count(200) == 1
    assert set(_slugs(answers)) == {"grant_used_up"}
    entries = [json.loads(entry) for entry in deployment.entries()]
    assert [entry["outcome"] for entry in entries].count("grant_used_up") == 99
    assert not deployment.verify().findings


def test_a_daily_limit_of_three_gives_twenty_simultaneous_requests_three_answers(deployment: Deployment) -> None:
    token = deployment.token(detail={"max_per_day": 3}, grant_id=token_urlsafe(8)).decode()
    answers = _many(deployment, token, 20)
    assert [answer.status_code for answer in answers].count(200) == 3
    assert set(_slugs(answers)) == {"grant_quota_reached"}
    problem = next(answer.json() for answer in answers if answer.status_code == 429)
    assert "3" in problem["detail"]


def _proof(deployment: Deployment, token: str, *, key: Any = _KEY, **changed: Any) -> str:
    ath = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    claims = {"jti": token_urlsafe(8), "htm": "GET", "htu": deployment.url + _PATH, "iat": int(time.time()), "ath": ath}
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.encode(claims | changed, key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": jwk})


def _ask(deployment: Deployment, token: str, *proofs: str, scheme: str = "DPoP", **headers: str) -> httpx.Response:
    sent = [("Authorization", f"{scheme} {token}"), *[("DPoP", proof) for proof in proofs], *headers.items()]
    return httpx.get(deployment.url + _PATH, headers=sent, trust_env=False, timeout=20)


def _refused(answer: httpx.Response, slug: str) -> None:
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (401, slug), answer.text
    assert "data" not in answer.json()


def test_a_token_bound_to_a_key_serves_with_a_proof_of_it_once(deployment: Deployment) -> None:
    token = deployment.token(cnf={"jkt": _JKT}).decode()
    proof = _proof(deployment, token)
    answer = _ask(deployment, token, proof)
    assert answer.status_code == 200, answer.text
    assert answer.headers["dpop-nonce"]
    _refused(_ask(deployment, token, proof), "dpop_proof_replayed")
    assert _ask(deployment, token, _proof(deployment, token, nonce=answer.headers["dpop-nonce"])).status_code == 200


def test_each_failure_of_a_proof_is_named_and_never_called_an_expired_session(deployment: Deployment) -> None:
    token = deployment.token(cnf={"jkt": _JKT}).decode()
    other = ec.generate_private_key(ec.SECP256R1())
    missing = _ask(deployment, token)
    _refused(missing, "dpop_proof_missing")
    assert missing.headers["www-authenticate"].startswith('DPoP algs="ES256 PS256"')
    _refused(_ask(deployment, token, scheme="Bearer"), "dpop_proof_missing")
    _refused(_ask(deployment, token, _proof(deployment, token), scheme="Bearer"), "dpop_proof_missing")
    _refused(_ask(deployment, token, _proof(deployment, token, key=other)), "dpop_key_mismatch")
    _refused(_ask(deployment, token, _proof(deployment, token, htm="POST")), "dpop_proof_invalid")
    _refused(_ask(deployment, token, _proof(deployment, "another")), "dpop_proof_invalid")
    _refused(_ask(deployment, token, _proof(deployment, token, iat=int(time.time()) - 300)), "dpop_proof_invalid")
    _refused(_ask(deployment, token, _proof(deployment, token), _proof(deployment, token)), "dpop_proof_invalid")
    stale = _ask(deployment, token, _proof(deployment, token, nonce="stale"))
    _refused(stale, "dpop_nonce_required")
    assert 'error="use_dpop_nonce"' in stale.headers["www-authenticate"]
    assert stale.headers["dpop-nonce"]
    bearer = deployment.token().decode()
    _refused(_ask(deployment, bearer, _proof(deployment, bearer)), "dpop_key_mismatch")


def test_a_token_bound_to_a_certificate_serves_with_it_alone(deployment: Deployment, tmp_path: Any) -> None:
    headers, prints = [], []
    for name in ("mine", "other"):
        folder = tmp_path / name
        folder.mkdir()
        chain, _ = certificate(folder, name)
        der = load_pem_x509_certificate(chain.read_bytes()).public_bytes(Encoding.DER)
        prints.append(urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode())
        headers.append({"Client-Cert": f":{b64encode(der).decode()}:"})
    token = deployment.token(cnf={"x5t#S256": prints[0]}).decode()
    assert _ask(deployment, token, scheme="Bearer", **headers[0]).status_code == 200
    _refused(_ask(deployment, token, scheme="Bearer", **headers[1]), "certificate_mismatch")
    _refused(_ask(deployment, token, scheme="Bearer"), "certificate_missing")
    _refused(_ask(deployment, token, scheme="Bearer", **{"Client-Cert": ":not base64:"}), "certificate_missing")


def test_the_scheme_of_a_token_is_read_in_any_case(deployment: Deployment) -> None:
    bound, bearer = deployment.token(cnf={"jkt": _JKT}).decode(), deployment.token().decode()
    for scheme in ("dpop", "DPOP", "dPoP"):
        assert _ask(deployment, bound, _proof(deployment, bound), scheme=scheme).status_code == 200
    for scheme in ("bearer", "BEARER"):
        assert _ask(deployment, bearer, scheme=scheme).status_code == 200


def test_nothing_in_the_browsers_address_changes_a_pushed_request(deployment: Deployment) -> None:
    portal = deployment.world.sandbox.portal
    departure = asyncio.run(Accord(portal).request_authorization())
    unsigned = {"client_id": portal.client_id, "response_type": "code", "redirect_uri": portal.redirect_uri}
    refused = httpx.get(f"{deployment.url}/oauth/authorize", params=unsigned, trust_env=False, timeout=10)
    assert refused.status_code == 400
    added = departure.url + "&state=other&redirect_uri=https%3A%2F%2Fevil.example&response_type=token"
    with Browser() as browser:
        screen = log_in(deployment, browser, browser.open(added), person=0)
        back = browser.press(screen.button(action="/decision", value="agree"))
    answer = parse_qs(urlsplit(back.url).query)
    assert back.url.startswith(portal.redirect_uri)
    assert answer["state"] == [departure.state]
    assert answer["code"]


def test_an_operator_suspends_an_authorisation_on_every_process_and_resumes_it(deployment: Deployment) -> None:
    token = authorize(deployment, person=1)
    grant_id = jwt.decode(token, options={"verify_signature": False})["grant_id"]
    assert _ask(deployment, token, scheme="Bearer").status_code == 200
    run_accord(["grants", "suspend", grant_id], folder=deployment.world.folder)
    # A process knows within its feed's interval.
    time.sleep(1.5)
    answers = _many(deployment, token, 12)
    assert set(_slugs(answers)) == {"grant_suspended"}
    assert len(_slugs(answers)) == 12
    run_accord(["grants", "resume", grant_id], folder=deployment.world.folder)
    time.sleep(1.5)
    assert _ask(deployment, token, scheme="Bearer").status_code == 200
    kinds = [json.loads(entry)["kind"] for entry in deployment.entries()]
    assert kinds.count("grant.suspended") == kinds.count("grant.resumed") == 1
