import hashlib
from base64 import b64encode, urlsafe_b64encode
from ipaddress import ip_network

import pytest

from exchange.asgi import Scope
from exchange.recipient import MAX_CERTIFICATE, Proxies

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
