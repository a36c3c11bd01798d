"""What fills consent's ports: the manifests, the registry in memory, the log. Thin: no decision is taken here."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from uuid import uuid4

from audit.history import History
from audit.log import Log
from audit.model import LogError
from audit.query import AccessRecord, Queries, Wanted
from consent.model import Client, DatasetNotice, Detail, FieldNotice
from consent.ports import AccessPage, AccessView, ConsentEvent, Export, Permit, ProofFile, Refusal
from exchange import journal
from exchange.feed import Feed
from exchange.model import Refusal as PolicyRefusal
from exchange.policy import habilitation_for
from openapi.fields import Siret
from openapi.problem import AccordError
from openapi.rules import sources
from providers.model import Manifest
from providers.registry import Datasets

_Read = TypeVar("_Read")


class ManifestCatalogue:
    """``consent.ports.Catalogue`` from the manifests of the datasets about citizens offered here.

    Nobody is asked to agree to an exchange about a company.
    """

    def __init__(self, datasets: Datasets) -> None:
        offered = (one.manifest for name in datasets.ids() if (one := datasets.get(name)) is not None)
        self._notices = {one.dataset: _notice(one) for one in offered if one.subject == "citizen"}

    def notice(self, dataset: str) -> DatasetNotice | None:
        """The dataset in words; ``None`` when it is not offered."""
        return self._notices.get(dataset)

    def datasets(self) -> Sequence[str]:
        """The names of those offered."""
        return list(self._notices)


class HabilitationRegistry:
    """``consent.ports.Registry`` from the registry in memory, under the same policy as an exchange."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def client(self, client_id: str) -> Client | None:
        """The registered application."""
        return self._feed.registry.clients.get(client_id)

    def decide(self, client: Client, detail: Detail, *, now: int) -> Permit | Refusal:
        """Whether a citizen may be asked for this."""
        found = habilitation_for(self._feed.registry, client.client_id, detail, now=now)
        if isinstance(found, PolicyRefusal):
            return Refusal(found.slug, found.facts)
        beyond = tuple(sorted({*detail.fields} - found.fields | {*sources(detail.rules)} - found.answerable))
        if beyond:
            return Refusal("field_not_habilitated", {"fields": beyond})
        return Permit(found.purposes[detail.purpose], found.legal_basis, found.valid_until)

    def organisation_name(self, siret: Siret) -> str | None:
        """The organisation's name."""
        return self._feed.registry.organisations.get(siret)


class LogJournal:
    """``consent.ports.Journal``: durable on return."""

    def __init__(self, log: Log, *, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._clock = clock

    def record(self, event: ConsentEvent) -> int:
        """Append the event. Raises ``AccordError('log_unavailable')``."""
        entry = journal.consent_event(event, request_id=str(uuid4()), now=self._clock())
        return _logged(lambda: self._log.append_blocking(entry)).index


class LogAccesses:
    """``consent.ports.Accesses`` from the log."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def of(
        self,
        citizen: str,
        *,
        before: int | None = None,
        limit: int = 50,
        recipient: Siret | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> AccessPage:
        """The citizen's accesses, newest first."""
        wanted = Wanted({"recipient": recipient} if recipient else {}, since=since, until=until)
        found = _logged(lambda: self._queries.accesses_of(citizen, before=before, limit=limit, wanted=wanted))
        return AccessPage([_view(one) for one in found.records], found.older)

    def proof(self, citizen: str, index: int) -> bytes | None:
        """The proof file of one access, if it is hers and its detail was not erased."""
        entry = _logged(lambda: self._queries.entry(index))
        if entry is None or entry.detail is None or entry.salt is None:
            return None
        if json.loads(entry.detail).get("citizen") != citizen:
            return None
        proof = _logged(lambda: self._queries.proof(index))
        file = {
            "entry": entry.leaf.decode(),
            "salt": entry.salt.hex(),
            "detail": entry.detail.decode(),
            "proof": proof,
        }
        return json.dumps(file, ensure_ascii=False, indent=2).encode()

    def export(self, citizen: str) -> Export:
        """All that the log holds about her."""
        history = _logged(lambda: self._queries.history(citizen))
        return Export(history.checkpoint, _proof_files(history))


def _proof_files(history: History) -> Iterator[ProofFile]:
    try:
        for one in history.entries():
            yield ProofFile(one.index, one.leaf.decode(), one.salt.hex(), one.detail.decode(), one.proof)
    except LogError:
        raise AccordError("log_unavailable", retry_in=5) from None


def _logged(read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except LogError:
        raise AccordError("log_unavailable", retry_in=5) from None


def _notice(manifest: Manifest) -> DatasetNotice:
    return DatasetNotice(
        dataset=manifest.dataset,
        title=manifest.title,
        holder=manifest.provider,
        fields={
            path: FieldNotice(path, field.label, field.about, field.type) for path, field in manifest.fields.items()
        },
        legal_basis=manifest.legal_basis,
    )


def _view(record: AccessRecord) -> AccessView:
    skeleton, detail = record.skeleton, record.detail
    return AccessView(
        index=record.index,
        access_id=str(skeleton.get("request_id", "")),
        time=str(skeleton.get("time", "")),
        dataset=str(skeleton.get("dataset", "")),
        fields=[str(name) for name in _list(skeleton.get("fields"))],
        rules=[str(text) for text in _list(skeleton.get("rules"))],
        recipient=str(skeleton.get("recipient", "")),
        client_id=str(skeleton.get("client", "")),
        purpose=str(skeleton.get("purpose", "")),
        legal_basis=str(skeleton.get("legal_basis", "")),
        outcome=str(skeleton.get("outcome", "")),
        grant_id=str(detail.get("grant_id", "")),
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
