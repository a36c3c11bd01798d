"""Who sends the request: whether it is the one that the token is bound to, by DPoP (RFC 9449) or mTLS (RFC 8705).

A client certificate is known only through a header (RFC 9440) of a proxy that the operator named: from anywhere else
that header is worth nothing and is not read.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from binascii import Error, a2b_base64
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from consent.dpop import ALGORITHMS, Nonces, ProofInvalid, check_proof
from consent.model import Client
from exchange.asgi import Header, Reply, Scope
from exchange.model import Asked, ConsentToken
from openapi.problem import AccordError

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

CERTIFICATE_HEADER = b"client-cert"
MAX_CERTIFICATE = 16_384
DPOP_CHALLENGE = f'DPoP algs="{" ".join(ALGORITHMS)}"'


class Proxies:
    """The proxies whose ``Client-Cert`` header is believed."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def certificate(self, scope: Scope) -> str | None:
        """The thumbprint (``x5t#S256``) of the client's certificate, if a trusted proxy gave exactly one."""
        if not self._networks or not self._trusts(scope.get("client")):
            return None
        headers: list[Header] = scope["headers"]
        values = [value for name, value in headers if name == CERTIFICATE_HEADER]
        return _thumbprint(values[0]) if len(values) == 1 else None

    def address(self, scope: Scope) -> Address | None:
        """Where a request comes from: the connection's end or, behind trusted proxies, what the last of them saw.

        ``None`` when that cannot be told.
        """
        peer = scope.get("client")
        if not isinstance(peer, tuple):
            return None
        hops = [peer[0]]
        if self._trusts(peer):
            values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
            hops = [*(hop.strip() for hop in ",".join(values).split(",") if hop.strip()), peer[0]]
        try:
            addresses = [ip_address(hop) for hop in reversed(hops)]
        except ValueError:
            return None
        return next((one for one in addresses if not any(one in network for network in self._networks)), addresses[-1])

    def _trusts(self, peer: object) -> bool:
        if not isinstance(peer, tuple):
            return False
        try:
            address = ip_address(peer[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class Recipient:
    """Checks that a token is used by the one it was given to."""

    def __init__(self, issuer: str, *, proxies: Proxies, nonces: Nonces) -> None:
        self._issuer = issuer
        self._proxies = proxies
        self._nonces = nonces

    def check(
        self, scope: Scope, asked: Asked, token: ConsentToken, *, client: Client | None, now: float
    ) -> str | None:
        """Raise ``AccordError`` unless the sender is the right one; return the key that its proof spends, if any."""
        if client is not None:
            self.check_address(scope, client)
        if token.jkt is not None:
            if not asked.is_dpop:
                raise AccordError("dpop_proof_missing")
            return self.check_proof(scope, asked.proofs, asked.token, jkt=token.jkt, now=now)
        if asked.proofs or asked.is_dpop:
            # A proof is never passed over: the token it came with is not what its sender believes.
            raise AccordError("dpop_key_mismatch")
        if token.certificate is not None:
            self._check_certificate(scope, token.certificate)
        elif client is not None and client.sender_constraint != "none":
            raise AccordError("token_not_bound")
        return None

    def address(self, scope: Scope) -> str:
        """Where a request comes from, as text; empty when that cannot be told."""
        return str(self._proxies.address(scope) or "")

    def with_nonce(self, reply: Reply, scope: Scope, *, now: float) -> Reply:
        """A caller that sends proofs learns the nonce for the next (RFC 9449 section 8.2)."""
        for name, value in scope["headers"]:
            if name == b"dpop" or (name == b"authorization" and value[:5].lower() == b"dpop "):
                return replace(reply, headers=(*reply.headers, (b"dpop-nonce", self._nonces.current(now).encode())))
        return reply

    def check_address(self, scope: Scope, client: Client) -> None:
        """Raise ``AccordError`` unless the request comes from where the application's may."""
        if not client.allowed_networks:
            return
        address = self._proxies.address(scope)
        if address is None or not any(address in network for network in client.allowed_networks):
            raise AccordError("address_not_allowed")

    def check_proof(self, scope: Scope, proofs: Sequence[str], access_token: bytes, *, jkt: str, now: float) -> str:
        """The key that a proof of ``jkt`` for this request and token spends. Raises ``AccordError``."""
        if not proofs:
            raise AccordError("dpop_proof_missing")
        if len(proofs) > 1:
            raise AccordError("dpop_proof_invalid", check="DPoP: one header, not several")
        try:
            proof = check_proof(
                proofs[0],
                method=scope["method"],
                url=self._issuer + scope["path"],
                now=now,
                nonces=self._nonces,
                access_token=access_token,
            )
        except ProofInvalid as invalid:
            if invalid.wants_nonce:
                raise AccordError("dpop_nonce_required") from None
            raise AccordError("dpop_proof_invalid", check=invalid.check) from None
        if not hmac.compare_digest(proof.jkt, jkt):
            raise AccordError("dpop_key_mismatch")
        # Its time comes first: the keys of a moment lie together in the log's table.
        return f"dpop:{proof.expires_at}:{proof.spend_key}"

    def _check_certificate(self, scope: Scope, expected: str) -> None:
        shown = self._proxies.certificate(scope)
        if shown is None:
            raise AccordError("certificate_missing")
        if not hmac.compare_digest(shown, expected):
            raise AccordError("certificate_mismatch")


def _thumbprint(header: bytes) -> str | None:
    """Of ``:<base64 DER>:`` (RFC 9440 section 2.1, RFC 8941 section 3.3.5)."""
    value = header.strip()
    if len(value) > MAX_CERTIFICATE or len(value) < 3 or value[:1] != b":" or value[-1:] != b":":  # noqa: PLR2004  # two colons around something
        return None
    try:
        der = a2b_base64(value[1:-1], strict_mode=True)
    except Error:
        return None
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
