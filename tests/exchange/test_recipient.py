import hashlib
from base64 import b64encode, urlsafe_b64encode
from ipaddress import ip_network

import pytest

from consent.dpop import Nonces
from consent.model import Client, SenderConstraint
from exchange.asgi import Scope
from exchange.model import Asked, ConsentToken
from exchange.recipient import MAX_CERTIFICATE, Proxies, Recipient
from openapi.fields import CogCode, PivotIdentity, Siret
from openapi.problem import AccordError

_DER = b"a certificate"
_HEADER = b":" + b64encode(_DER) + b":"
_TRUSTING = Proxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def _scope(*values: bytes, peer: object = ("10.1.2.3", 4711)) -> Scope:
    return {"client": peer, "headers": [(b"client-cert", value) for value in values]}


def test_a_certificate_is_believed_from_a_trusted_proxy() -> None:
    expected = urlsafe_b64encode(hashlib.sha256(_DER).digest()).decode().rstrip("=")
    assert _TRUSTING.certificate(_scope(_HEADER)) == expected
    assert _TRUSTING.certificate(_scope(_HEADER, peer=("fd00::1", 1))) == expected


@pytest.mark.parametrize("peer", [("192.0.2.1", 1), ("11.0.0.1", 1), None, ("", 0), ("unix", 0)])
def test_from_anywhere_else_the_header_is_worth_nothing(peer: object) -> None:
    assert _TRUSTING.certificate(_scope(_HEADER, peer=peer)) is None
    assert Proxies().certificate(_scope(_HEADER, peer=peer)) is None


@pytest.mark.parametrize("value", [b"", b"::", b":", b"abc", b":not base64:", b":" + b"A" * MAX_CERTIFICATE + b":"])
def test_a_header_of_another_form_is_no_certificate(value: bytes) -> None:
    assert _TRUSTING.certificate(_scope(value)) is None


def test_two_headers_are_no_certificate() -> None:
    assert _TRUSTING.certificate(_scope(_HEADER, _HEADER)) is None


def _token(**bound: str) -> ConsentToken:
    pivot = PivotIdentity(family_name="X", gender="female", birthcountry=CogCode("99100"))
    return ConsentToken("c", "g", "eidas1", 0, {}, "p", pivot, **bound)


def _client(constraint: SenderConstraint) -> Client:
    return Client("c", "c", Siret("35600000000048"), "o", (), {}, constraint)


@pytest.mark.parametrize(
    ("constraint", "slug"), [("dpop", "token_not_bound"), ("mtls", "token_not_bound"), ("none", None)]
)
def test_a_bearer_token_serves_only_an_application_whose_registration_says_so(
    constraint: SenderConstraint, slug: str | None
) -> None:
    recipient = Recipient("https://accord.example", proxies=Proxies(), nonces=Nonces(b"k" * 32, required=False))
    scope, asked = {"client": None, "headers": [], "method": "GET", "path": "/"}, Asked("r", token=b"t")
    if slug is None:
        assert recipient.check(scope, asked, _token(), client=_client(constraint), now=0) is None
        return
    with pytest.raises(AccordError, match=slug):
        recipient.check(scope, asked, _token(), client=_client(constraint), now=0)
