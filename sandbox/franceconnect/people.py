"""Who can log in, who may ask for a login, and which claims each scope opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from joserfc.jwk import ECKey, RSAKey

from openapi.fields import FRANCE, PivotIdentity

_PIVOT = ("given_name", "given_name_array", "family_name", "birthdate", "gender", "birthplace", "birthcountry")

CLAIMS_BY_SCOPE: Mapping[str, tuple[str, ...]] = {
    "openid": ("sub",),
    "gender": ("gender",),
    "birthdate": ("birthdate",),
    "birthcountry": ("birthcountry",),
    "birthplace": ("birthplace",),
    "given_name": ("given_name", "given_name_array"),
    "family_name": ("family_name",),
    "preferred_username": ("preferred_username",),
    "profile": ("given_name", "given_name_array", "family_name", "preferred_username", "gender", "birthdate"),
    "birth": ("birthplace", "birthcountry"),
    "identite_pivot": _PIVOT,
}
"""FranceConnect's table of scopes, without ``email``: the test people have none."""


@dataclass(frozen=True, slots=True)
class Person:
    """A fictional person of the login page. ``key`` names her in the form."""

    key: str
    label: str
    identity: PivotIdentity = field(repr=False)


@dataclass(frozen=True, slots=True)
class Partner:
    """A registered 'fournisseur de service'. Its URLs are compared as exact strings."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataProvider:
    """A registered 'fournisseur de données', who may ask about the tokens of any partner."""

    client_id: str
    client_secret: str = field(repr=False)
    encryption_key: ECKey | RSAKey = field(repr=False)
    """The public key that answers are encrypted to: P-256 for ECDH-ES, RSA for RSA-OAEP-256."""
    scopes: tuple[str, ...] = ()
    """The data scopes it serves: partners may ask for them, and it is told of no other."""


def identity_claims(identity: PivotIdentity, scopes: tuple[str, ...]) -> dict[str, object]:
    """The identity's claims that ``scopes`` open, in userinfo's format.

    Someone born abroad has an empty ``birthplace``; an unknown month or day of birth is ``00``.
    """
    claims: dict[str, object] = dict(identity.to_claims())
    claims["given_name"] = " ".join(identity.given_names)
    if identity.birthcountry != FRANCE:
        claims.setdefault("birthplace", "")
    # A data provider's scope opens its data, and nothing in userinfo.
    opened = {name for scope in scopes for name in CLAIMS_BY_SCOPE.get(scope, ())}
    return {name: value for name, value in claims.items() if name in opened}
