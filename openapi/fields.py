"""Value types that several packages speak: SIRET, COG code, pivot identity.

Each checks itself when it is made and raises :class:`InvalidValue`, naming the field and never the value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NewType, Self, TypeAlias

from stdnum.exceptions import ValidationError
from stdnum.fr import siren as stdnum_siren
from stdnum.fr import siret as stdnum_siret

Siret = NewType("Siret", str)
Siren = NewType("Siren", str)
CogCode = NewType("CogCode", str)

Gender: TypeAlias = Literal["male", "female"]

FRANCE = CogCode("99100")
SIRET_DIGITS = 14
SIREN_DIGITS = 9
NAME_LENGTH = 100
GIVEN_NAMES = 10

_COG = re.compile(r"[0-9][0-9AB][0-9]{3}\Z")
_BIRTHDATE = re.compile(r"([0-9]{4})-(0[0-9]|1[0-2])-([0-2][0-9]|3[01])\Z")


class InvalidValue(ValueError):
    """A value that does not have its declared form. ``field`` says which; the value itself is never kept."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


def siret(value: object, *, field: str = "siret") -> Siret:
    """A SIRET: 14 digits with a valid Luhn key (La Poste's exception included)."""
    if not isinstance(value, str) or len(value) != SIRET_DIGITS or not value.isascii():
        raise InvalidValue(field, "a SIRET of 14 digits")
    try:
        stdnum_siret.validate(value)
    except ValidationError:
        raise InvalidValue(field, "a SIRET with a valid key") from None
    return Siret(value)


def siren(value: object, *, field: str = "siren") -> Siren:
    """A SIREN: 9 digits with a valid Luhn key."""
    if not isinstance(value, str) or len(value) != SIREN_DIGITS or not value.isascii():
        raise InvalidValue(field, "a SIREN of 9 digits")
    try:
        stdnum_siren.validate(value)
    except ValidationError:
        raise InvalidValue(field, "a SIREN with a valid key") from None
    return Siren(value)


def cog_code(value: object, *, field: str) -> CogCode:
    """An INSEE code of a commune or a country: five characters, ``2A``/``2B`` for Corsica."""
    if not isinstance(value, str) or not _COG.match(value):
        raise InvalidValue(field, "an INSEE code of 5 characters")
    return CogCode(value)


@dataclass(frozen=True, slots=True)
class PivotIdentity:
    """The identity FranceConnect vouches for ('identité pivot').

    ``birthdate`` is ``YYYY-MM-DD`` where an unknown month or day is ``00``; ``birthplace`` is missing for
    many people born abroad. ``repr`` shows nothing: an identity must not reach a log through a traceback.
    """

    family_name: str
    gender: Gender
    birthcountry: CogCode
    given_names: tuple[str, ...] = ()
    birthdate: str | None = None
    birthplace: CogCode | None = None
    preferred_username: str | None = None

    def __repr__(self) -> str:
        return "PivotIdentity(...)"

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> Self:
        """From FranceConnect's userinfo claims, or from :meth:`to_claims`.

        Raises :class:`InvalidValue` for a missing or malformed claim. Empty strings count as missing.
        """
        gender = claims.get("gender")
        if gender not in ("male", "female"):
            raise InvalidValue("gender", "male or female")
        return cls(
            family_name=_name(claims.get("family_name"), "family_name"),
            gender=gender,
            birthcountry=cog_code(claims.get("birthcountry"), field="birthcountry"),
            given_names=_given_names(claims),
            birthdate=_birthdate(claims.get("birthdate") or None),
            birthplace=cog_code(claims["birthplace"], field="birthplace") if claims.get("birthplace") else None,
            preferred_username=_name(claims["preferred_username"], "preferred_username")
            if claims.get("preferred_username")
            else None,
        )

    def to_claims(self) -> dict[str, object]:
        """The claims under FranceConnect's names, without the missing ones."""
        claims: dict[str, object] = {
            "family_name": self.family_name,
            "gender": self.gender,
            "birthcountry": self.birthcountry,
            "given_name_array": list(self.given_names),
            "birthdate": self.birthdate,
            "birthplace": self.birthplace,
            "preferred_username": self.preferred_username,
        }
        return {name: value for name, value in claims.items() if value}


def _name(value: object, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_LENGTH or not value.isprintable():
        raise InvalidValue(field, f"1 to {NAME_LENGTH} printable characters")
    return value


def _given_names(claims: Mapping[str, object]) -> tuple[str, ...]:
    names = claims.get("given_name_array")
    if names is None:
        whole = claims.get("given_name") or ""
        names = whole.split() if isinstance(whole, str) else None
    if not isinstance(names, list) or len(names) > GIVEN_NAMES:
        raise InvalidValue("given_name_array", f"at most {GIVEN_NAMES} names")
    return tuple(_name(name, "given_name_array") for name in names)


def _birthdate(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _BIRTHDATE.match(value):
        raise InvalidValue("birthdate", "YYYY-MM-DD, with 00 for an unknown month or day")
    return value
