"""How an application's request came, and what that binds its tokens to: a DPoP key or a certificate. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from consent.dpop import Nonces, Proof, ProofInvalid, check_proof
from consent.errors import OAuthError
from consent.model import Client

TokenType: TypeAlias = Literal["Bearer", "DPoP"]
Spend: TypeAlias = Callable[[str, int], bool]
"""Key and end (Unix seconds) -> false when it was spent before."""


@dataclass(frozen=True, slots=True)
class Sender:
    """``url``: what was asked, without query. ``proofs``: every ``DPoP`` header.

    ``certificate``: the SHA-256 thumbprint (``x5t#S256``, RFC 8705) of the certificate that the trusted proxy saw.
    """

    method: str
    url: str
    proofs: tuple[str, ...] = ()
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token is bound to: the claim ``cnf`` (RFC 7800), empty for a bearer token."""

    cnf: Mapping[str, str]

    @property
    def token_type(self) -> TokenType:
        """As the token endpoint says it (RFC 9449 section 5)."""
        return "DPoP" if "jkt" in self.cnf else "Bearer"


def proved_key(
    sender: Sender, *, now: float, nonces: Nonces, spend: Spend, access_token: bytes | None = None
) -> str | None:
    """The thumbprint of the key that the request proves, ``None`` without a proof. Raises :class:`OAuthError`."""
    if not sender.proofs:
        return None
    if len(sender.proofs) > 1:
        raise OAuthError("invalid_dpop_proof", "DPoP: one header, not several")
    try:
        proof = check_proof(
            sender.proofs[0],
            method=sender.method,
            url=sender.url,
            now=now,
            nonces=nonces,
            access_token=access_token,
        )
        _spend(proof, spend)
    except ProofInvalid as invalid:
        if invalid.wants_nonce:
            nonce = {"DPoP-Nonce": nonces.current(now)}
            raise OAuthError("use_dpop_nonce", invalid.check, headers=nonce) from None
        raise OAuthError("invalid_dpop_proof", invalid.check) from None
    return proof.jkt


def binding_of(client: Client, sender: Sender, jkt: str | None) -> Binding:
    """What the token for this request is bound to, as the application registered. Raises :class:`OAuthError`."""
    if jkt is not None:
        # A proof is never passed over, whatever the registration says (RFC 9449 section 5).
        return Binding({"jkt": jkt})
    if client.sender_constraint == "dpop":
        raise OAuthError("invalid_dpop_proof", "DPoP: missing; this application's tokens are bound to a key (RFC 9449)")
    if client.sender_constraint == "mtls":
        if sender.certificate is None:
            raise OAuthError("invalid_request", "certificate: missing; this application's tokens are bound to one")
        return Binding({"x5t#S256": sender.certificate})
    return Binding({})


def _spend(proof: Proof, spend: Spend) -> None:
    if not spend(proof.spend_key, proof.expires_at):
        raise ProofInvalid("jti: already used; sign a new proof for each request")
