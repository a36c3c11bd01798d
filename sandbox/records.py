"""What a holder knows of a family, dataset by dataset: a record in the form that a manifest announces. Pure.

What the family file states is the family's: who she is, the household, what it says under ``datasets``. The rest are
the manifest's own examples.
"""

import unicodedata
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from providers.model import Field, Manifest

_BY_TYPE: Mapping[str, object] = {"string": "exemple", "date": "2026-01-01", "integer": 1, "number": 1, "boolean": True}
_HERS = ("identite", "titulaire")
"""Objects of a record that are about the citizen herself."""
_LISTED = frozenset({("statut_etudiant", "admissions")})
"""Objects, by dataset, of which the holder lists as many as there are: a manifest crosses lists without a word."""


def record_of(manifest: Manifest, family: Any) -> dict[str, Any]:
    """The ``data`` of one dataset for a :class:`sandbox.api_particulier.Family`."""
    household = _mapping(_mapping(family.payload).get("data"))
    if {path.split(".")[0] for path in manifest.fields} <= household.keys():
        return dict(household)
    told = _mapping(family.datasets.get(manifest.dataset))
    record: dict[str, Any] = {}
    for path, field in manifest.fields.items():
        top, *below = path.split(".")
        if top in told:
            record[top] = told[top]
        elif below and top in household:
            record[top] = _completed(record.get(top, household[top]), below, field)
        else:
            _put(record, [top, *below], _value(path, field, family))
    for dataset, top in _LISTED:
        if dataset == manifest.dataset and isinstance(record.get(top), dict):
            record[top] = [record[top]]
    return record


def login_of(params: Mapping[str, Any]) -> str:
    """The name of her account at a holder that knows her by one: ``prenom.nom``."""
    names = [*[str(name) for name in params.get("prenoms", ())][:1], str(params["nomNaissance"])]
    bare = unicodedata.normalize("NFKD", ".".join(names).lower())
    return "".join(one for one in bare if one.isascii() and (one.isalnum() or one in ".-"))


def ine_of(params: Mapping[str, Any]) -> str:
    """A student's national number (INE), made up from who she is: nine digits and two letters."""
    number = int.from_bytes(sha256(login_of(params).encode()).digest()) % 10**9
    return f"{number:09}AB"


def _completed(value: Any, below: list[str], field: Field) -> Any:
    """The household's own object, or list of them, with a member that its file does not state."""
    if isinstance(value, list):
        return [_completed(one, below, field) for one in value]
    whole = dict(value)
    _put(whole, below, None if field.nullable else _stand_in(field), keep=True)
    return whole


def _put(record: dict[str, Any], path: list[str], value: Any, *, keep: bool = False) -> None:
    *parents, last = path
    node = record
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = node.get(last, value) if keep else value


def _value(path: str, field: Field, family: Any) -> Any:
    names = path.split(".")
    top, last = names[0], names[-1]
    hers = _identity(family.params)
    if (top in _HERS or path == "identifiant") and last in hers:
        known = hers[last]
        return known.split() if field.many and isinstance(known, str) else known
    return _stand_in(field)


def _stand_in(field: Field) -> Any:
    if field.example is not None:
        return field.example
    value = None if field.nullable else _BY_TYPE[field.type]
    return [value] if field.many else value


def _identity(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Under every name that a dataset gives it, as holders write it."""
    surname, given = str(params["nomNaissance"]).upper(), [str(name).upper() for name in params.get("prenoms", ())]
    is_woman = params["sexeEtatCivil"] == "F"
    return {
        "identifiant": login_of(params),
        "civilite": "MME" if is_woman else "M.",
        "nom": surname,
        "nom_naissance": surname,
        "nom_usage": str(params["nomUsage"]).upper() if params.get("nomUsage") else None,
        "prenom": "".join(given[:1]),
        "prenoms": " ".join(given),
        "sexe": params["sexeEtatCivil"],
        "date_naissance": _date(params),
    }


def _date(params: Mapping[str, Any]) -> str:
    parts = (params.get(name, 0) for name in ("anneeDateNaissance", "moisDateNaissance", "jourDateNaissance"))
    return "{:04}-{:02}-{:02}".format(*parts)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
