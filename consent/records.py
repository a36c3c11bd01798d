"""The consent record: ISO/IEC TS 27560:2023 in the Data Privacy Vocabulary, as JSON-LD. Pure.

It says who agreed to what, towards whom, why, on which legal basis, for how long, in answer to which exact text, and
what became of it. Section numbers in comments are the specification's. Terms: https://w3id.org/dpv, version 2.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from consent.model import DatasetNotice, Detail, Grant
from consent.pages.derived import in_words
from consent.ports import Catalogue, Permit, Refusal, Registry
from openapi.pages.language import LANGUAGES
from openapi.problem import Language
from openapi.rules import Rule

Json: TypeAlias = dict[str, object]

CONTEXT: Json = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "accord": "urn:accord:",
}
SCHEMA_VERSION = "ISO/IEC TS 27560:2023"
LEGAL_BASES: Mapping[str, str] = {
    "consent": "eu-gdpr:A6-1-a",
    "legal_obligation": "eu-gdpr:A6-1-c",
    "public_task": "eu-gdpr:A6-1-e",
}
"""Legal bases of a habilitation as articles of the GDPR."""

_RIGHTS = ("eu-gdpr:A7-3", "eu-gdpr:A15", "eu-gdpr:A16", "eu-gdpr:A17", "eu-gdpr:A18", "eu-gdpr:A77")


@dataclass(frozen=True, slots=True)
class KeptNotice:
    """The exact text that was shown. ``sha256``: of the text in UTF-8, hexadecimal."""

    sha256: str
    language: Language
    content: str


@dataclass(frozen=True, slots=True)
class RecordWriter:
    """Writes records under one deployment's address, with the names its registry and catalogue know."""

    issuer: str
    catalogue: Catalogue
    registry: Registry

    def write(self, grant: Grant, *, subject: str, notice: KeptNotice | None, now: int) -> Json:
        """The record of one grant as of ``now`` (Unix seconds). ``subject``: the pairwise subject, never an identity.

        ``notice`` is ``None`` for a grant given before texts were kept; its hash stands all the same.
        """
        record: Json = {
            "@context": CONTEXT,
            "@id": f"{self.issuer}/mes-autorisations/{grant.grant_id}",
            "@type": "dpv:ConsentRecord",
            # 6.3 Record header
            "dct:conformsTo": SCHEMA_VERSION,
            "dct:identifier": grant.grant_id,
            "dct:created": _moment(grant.given_at),
            "dpv:hasDataSubject": {"@id": f"accord:subject:{subject}", "@type": "dpv:DataSubject"},
            # 6.4 Processing
            "dpv:hasNotice": self._notice(grant, notice),
            "dpv:hasProcess": [self._process(grant, detail, now) for detail in grant.details],
            "dpv:hasJurisdiction": {"@id": "loc:FR"},
            "dpv:hasRight": [{"@id": right} for right in _RIGHTS],
            # 6.5 Parties
            "dpv:hasDataController": self._organisation(grant),
            # 6.6 Events, oldest first
            "dpv:hasConsentStatus": list(_events(grant, now)),
        }
        if grant.supersedes is not None:
            record["dct:replaces"] = {"@id": f"{self.issuer}/mes-autorisations/{grant.supersedes}"}
        return record

    def _process(self, grant: Grant, detail: Detail, now: int) -> Json:
        dataset = self.catalogue.notice(detail.dataset)
        process: Json = {
            "@id": f"accord:{detail.dataset}",
            "@type": "dpv:Process",
            "dpv:hasPurpose": self._purpose(grant, detail, now),
            "dpv:hasLegalBasis": [{"@id": LEGAL_BASES.get(one, one)} for one in grant.legal_basis.split(",")],
            "dpv:hasProcessing": [{"@id": "dpv:Obtain"}, {"@id": "dpv:Disclose"}, {"@id": "dpv:Use"}],
            "dpv:hasPersonalData": [
                {
                    "@id": f"accord:{detail.dataset}:{field}",
                    "@type": "dpv:PersonalData",
                    "dct:title": _words(dataset.fields[field].label if dataset and field in dataset.fields else {}),
                }
                for field in detail.fields
            ]
            + [_derived(detail, rule, dataset) for rule in detail.rules],
            "dpv:hasDataSource": {"@type": "dpv:DataSource", "dct:title": _words(dataset.holder if dataset else {})},
            "dpv:hasRecipient": self._organisation(grant),
            "dpv:hasFrequency": {"@id": "dpv:SingularFrequency" if detail.access == "once" else "dpv:OftenFrequency"},
        }
        if detail.max_per_day is not None:
            process["accord:max_per_day"] = detail.max_per_day
        if detail.retention is not None:
            process["dpv:hasStorageCondition"] = {
                "@type": "dpv:StorageDuration",
                "dpv:hasDuration": {"@type": "xsd:duration", "@value": detail.retention},
            }
        return process

    def _purpose(self, grant: Grant, detail: Detail, now: int) -> Json:
        client = self.registry.client(grant.client_id)
        decided = self.registry.decide(client, detail, now=now) if client is not None else Refusal("client_unknown", {})
        words = decided.purpose if isinstance(decided, Permit) else {}
        return {"@id": f"accord:purpose:{detail.purpose}", "@type": "dpv:Purpose", "dct:title": _words(words)}

    def _organisation(self, grant: Grant) -> Json:
        return {
            "@id": f"urn:siret:{grant.recipient}",
            "@type": ["dpv:PublicAuthority", "dpv:DataController"],
            "dpv:hasName": self.registry.organisation_name(grant.recipient) or grant.recipient,
            "dpv:hasIdentifier": grant.recipient,
        }

    def _notice(self, grant: Grant, notice: KeptNotice | None) -> Json:
        shown: Json = {"@type": "dpv:ConsentNotice", "accord:sha256": grant.notice_sha256}
        if notice is not None:
            shown |= {"dct:language": notice.language, "dct:description": notice.content}
        return shown


def _derived(detail: Detail, rule: Rule, dataset: DatasetNotice | None) -> Json:
    """An answer worked out from a field that is not disclosed itself."""
    field = dataset.fields.get(rule.field) if dataset else None
    return {
        "@id": f"accord:{detail.dataset}:{rule.name}",
        "@type": "dpv:DerivedPersonalData",
        "dct:title": _words({language: in_words(rule, field, language) for language in LANGUAGES}),
        "dct:source": {"@id": f"accord:{detail.dataset}:{rule.field}"},
        "accord:rule": rule.text,
    }


def _events(grant: Grant, now: int) -> Iterator[Json]:
    """What the citizen, or time, decided: given, then how it stands."""
    yield _event("dpv:ConsentGiven", grant.given_at, by="dpv:DataSubject") | {
        "dpv:hasExpiry": _moment(grant.expires_at),
        "dpv:hasIndicationMethod": {"@id": "dpv:ExplicitlyExpressedConsent"},
        "accord:acr": grant.acr,
    }
    if grant.status == "withdrawn" and grant.ended_at is not None:
        yield _event("dpv:ConsentWithdrawn", grant.ended_at, by="dpv:DataSubject")
    elif grant.expires_at <= now:
        yield _event("dpv:ConsentExpired", grant.expires_at, by="dpv:DataController")


def _event(kind: str, at: int, *, by: str) -> Json:
    return {"@type": kind, "dpv:isIndicatedAtTime": _moment(at), "dpv:isIndicatedBy": {"@id": by}}


def _moment(at: int) -> Json:
    return {"@type": "xsd:dateTime", "@value": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")}


def _words(words: Mapping[str, str]) -> Sequence[Json]:
    return [{"@language": language, "@value": text} for language, text in sorted(words.items())]
