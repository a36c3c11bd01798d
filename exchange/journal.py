"""Every event that is logged, in one place: read this file to know what the log holds.

Each function turns an event into an :class:`Append`. The skeleton is public to auditors; the detail is sealed and
erasable. Neither ever holds a name, a value, a token or a clear parameter.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlencode

from audit.model import Append, DetailValue, EntryValue
from audit.ports import Act
from audit.retention import Due, Rule, fingerprint
from audit.seda import Archived
from consent.model import Client, Detail
from consent.ports import ConsentEvent
from exchange.model import About, Asked, ConsentToken, Delegation, Ground, GroundKind, Habilitation, Permit
from openapi.problem import AccordError
from openapi.rules import Rule as DerivedRule
from openapi.rules import sources
from providers.errors import ProviderError

VERSION = 1
SINGLE_USE = "once:"
"""How the keys of single uses begin, before grant and dataset."""

_ENDS = ("grant.withdrawn", "grant.expired")


def consented(token: ConsentToken, permit: Permit, *, proof: str | None, now: float) -> Ground:
    """An access on a citizen's authorisation: only while the grant is open.

    A ``once`` grant, a use of the day and a DPoP proof (``proof``: the key that it spends) are spent by the same
    commit, so that a hundred simultaneous requests yield no more answers than they may.
    """
    detail, grant = permit.detail, f"grant:{token.grant_id}"
    once = f"{SINGLE_USE}{token.grant_id}:{detail.dataset}"
    slots = () if detail.max_per_day is None else _slots(token.grant_id, detail, now)
    outcomes = {grant: "grant_withdrawn", once: "grant_used_up"}
    if proof is not None:
        outcomes[proof] = "dpop_proof_replayed"
    if slots:
        outcomes[slots[0]] = "grant_quota_reached"
    public: dict[str, EntryValue] = {
        "client": token.client_id,
        "recipient": detail.recipient,
        "purpose": detail.purpose,
        "legal_basis": permit.habilitation.legal_basis,
    }
    sealed = {**_citizen(token), "habilitation": permit.habilitation.id, "access": detail.access}
    return Ground(
        About(public, sealed),
        spends=(*((proof,) if proof is not None else ()), *((once,) if detail.access == "once" else ())),
        requires=(grant,),
        one_of=slots,
        outcomes=outcomes,
        facts={"max_per_day": detail.max_per_day or 0},
    )


def recognised(asked: Asked, client: Client, token: ConsentToken | None) -> About:
    """What is known of a call through a drop-in door that is refused before it has a ground."""
    return About({"client": client.client_id}) if token is None else known_of(asked, token)


def granted(
    kind: GroundKind,
    client: Client,
    habilitation: Habilitation,
    *,
    delegation: Delegation | None,
    sealed: Mapping[str, DetailValue],
    spends: tuple[str, ...] = (),
) -> Ground:
    """An access on another ground than an authorisation given here, which the entry names (``rests_on``).

    ``delegate``: the organisation whose application asks for another. ``sealed``: about whom, if it is known, and why:
    an agent's keyed hash and her reason.
    """
    public: dict[str, EntryValue] = {
        "client": client.client_id,
        "recipient": habilitation.organisation,
        "purpose": ",".join(sorted(habilitation.purposes)),
        "legal_basis": habilitation.legal_basis,
        "rests_on": kind,
    }
    if delegation is not None:
        public["delegate"] = delegation.delegate
        sealed = {**sealed, "delegation": delegation.id}
    return Ground(
        About(public, {**sealed, "habilitation": habilitation.id}),
        spends=spends,
        outcomes=dict.fromkeys(spends, "dpop_proof_replayed"),
    )


def known_of(asked: Asked, token: ConsentToken | None) -> About:
    """What a verified token tells of an exchange that is refused before it has a ground."""
    if token is None:
        return About()
    public: dict[str, EntryValue] = {"client": token.client_id}
    if (detail := token.details.get(asked.dataset)) is not None:
        public["recipient"] = detail.recipient
        public["purpose"] = detail.purpose
    return About(public, _citizen(token))


def access(
    asked: Asked,
    ground: Ground,
    fields: Sequence[str],
    *,
    provider: str,
    now: float,
    began: float,
    rules: Sequence[DerivedRule] = (),
    cached: bool = False,
) -> Append:
    """Data is about to leave: durable first.

    ``fields`` of the entry names the fields that rules were about too, so that one search finds every use of a field.
    Which of them did not leave themselves is told by ``rules``: no field is both asked for and derived from.
    """
    skeleton: dict[str, EntryValue] = {
        "v": VERSION,
        "kind": "access",
        "time": rfc3339(now),
        "request_id": asked.request_id,
        "dataset": asked.dataset,
        "fields": list(fields),
        **ground.about.public,
        "provider": provider,
        "outcome": "ok",
    }
    if rules:
        skeleton["fields"] = [*fields, *sources(rules)]
        skeleton["rules"] = [rule.text for rule in rules]
    sealed = {**ground.about.sealed, "duration_ms": _elapsed(now, began)}
    if cached:
        # The holder was not asked: it has no trace of this access.
        sealed["cached"] = True
    return Append(
        skeleton,
        sealed,
        spends=ground.spends,
        requires=ground.requires,
        one_of=ground.one_of,
        outcomes=ground.outcomes,
    )


def refusal(asked: Asked, about: About, error: AccordError, *, now: float, began: float) -> Append:
    """No data leaves: a ``refusal`` is ours, a ``failure`` a holder's or a defect of ours.

    An unknown dataset or field is not repeated: only names of the catalogue reach the log.
    """
    failed = isinstance(error, ProviderError) or error.slug == "internal_error"
    skeleton: dict[str, EntryValue] = {
        "v": VERSION,
        "kind": "failure" if failed else "refusal",
        "time": rfc3339(now),
        "request_id": asked.request_id,
        **about.public,
        "outcome": error.slug,
    }
    if asked.dataset:
        skeleton["dataset"] = asked.dataset
    if asked.fields:
        skeleton["fields"] = list(asked.fields)
    if isinstance(error, ProviderError):
        skeleton["provider"] = error.provider
    return Append(skeleton, {**about.sealed, "duration_ms": _elapsed(now, began)})


def consent_event(event: ConsentEvent, *, request_id: str, now: float) -> Append:
    """A grant was given, refused, or changed. Its end closes it for every gateway at once."""
    datasets = sorted({detail.dataset for detail in event.details})
    skeleton: dict[str, EntryValue] = {
        "v": VERSION,
        "kind": event.kind,
        "time": rfc3339(now),
        "request_id": request_id,
        "dataset": ",".join(datasets),
        "fields": sorted({field for detail in event.details for field in (*detail.fields, *sources(detail.rules))}),
        "recipient": event.recipient,
        "client": event.client_id,
        "purpose": ",".join(sorted({detail.purpose for detail in event.details})),
        "legal_basis": event.legal_basis,
        "outcome": "ok",
    }
    if rules := sorted({rule.text for detail in event.details for rule in detail.rules}):
        skeleton["rules"] = list(rules)
    sealed: dict[str, DetailValue] = {"citizen": event.citizen, "grant_id": event.grant_id, "acr": event.acr}
    closes = (f"grant:{event.grant_id}",) if event.kind in _ENDS else ()
    return Append(skeleton, sealed, closes=closes)


def keys_rotated(
    made: Mapping[str, str], dropped: Mapping[str, Sequence[str]], *, request_id: str, now: float
) -> Append:
    """Keys are about to be replaced: by their use, ``kid`` of the new one and of those that verify nothing any more."""
    skeleton: dict[str, EntryValue] = {
        "v": VERSION,
        "kind": "keys.rotated",
        "time": rfc3339(now),
        "request_id": request_id,
        "outcome": "ok",
    }
    for use, kid in made.items():
        skeleton[f"{use}_made"] = kid
        skeleton[f"{use}_dropped"] = list(dropped[use])
    return Append(skeleton)


def retention_applied(
    rule: Rule, erased: Sequence[Due], *, releases: Sequence[str], request_id: str, now: float
) -> Append:
    """Details reached the end of their retention: they go with this entry, which says which and by what rule.

    Entries that name no dataset have an empty one here.
    """
    indexes = sorted(due.index for due in erased)
    skeleton: dict[str, EntryValue] = {
        "v": VERSION,
        "kind": "retention.applied",
        "time": rfc3339(now),
        "request_id": request_id,
        "dataset": rule.dataset,
        "before": rule.cut_off,
        "retention": rule.duration,
        "erased": len(indexes),
        "first": indexes[0],
        "last": indexes[-1],
        "erased_sha256": fingerprint(indexes),
        "outcome": "ok",
    }
    forgets = tuple(lookup for due in erased for lookup in due.lookups)
    return Append(skeleton, erases=tuple(indexes), forgets=forgets, releases=tuple(releases))


def released_keys(due: Due, *, grant_is_over: bool) -> list[str]:
    """The keys that nothing can need once this entry is erased.

    A DPoP proof's and a day's are of a time that no token reaches back to. That of a single use, and the grant's own,
    are needed as long as tokens may be made from the grant; the entry of its end takes both. Until then that of a
    single use stays spent, untied from its entry (:func:`audit.retention.untie`).
    """
    spent = str(due.detail.get("spent", "")).split()
    keys = [key for key in spent if grant_is_over or not key.startswith(SINGLE_USE)]
    if grant_is_over and due.skeleton.get("kind") in _ENDS:
        grant_id = due.detail.get("grant_id")
        datasets = str(due.skeleton.get("dataset", "")).split(",")
        keys += [f"grant:{grant_id}", *(f"{SINGLE_USE}{grant_id}:{dataset}" for dataset in datasets)]
    return keys


def audit_query(act: Act, *, request_id: str, now: float) -> Append:
    """Somebody reads the log: who, what she does, what she asks for. Whom she looks up is sealed."""
    reader, asked = act.reader, act.asked
    skeleton: dict[str, EntryValue] = {
        "v": VERSION,
        "kind": "audit.query",
        "time": rfc3339(now),
        "request_id": request_id,
        "outcome": "ok",
        "act": act.act,
        "reader": reader.subject,
        "role": reader.role,
    }
    for name, fact in act.facts.items():
        skeleton[name] = list(fact) if isinstance(fact, tuple) else fact
    said = {"filter": urlencode(asked.public), "ground": asked.ground, "case": asked.case}
    skeleton.update({name: value for name, value in said.items() if value})
    if reader.organisation is not None:
        skeleton["recipient"] = reader.organisation
    sealed: dict[str, DetailValue] = {"citizen": asked.citizen, "grant_id": asked.grant}
    return Append(skeleton, {name: value for name, value in sealed.items() if value})


def archive_made(archived: Archived, *, request_id: str, now: float) -> Append:
    """A period of the log was written as a transfer to an archives service; its manifest is known by its hash."""
    return Append(
        {
            "v": VERSION,
            "kind": "archive.made",
            "time": rfc3339(now),
            "request_id": request_id,
            "period": archived.period,
            "first": archived.first,
            "last": archived.last,
            "size": archived.size,
            "details": archived.details,
            "files": archived.files,
            "manifest_sha256": archived.manifest_sha256,
            "outcome": "ok",
        }
    )


def rfc3339(now: float) -> str:
    """UTC with milliseconds (RFC 3339), of a time to the microsecond."""
    seconds, microseconds = divmod(round(now * 1_000_000), 1_000_000)
    return f"{_to_the_second(seconds)}.{microseconds // 1000:03d}Z"


@lru_cache(maxsize=16)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def _slots(grant_id: str, detail: Detail, now: float) -> tuple[str, ...]:
    """One key for each use that a day (UTC) allows."""
    day = f"day:{grant_id}:{detail.dataset}:{rfc3339(now)[:10]}"
    return tuple(f"{day}:{slot}" for slot in range(detail.max_per_day or 0))


def _citizen(token: ConsentToken) -> dict[str, DetailValue]:
    return {"citizen": token.citizen, "grant_id": token.grant_id, "acr": token.acr}


def _elapsed(now: float, began: float) -> int:
    return max(0, round((now - began) * 1000))
