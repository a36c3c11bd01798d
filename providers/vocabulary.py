"""How each adapter names the parts of an identity: what ties a manifest to the holder's OpenAPI file. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from providers.adapters import api_particulier
from providers.model import IDENTITY_PARTS, IdentityPart
from providers.openapi_reader import HolderPath


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The parameters of one adapter: of each part of an identity, and those it always gives (``own``)."""

    identity: Mapping[IdentityPart, tuple[str, ...]]
    own: frozenset[str]


VOCABULARIES: Mapping[str, Vocabulary] = {
    "api_particulier": Vocabulary(api_particulier.PARAMETERS, api_particulier.OWN_PARAMETERS),
    "api_entreprise": Vocabulary({}, frozenset({"recipient", "context", "object"})),
}
"""By adapter; of one that is not here nothing is known but its manifest's own parameters."""
COMPANY_NUMBERS = frozenset({"siren", "siret"})
UNKNOWN = Vocabulary({}, frozenset())


def identity_of(path: HolderPath, words: Vocabulary) -> tuple[IdentityPart, ...]:
    """The parts of an identity that the path takes."""
    return tuple(
        part for part in IDENTITY_PARTS if any(name in path.parameters for name in words.identity.get(part, ()))
    )


def given_names_of(path: HolderPath, words: Vocabulary) -> int | None:
    """How many given names the path takes, when it says so."""
    found = [path.parameters[name] for name in words.identity.get("given_names", ()) if name in path.parameters]
    return found[0].most if found else None
