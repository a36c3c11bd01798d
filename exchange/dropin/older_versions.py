"""Versions of the State's answers that applications still read, made from those of today. Pure.

What a newer version has more stays out; what it calls otherwise gets its old name back. Nothing is made up: a key
whose new counterpart may not leave is not there. A version whose answer means something else is not offered: version 4
of ``etudiant_boursier`` tells who was struck off, of whom version 3 says nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Data: TypeAlias = Mapping[str, object]

_NAF = "activite_principale"
_NAF_REV2 = "activite_principale_naf_rev2"


@dataclass(frozen=True, slots=True)
class Reading:
    """How one version is read: the fields that it needs, and its data from today's."""

    needs: Callable[[str], bool]
    """Whether a field of the dataset has a place in it."""
    read: Callable[[Data], Data]


def _sirene(data: Data) -> Data:
    """Version 4 says the activity in the nomenclature of 2025 and, apart, in that of before; version 3 the old one."""
    read: dict[str, object] = {**data}
    if _NAF_REV2 in read:
        read[_NAF] = read.pop(_NAF_REV2)
    company = read.get("unite_legale")
    return {**read, "unite_legale": _sirene(company)} if isinstance(company, dict) else read


def _is_in_sirene_3(name: str) -> bool:
    return _NAF not in name.split(".")


def _document(data: Data) -> Data:
    """Version 3 of a document is its address, and for how many seconds."""
    read = {"document_url": "document_url", "document_url_expires_in": "expires_in"}
    return {old: data[new] for new, old in read.items() if new in data}


def _is_in_document_3(name: str) -> bool:
    return name in {"document_url", "document_url_expires_in"}


def _is_in_scolarites_4(name: str) -> bool:
    return name.partition(".")[0] != "regime_pensionnat"


_SIRENE_3 = Reading(_is_in_sirene_3, _sirene)
_DOCUMENT_3 = Reading(_is_in_document_3, _document)
_SCOLARITES_4 = Reading(_is_in_scolarites_4, lambda data: data)
OLDER: Mapping[tuple[str, int], Reading] = {
    ("etablissement", 3): _SIRENE_3,
    ("unite_legale", 3): _SIRENE_3,
    ("attestation_fiscale", 3): _DOCUMENT_3,
    ("attestation_vigilance", 3): _DOCUMENT_3,
    ("certification_batiment", 3): _DOCUMENT_3,
    ("scolarites", 3): _SCOLARITES_4,
    ("scolarites", 4): _SCOLARITES_4,
}
"""By dataset and version; any other version than the manifest's is not offered."""
CURRENT = Reading(lambda _name: True, lambda data: data)
"""The manifest's own version."""
