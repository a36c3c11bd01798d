"""Whether a record is about the citizen who agreed, where the holder was asked by another name for her. Pure.

An application that names an account of the holder (an 'identifiant') could name anybody's. Her identity, which
FranceConnect vouches for, is therefore held against the answer; what cannot be compared does not agree.
"""

import unicodedata
from collections.abc import Mapping

from openapi.fields import PivotIdentity
from providers.model import IdentityPart

_UNKNOWN = "00"


def confirms(fields: Mapping[IdentityPart, str], record: Mapping[str, object], identity: PivotIdentity) -> bool:
    """Whether each of ``fields``, a manifest's ``confirms``, agrees with the identity."""
    return all(_AGREES[part](_at(record, path), identity) for part, path in fields.items())


def _at(record: Mapping[str, object], path: str) -> str:
    value: object = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return value if isinstance(value, str) else ""


def _same_family_name(said: str, identity: PivotIdentity) -> bool:
    return _plain(said) == _plain(identity.family_name) != ""


def _same_given_name(said: str, identity: PivotIdentity) -> bool:
    """The first: holders cut it short, or write all of them."""
    known, told = _plain("".join(identity.given_names)), _plain(said)
    return bool(known and told) and (known.startswith(told) or told.startswith(known))


def _same_birthdate(said: str, identity: PivotIdentity) -> bool:
    """Day, month and year; one that FranceConnect does not know (``00``) is left aside, the year never."""
    known, told = (identity.birthdate or "").split("-"), said[:10].split("-")
    if len(known) != len(told) or known == [""]:
        return False
    return all(one in (other, _UNKNOWN) for one, other in zip(known, told, strict=True))


_AGREES = {"family_name": _same_family_name, "given_names": _same_given_name, "birthdate": _same_birthdate}


def _plain(text: str) -> str:
    """Letters alone, without case or accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", text).upper() if one.isalnum())
