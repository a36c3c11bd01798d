"""Who calls with an access token of its own, and from where."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from consent.dpop import Nonces
from consent.model import Client
from exchange.application import Caller, authenticate, new_token
from exchange.asgi import Scope
from exchange.model import Registry
from exchange.recipient import Proxies, Recipient
from openapi.fields import Siret
from openapi.problem import AccordError

NOW = 1_800_000_000
TOWN = Siret("21990001600011")
TOKEN, DIGEST = new_token()
CLIENT = Client("portail", "Portail", TOWN, "Valombre", (), {}, "none", token_sha256=DIGEST, token_until=NOW + 1)
RECIPIENT = Recipient(
    "https://accord.example",
    proxies=Proxies([ip_network("10.0.0.0/8")]),
    nonces=Nonces(b"k" * 32, required=False),
)


def _called(client: Client, *, token: str = TOKEN, proofs: tuple[str, ...] = (), scope: Scope | None = None) -> Caller:
    registry = Registry(1, {TOWN: "Valombre"}, {"portail": client}, tokens={DIGEST: "portail"})
    asked = scope or _from("192.0.2.7")
    return authenticate(asked, token.encode(), proofs, registry=registry, recipient=RECIPIENT, now=NOW)


def _from(peer: str, *forwarded: str) -> Scope:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return {"type": "http", "method": "GET", "path": "/v3/x", "client": (peer, 4711), "headers": headers}


def test_a_token_says_which_application_calls() -> None:
    assert _called(CLIENT).client.client_id == "portail"


@pytest.mark.parametrize(
    ("client", "token", "slug"),
    [
        (CLIENT, "", "application_token_missing"),
        (CLIENT, TOKEN[:-1], "application_token_unknown"),
        (CLIENT, DIGEST, "application_token_unknown"),
        (CLIENT, "a" * 5_000, "application_token_unknown"),
        (replace(CLIENT, token_until=NOW), TOKEN, "application_token_expired"),
        (replace(CLIENT, token_until=None), TOKEN, "application_token_expired"),
        (replace(CLIENT, token_jkt="k" * 43), TOKEN, "dpop_proof_missing"),
    ],
    ids=["none", "shortened", "its-hash", "too-long", "over", "without-end", "bound-to-a-key"],
)
def test_any_other_token_is_refused_by_name(client: Client, token: str, slug: str) -> None:
    with pytest.raises(AccordError, match=slug):
        _called(client, token=token)


def test_a_proof_with_a_token_that_no_key_is_bound_to_is_not_passed_over() -> None:
    with pytest.raises(AccordError, match="dpop_key_mismatch"):
        _called(CLIENT, proofs=("a proof",))


ALLOWED = replace(CLIENT, allowed_networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")))


@pytest.mark.parametrize(
    "scope",
    [
        _from("192.0.2.7"),
        _from("2001:db8::1"),
        _from("10.1.1.1", "192.0.2.7"),
        _from("10.1.1.1", "203.0.113.9, 192.0.2.7"),
        _from("10.1.1.1", "203.0.113.9", "192.0.2.7, 10.9.9.9"),
    ],
)
def test_a_call_from_an_allowed_address_passes_also_behind_trusted_proxies(scope: Scope) -> None:
    assert _called(ALLOWED, scope=scope).client is ALLOWED


@pytest.mark.parametrize(
    "scope",
    [
        _from("203.0.113.9"),
        # Whoever is no trusted proxy may say what it likes of where it comes from.
        _from("203.0.113.9", "192.0.2.7"),
        _from("10.1.1.1", "192.0.2.7, 203.0.113.9"),
        _from("10.1.1.1", "192.0.2.7, nowhere"),
        _from("10.1.1.1"),
        _from("unix"),
        {**_from("192.0.2.7"), "client": None},
    ],
)
def test_a_call_from_elsewhere_or_from_nobody_knows_where_is_refused(scope: Scope) -> None:
    with pytest.raises(AccordError, match="address_not_allowed"):
        _called(ALLOWED, scope=scope)
