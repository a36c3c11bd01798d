"""Who the citizen is, as the parameters of API Particulier's ``/identite`` paths say it. Pure; raises nothing.

Which parts of an identity a path takes is its manifest's matter. What is checked of each follows the State's own
validators: the CNAV's search (``/v3/dss/``) takes people without given names or date of birth, the others do not.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias, cast

from exchange.dropin.call import Call
from exchange.dropin.errors import Fault
from openapi.fields import FRANCE, GIVEN_NAMES, NAME_LENGTH, CogCode, Gender, PivotIdentity
from providers.adapters.api_particulier import PARAMETERS
from providers.model import IdentityPart, Manifest

NARROWING = frozenset(
    {
        "annee",
        "mois",
        "anneeScolaire",
        "campaignYear",
        "codeEtablissement",
        "codesBcnDepartements[]",
        "codesBcnRegions[]",
        "degreEtablissement",
        "identifiant",
        "immatriculation",
        "ine",
    }
)
"""Parameters of this API that change what is asked. One that a path does not take is refused, as passing it over would
answer another question; anything else that is unknown is passed over, as the State's API does."""

_LENIENT = "/v3/dss/"
_NAME = re.compile(rf"[a-zA-ZÀ-ÖØ-öø-ÿ' -]{{1,{NAME_LENGTH}}}")
_COUNTRY = re.compile(r"99[0-9]{3}|92352")
_COMMUNE = re.compile(r"(?:[013-9][0-9]|2[AB1-9])[0-9]{3}")
_COMMUNE_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_DEPARTMENT = re.compile(r"[0-9]{2,3}|2[AB]")
_NUMBER = re.compile(r"[0-9]{1,4}")
_SEXES: Mapping[str, Gender] = {"F": "female", "M": "male"}
_EARLIEST = date(1900, 1, 1)
_UNTOLD = cast("Gender", "")
"""For a path that is not told the sex: no adapter sends a part that its manifest does not name."""

Parts: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Told:
    """What the parameters say. ``parameters``: those besides the identity, for the holder. ``repr`` shows nothing."""

    identity: PivotIdentity | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def __repr__(self) -> str:
        return "Told(...)"


def read_told(call: Call, manifest: Manifest, *, today: date) -> Told:
    """The identity and the manifest's own parameters, or every fault."""
    reading = _Reading(call, is_lenient=manifest.path.startswith(_LENIENT), today=today)
    for part in manifest.identity:
        _READERS[part](reading)
    own = read_parameters(call, manifest)
    faults = (*reading.faults, *own.faults)
    if faults:
        return Told(faults=faults)
    parts: Parts = {"family_name": "", "gender": _UNTOLD, "birthcountry": FRANCE, **reading.parts}
    return Told(PivotIdentity(**parts), {**reading.besides, **own.parameters})  # type: ignore[arg-type]  # each reader wrote its own


def read_parameters(call: Call, manifest: Manifest, *, identifier: str | None = None) -> Told:
    """The manifest's own parameters, and the ``identifier`` of hers that the path asks by.

    Lists are joined by commas, as adapters take them.
    """
    faults, given = [], {}
    taken = {**manifest.parameters}
    if identifier is not None and identifier in manifest.identifiers:
        taken[identifier] = manifest.identifiers[identifier].parameter
    for name, one in taken.items():
        value = ",".join(call.parameters.get(name, ())) if name.endswith("[]") else call.one(name)
        if not value:
            faults += [Fault(name, is_missing=True)] if one.required else []
        elif one.pattern.fullmatch(value):
            given[name] = value
        else:
            faults.append(Fault(name))
    faults += [Fault(name) for name in sorted(NARROWING - taken.keys()) if call.one(name)]
    return Told(parameters=given, faults=tuple(faults))


def differences(told: PivotIdentity, citizen: PivotIdentity, manifest: Manifest) -> tuple[str, ...]:
    """The parameters by which ``told`` is not the ``citizen`` who agreed; what is not told differs from nothing.

    Names are compared without case, accents, hyphens or apostrophes; given names from the first on.
    """
    compared = {
        "family_name": _words(told.family_name) == _words(citizen.family_name),
        "given_names": _begins(_words(" ".join(citizen.given_names)), _words(" ".join(told.given_names))),
        "birthdate": _same_date(told.birthdate, citizen.birthdate),
        "gender": told.gender == citizen.gender,
        "birthcountry": told.birthcountry == citizen.birthcountry,
        "birthplace": told.birthplace in (None, citizen.birthplace),
    }
    return tuple(PARAMETERS[part][0] for part in manifest.identity if not compared.get(part, True))


class _Reading:
    """One reading of one call: what was understood, and what was not."""

    def __init__(self, call: Call, *, is_lenient: bool, today: date) -> None:
        self.call = call
        self.is_lenient = is_lenient
        self.today = today
        self.parts: Parts = {}
        self.besides: dict[str, str] = {}
        self.faults: list[Fault] = []

    def fault(self, parameter: str) -> None:
        self.faults.append(Fault(parameter, is_missing=not self.is_lenient and not self.call.one(parameter)))


def _family_name(reading: _Reading) -> None:
    value = reading.call.one("nomNaissance").strip()
    reading.parts["family_name"] = value
    if not _NAME.fullmatch(value):
        reading.fault("nomNaissance")


def _preferred_username(reading: _Reading) -> None:
    value = reading.call.one("nomUsage").strip()
    reading.parts["preferred_username"] = value or None
    if value and not _NAME.fullmatch(value):
        reading.fault("nomUsage")


def _given_names(reading: _Reading) -> None:
    names = tuple(value.strip() for value in reading.call.parameters.get("prenoms[]", ()))
    reading.parts["given_names"] = names
    wanting = not names and not reading.is_lenient
    if wanting or len(names) > GIVEN_NAMES or not all(_NAME.fullmatch(name) for name in names):
        reading.fault("prenoms[]")


def _birthdate(reading: _Reading) -> None:
    values = []
    for name, least, most in (
        ("anneeDateNaissance", _EARLIEST.year, reading.today.year),
        ("moisDateNaissance", 1, 12),
        ("jourDateNaissance", 1, 31),
    ):
        text = reading.call.one(name)
        number = int(text) if _NUMBER.fullmatch(text) else 0
        if (text or not reading.is_lenient) and not least <= number <= most:
            reading.fault(name)
        values.append(number)
    year, month, day = values
    if year and month and day and not _is_past(year, month, day, reading.today):
        reading.fault("jourDateNaissance")
    # A month without its year, or a day without its month, says nothing.
    day = day if month else 0
    reading.parts["birthdate"] = f"{year:04}-{month:02}-{day:02}" if year else None


def _is_past(year: int, month: int, day: int, today: date) -> bool:
    try:
        return date(year, month, day) < today
    except ValueError:
        return False


def _gender(reading: _Reading) -> None:
    gender = _SEXES.get(reading.call.one("sexeEtatCivil").upper())
    reading.parts["gender"] = gender
    if gender is None:
        reading.fault("sexeEtatCivil")


def _birthcountry(reading: _Reading) -> None:
    value = reading.call.one("codeCogInseePaysNaissance")
    reading.parts["birthcountry"] = CogCode(value)
    if not _COUNTRY.fullmatch(value):
        reading.fault("codeCogInseePaysNaissance")


def _birthplace(reading: _Reading) -> None:
    code = reading.call.one("codeCogInseeCommuneNaissance")
    if code:
        reading.parts["birthplace"] = CogCode(code)
        if not _COMMUNE.fullmatch(code):
            reading.fault("codeCogInseeCommuneNaissance")
    elif reading.call.one("nomCommuneNaissance"):
        _birthplace_by_name(reading)
    elif reading.parts.get("birthcountry") == FRANCE:
        reading.fault("codeCogInseeCommuneNaissance")


def _birthplace_by_name(reading: _Reading) -> None:
    """A commune by its name, department and the year: the holder finds its code."""
    for name, pattern in (("nomCommuneNaissance", _COMMUNE_NAME), ("codeCogInseeDepartementNaissance", _DEPARTMENT)):
        value = reading.call.one(name)
        reading.besides[name] = value
        if not pattern.fullmatch(value):
            reading.fault(name)
    if not reading.call.one("anneeDateNaissance"):
        reading.fault("anneeDateNaissance")


_READERS: Mapping[IdentityPart, Callable[[_Reading], None]] = {
    "family_name": _family_name,
    "preferred_username": _preferred_username,
    "given_names": _given_names,
    "birthdate": _birthdate,
    "gender": _gender,
    "birthcountry": _birthcountry,
    "birthplace": _birthplace,
}


def _words(text: str) -> tuple[str, ...]:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return tuple(re.sub("[-'\N{RIGHT SINGLE QUOTATION MARK}]", " ", plain).casefold().split())


def _begins(whole: tuple[str, ...], start: tuple[str, ...]) -> bool:
    return whole[: len(start)] == start


def _same_date(told: str | None, known: str | None) -> bool:
    if told is None:
        return True
    if known is None:
        return False
    return all(int(one) in (0, int(other)) for one, other in _pairs(told, known))


def _pairs(told: str, known: str) -> Iterator[tuple[str, str]]:
    return zip(told.split("-"), known.split("-"), strict=True)
