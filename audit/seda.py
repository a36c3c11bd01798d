"""The manifest of a transfer to an archives service: SEDA 2.3, message ``ArchiveTransfer``. Pure.

Written as lines, one after the other, so that memory does not grow with the archive; read back by whoever verifies it.
Each file is its own group of objects under its own unit, which is what the archives systems in use take (VITAM: one
group a unit, usage ``BinaryMaster``); the units stand under entries, proofs, details, and keys with instructions.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from html import escape
from typing import Literal, TypeAlias

NAMESPACE = "fr:gouv:culture:archivesdefrance:seda:v2.3"
MANIFEST = "manifest.xml"
CONTENT = "content/"
"""The one folder beside the manifest."""
DIGEST = "SHA-512"

FinalAction: TypeAlias = Literal["Keep", "Destroy"]
Unit: TypeAlias = Literal["entries", "proofs", "details", "keys"]

_TOKEN = re.compile(r"[!-~]{1,200}", re.ASCII)
_SIREN, _SIRET = 9, 14

# Lists of codes are agreed between services; SEDA names them and leaves their versions to the agreement.
_CODE_LISTS = (
    "ReplyCodeListVersion",
    "MessageDigestAlgorithmCodeListVersion",
    "MimeTypeCodeListVersion",
    "FileFormatCodeListVersion",
    "DataObjectVersionCodeListVersion",
    "AppraisalRuleCodeListVersion",
    "AccessRuleCodeListVersion",
)
_TITLES: dict[Unit, tuple[str, str]] = {
    "entries": ("Entrées du journal", "Entries of the log"),
    "proofs": ("Preuves : arbre de hachage et têtes signées", "Proofs: tree of hashes and signed checkpoints"),
    "details": ("Détails scellés des entrées", "Sealed details of the entries"),
    "keys": ("Clé publique, mode d'emploi et vérificateur", "Public key, instructions and verifier"),
}


class SedaInvalid(ValueError):
    """What the manifest of a transfer cannot say, or not such a manifest; the message says why."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file of the package: ``path`` below ``content/``, size in bytes, SHA-512 in hexadecimal."""

    path: str
    size: int
    sha512: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed with the archives service: who is who, and the rules of its reference lists.

    Raises :class:`SedaInvalid` when an identifier is not 1 to 200 visible ASCII characters.
    """

    archival_agency: str
    transferring_agency: str
    originating_agency: str
    archival_agreement: str | None = None
    appraisal_rule: str | None = None
    final_action: FinalAction = "Keep"
    """What happens at the end of ``appraisal_rule``."""
    access_rule: str | None = None
    details_rule: str | None = None
    """The rule at whose end the archives service destroys sealed details."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not _TOKEN.fullmatch(value):
                raise SedaInvalid(f"{name}: 1 to 200 visible ASCII characters")


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer: a period of a log.

    ``period``: as it was asked for; ``starts`` and ``ends``: its first and last day; ``first`` and ``last``: indexes of
    entries; ``size``: entries of the checkpoint that proves them; ``made_at``: Unix seconds.
    """

    agreement: Agreement
    origin: str
    period: str
    starts: date
    ends: date
    first: int
    last: int
    size: int
    details: bool
    made_at: float

    @property
    def identifier(self) -> str:
        """The message's identifier, another for each transfer."""
        return f"{self.origin}:{self.period}:{datetime.fromtimestamp(self.made_at, UTC):%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True, slots=True)
class Archived:
    """A transfer that was made: entries ``first`` to ``last``, proven by the checkpoint of ``size`` entries."""

    period: str
    first: int
    last: int
    size: int
    details: bool
    files: int
    """The manifest not among them."""
    manifest_sha256: str


def unit_of(path: str) -> Unit:
    """The unit under which a file of the package stands."""
    if path.startswith("tile/entries/"):
        return "entries"
    if path.startswith("details/") or path == "erased.jsonl":
        return "details"
    if path.startswith(("tile/", "checkpoint")):
        return "proofs"
    return "keys"


def manifest_lines(transfer: Transfer, files: Sequence[PackagedFile]) -> Iterator[str]:
    """The manifest, line by line with their ends. The same arguments give the same lines."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    for line in _element("ArchiveTransfer", _message(transfer, files), xmlns=NAMESPACE):
        yield f"{line}\n"


def _message(transfer: Transfer, files: Sequence[PackagedFile]) -> Iterator[str]:
    agreement = transfer.agreement
    yield from _both("Comment", *_told(transfer))
    yield _leaf("Date", f"{datetime.fromtimestamp(transfer.made_at, UTC):%Y-%m-%dT%H:%M:%SZ}")
    yield _leaf("MessageIdentifier", transfer.identifier)
    if agreement.archival_agreement:
        yield _leaf("ArchivalAgreement", agreement.archival_agreement)
    yield from _element("CodeListVersions", (_leaf(name, f"{name}0") for name in _CODE_LISTS))
    yield from _element("DataObjectPackage", _package(transfer, files))
    yield from _element("ArchivalAgency", [_agency(agreement.archival_agency)])
    yield from _element("TransferringAgency", [_agency(agreement.transferring_agency)])


def _package(transfer: Transfer, files: Sequence[PackagedFile]) -> Iterator[str]:
    for number, file in enumerate(files, 1):
        yield from _element("DataObjectGroup", _object(number, file), id=f"GROUP{number}")
    unit = _element("ArchiveUnit", _root_unit(transfer, files), id="UNIT0")
    yield from _element("DescriptiveMetadata", unit)
    yield from _element("ManagementMetadata", _management(transfer))


def _object(number: int, file: PackagedFile) -> Iterator[str]:
    yield from _element("BinaryDataObject", _technical(file), id=f"OBJECT{number}")


def _technical(file: PackagedFile) -> Iterator[str]:
    yield _leaf("DataObjectVersion", "BinaryMaster")
    yield _leaf("Uri", CONTENT + file.path)
    yield _leaf("MessageDigest", file.sha512, algorithm=DIGEST)
    if file.size:
        # A size is positive in SEDA: that of an empty file is left out.
        yield _leaf("Size", str(file.size))
    yield from _element("FormatIdentification", _format(file.path))
    yield from _element("FileInfo", [_leaf("Filename", file.path.rpartition("/")[2])])


def _format(path: str) -> Iterator[str]:
    """The name of a file's format, its media type, and its PRONOM identifier where it has one."""
    if path.endswith(".pyz"):
        names = ("ZIP Format", "application/zip", "x-fmt/263")
    elif path.endswith(".md"):
        names = ("Markdown", "text/markdown", "fmt/1149")
    elif path.startswith("tile/entries/"):
        names = ("C2SP tlog-tiles entry bundle", "application/octet-stream", "")
    elif path.startswith("tile/"):
        names = ("C2SP tlog-tiles tile", "application/octet-stream", "")
    elif path.startswith("details/") or path.endswith(".jsonl"):
        names = ("JSON Lines", "application/jsonl", "")
    else:
        names = ("Plain Text File", "text/plain", "x-fmt/111")
    for name, value in zip(("FormatLitteral", "MimeType", "FormatId"), names, strict=True):
        if value:
            yield _leaf(name, value)


def _root_unit(transfer: Transfer, files: Sequence[PackagedFile]) -> Iterator[str]:
    yield from _element("Content", _root_content(transfer))
    for at, unit in enumerate(_TITLES, 1):
        numbered = [(number, file.path) for number, file in enumerate(files, 1) if unit_of(file.path) == unit]
        if numbered:
            yield from _element("ArchiveUnit", _sub_unit(transfer, unit, numbered), id=f"UNIT{at}")


def _root_content(transfer: Transfer) -> Iterator[str]:
    yield _leaf("DescriptionLevel", "RecordGrp")
    subject = f"{transfer.origin}, {transfer.period}"
    yield from _both("Title", f"Journal d'audit {subject}", f"Audit log {subject}")
    yield _leaf("OriginatingAgencyArchiveUnitIdentifier", f"{transfer.origin}:{transfer.first}-{transfer.last}")
    yield from _both("Description", *_told(transfer))
    yield from _element("OriginatingAgency", [_agency(transfer.agreement.originating_agency)])
    yield from _element("SubmissionAgency", [_agency(transfer.agreement.transferring_agency)])
    yield _leaf("StartDate", transfer.starts.isoformat())
    yield _leaf("EndDate", transfer.ends.isoformat())


def _sub_unit(transfer: Transfer, unit: Unit, numbered: Iterable[tuple[int, str]]) -> Iterator[str]:
    if unit == "details" and transfer.agreement.details_rule:
        # Personal data: destroyed at its own rule's end, whatever becomes of the rest.
        rule = _appraisal(transfer, transfer.agreement.details_rule, "Destroy", alone=True)
        yield from _element("Management", rule)
    yield from _element("Content", [_leaf("DescriptionLevel", "File"), *_both("Title", *_TITLES[unit])])
    for number, path in numbered:
        yield from _element("ArchiveUnit", _item(number, path), id=f"ITEM{number}")


def _item(number: int, path: str) -> Iterator[str]:
    yield from _element("Content", [_leaf("DescriptionLevel", "Item"), _leaf("Title", path)])
    yield from _element("DataObjectReference", [_leaf("DataObjectGroupReferenceId", f"GROUP{number}")])


def _management(transfer: Transfer) -> Iterator[str]:
    agreement = transfer.agreement
    yield _leaf("AcquisitionInformation", "Versement")
    yield _leaf("LegalStatus", "Public Archive")
    yield _leaf("OriginatingAgencyIdentifier", agreement.originating_agency)
    yield _leaf("SubmissionAgencyIdentifier", agreement.transferring_agency)
    if agreement.appraisal_rule:
        yield from _appraisal(transfer, agreement.appraisal_rule, agreement.final_action)
    if agreement.access_rule:
        yield from _element("AccessRule", _rule(transfer, agreement.access_rule))


def _appraisal(transfer: Transfer, rule: str, final_action: FinalAction, *, alone: bool = False) -> Iterator[str]:
    """``alone``: the rules of the units above are not inherited."""
    alone_line = [_leaf("PreventInheritance", "true")] if alone else []
    lines = [*_rule(transfer, rule), *alone_line, _leaf("FinalAction", final_action)]
    yield from _element("AppraisalRule", lines)


def _rule(transfer: Transfer, rule: str) -> list[str]:
    return [_leaf("Rule", rule), _leaf("StartDate", transfer.ends.isoformat())]


def _told(transfer: Transfer) -> tuple[str, str]:
    """What the transfer is, in French and in English."""
    first, last, size = transfer.first, transfer.last, transfer.size
    fr = (
        f"Entrées {first} à {last} du journal {transfer.origin}, pour la période {transfer.period} (UTC), "
        f"prouvées par la tête signée à {size} entrées. "
    )
    en = (
        f"Entries {first} to {last} of the log {transfer.origin}, for the period {transfer.period} (UTC), "
        f"proven by the checkpoint signed at {size} entries. "
    )
    if transfer.details:
        return (
            fr + "Les détails scellés encore conservés (données à caractère personnel pseudonymisées) sont versés.",
            en + "The sealed details still kept (pseudonymised personal data) are included.",
        )
    return (
        fr + "Les détails scellés ne sont pas versés ; leur empreinte reste dans chaque entrée.",
        en + "The sealed details are not included; their hash stays in each entry.",
    )


def _agency(identifier: str) -> str:
    scheme = {_SIREN: "SIREN", _SIRET: "SIRET"}.get(len(identifier)) if identifier.isdigit() else None
    return _leaf("Identifier", identifier, **({"schemeName": scheme} if scheme else {}))


def _both(name: str, fr: str, en: str) -> list[str]:
    return [_leaf(name, fr, **{"xml:lang": "fr"}), _leaf(name, en, **{"xml:lang": "en"})]


def _leaf(name: str, text: str, **attributes: str) -> str:
    return f"<{name}{_written(attributes)}>{escape(text, quote=False)}</{name}>"


def _element(name: str, lines: Iterable[str], **attributes: str) -> Iterator[str]:
    yield f"<{name}{_written(attributes)}>"
    for line in lines:
        yield f"  {line}"
    yield f"</{name}>"


def _written(attributes: dict[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
