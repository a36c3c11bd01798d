"""What the consent authority is told when it is made. ``exchange`` fills it from settings and keys."""

from dataclasses import dataclass, field

from consent.keys import AuthorityKeys, SealingKeys, TokenKeys

_LONGEST = {"token_lifetime": 600, "code_lifetime": 60, "request_lifetime": 90, "interaction_lifetime": 1800}


@dataclass(frozen=True, slots=True)
class PartnerConfig:
    """Accord's registration with an identity provider. ``issuer`` is like ``https://.../api/v2``."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FranceConnectConfig(PartnerConfig):
    """Accord's registration with FranceConnect."""


@dataclass(frozen=True, slots=True)
class ConsentConfig:
    """The authority's identity, keys and lifetimes.

    ``issuer``: the URL that names it in tokens and metadata (RFC 8414), without a slash at the end.
    ``audience``: who accepts its tokens. Lifetimes are seconds and cannot exceed what FAPI 2.0 and the design allow.
    """

    issuer: str
    audience: str
    franceconnect: FranceConnectConfig
    keys: AuthorityKeys = field(repr=False)
    session_key: bytes = field(repr=False)
    pseudonym_key: bytes = field(repr=False)
    token_lifetime: int = 600
    code_lifetime: int = 60
    request_lifetime: int = 90
    """Until a pushed request is first shown to a citizen."""
    interaction_lifetime: int = 1800
    """From then on, for her to log in, read and decide."""
    dpop_nonce_required: bool = False
    """Whether a DPoP proof must carry a nonce of ours (RFC 9449 section 8); one that is there is always checked."""

    def __post_init__(self) -> None:
        for name, longest in _LONGEST.items():
            if not 0 < getattr(self, name) <= longest:
                raise ValueError(f"{name}: 1 to {longest} seconds")
        if self.issuer.endswith("/"):
            raise ValueError("issuer: a URL without a slash at the end")

    @property
    def token_keys(self) -> TokenKeys:
        """The keys of consent tokens at this moment: read it once for what belongs together."""
        return self.keys.tokens

    @property
    def sealing_keys(self) -> SealingKeys:
        """The keys that seal identities at this moment."""
        return self.keys.sealing
