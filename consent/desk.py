"""The use cases of consent: what an application asks, what a citizen decides, what follows.

The log comes first. A grant is recorded before it is stored, so nothing can be done with a grant the log does not
know; a withdrawal is recorded, and thereby final on every gateway, before the tables and the feed learn of it.
A crash between the two leaves a recorded grant that nobody can use, or a withdrawn one that still shows as active:
the gateways refuse it all the same, and withdrawing it again sets the table right.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from secrets import randbelow, token_urlsafe

from consent.authorization.authorize import PendingAuthorization, merged, narrowed, response_url
from consent.authorization.forms import Params
from consent.authorization.par import PushedRequest, PushedRequestForm, check_request
from consent.authorization.references import hashed, new_code, new_request_uri
from consent.authorization.token import AuthorizationCode
from consent.config import ConsentConfig
from consent.dpop import Nonces
from consent.errors import OAuthError, said
from consent.identity import pairwise_subject
from consent.issuance import Issuance
from consent.model import BEFORE, EVENTS, Citizen, Client, Detail, Grant, GrantStatus
from consent.ports import Catalogue, ConsentEvent, GrantFeed, Journal, Permit, Refusal, Registry
from consent.records import KeptNotice, RecordWriter
from consent.sender import Sender
from consent.status import LIST_SIZE, LISTS, OF_GRANTS
from consent.store import ConsentStore
from openapi.problem import AccordError

__all__ = ["Desk", "PendingAuthorization"]

_GRANT_ID_BYTES = 24
_INDEX_DRAWS = 64
_MISSES = 2


class Desk:
    """One per process. Blocking; its methods may be called from several threads at once."""

    def __init__(
        self,
        config: ConsentConfig,
        *,
        store: ConsentStore,
        registry: Registry,
        catalogue: Catalogue,
        journal: Journal,
        feed: GrantFeed,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._store = store
        self._registry = registry
        self._catalogue = catalogue
        self._journal = journal
        self._feed = feed
        self._clock = clock
        self._records = RecordWriter(config.issuer, catalogue, registry)
        self.nonces = Nonces(config.session_key, required=config.dpop_nonce_required)
        self.issuance = Issuance(
            config, store=store, registry=registry, nonces=self.nonces, end=self._withdraw, clock=clock
        )

    # What an application asks

    def push(self, client: Client, form: PushedRequestForm, params: Params, sender: Sender) -> str:
        """Keep what an authenticated application asks for; return its ``request_uri``. Raises :class:`OAuthError`."""
        now = self._now()
        jkt = self.issuance.proved_key(sender)
        request = check_request(form, params, client=client, catalogue=self._catalogue, jkt=jkt, now=now)
        if request.supersedes is not None:
            self.issuance.managed(client, request.supersedes)
        self._permits(client, request.details, now)
        request_uri = new_request_uri()
        expires_at = now + self._config.request_lifetime
        self._store.add_request(PushedRequest(hashed(request_uri), client.client_id, request, expires_at), now=now)
        return request_uri

    # What a citizen does

    def pending(self, client_id: str, request_uri: str) -> PendingAuthorization:
        """The request behind a ``request_uri``, to show to a citizen.

        It may be shown again (she logs in, she reloads the page) but decided once: FAPI 2.0 section 5.3.2.2. Raises
        :class:`OAuthError`, to be shown as a page: an unknown request must not send a browser anywhere.
        """
        now = self._now()
        until = now + self._config.interaction_lifetime
        client = self._registry.client(client_id)
        pushed = self._store.open_request(hashed(request_uri), client_id=client_id, now=now, until=until)
        if pushed is None or client is None:
            raise OAuthError("invalid_request", "request_uri: unknown, expired, decided, or of another application")
        asked = pushed.request
        return PendingAuthorization(
            request_uri=request_uri,
            client=client,
            details=asked.details,
            permits=self._permits(client, asked.details, now),
            redirect_uri=asked.redirect_uri,
            state=asked.state,
            code_challenge=asked.code_challenge,
            expires_at=pushed.expires_at,
            dpop_jkt=asked.dpop_jkt,
            supersedes=asked.supersedes,
            merges=asked.merges,
        )

    def meant_for(self, pending: PendingAuthorization, citizen: Citizen) -> PendingAuthorization:
        """The request as it concerns this citizen: a grant that it replaces must be hers.

        Raises :class:`OAuthError` otherwise, before anything of the other's is shown.
        """
        if pending.supersedes is None:
            return pending
        earlier = self._store.grant(pending.supersedes)
        if earlier is None or earlier.citizen != citizen.pseudonym or earlier.client_id != pending.client.client_id:
            raise OAuthError("invalid_request", "grant_id: not an authorisation of the person who logged in")
        if not pending.merges or earlier.status == "withdrawn":
            return pending
        details = merged(earlier.details, pending.details)
        return replace(pending, details=details, permits=self._permits(pending.client, details, self._now()))

    def keep_notice(self, notice: KeptNotice) -> None:
        """Keep the text that a citizen is about to agree to."""
        self._store.keep_notice(notice, now=self._now())

    def notice_of(self, grant: Grant) -> KeptNotice | None:
        """The exact text that a citizen agreed to."""
        return self._store.notice(grant.notice_sha256)

    def record(self, grant_id: str, citizen: str) -> Mapping[str, object]:
        """The consent record of a grant of hers. Raises ``AccordError('not_found')`` for somebody else's."""
        grant = self._hers(grant_id, citizen)
        subject = pairwise_subject(grant.citizen, grant.recipient, self._config.pseudonym_key)
        notice = self._store.notice(grant.notice_sha256)
        return self._records.write(grant, subject=subject, notice=notice, now=self._now())

    def agree(
        self,
        pending: PendingAuthorization,
        citizen: Citizen,
        *,
        fields: tuple[tuple[str, ...], ...],
        expires_at: int,
        notice_sha256: str,
    ) -> str:
        """Record and store a grant of ``fields`` (a tuple per detail) until ``expires_at``; return the way back.

        Raises :class:`AccordError` when that is wider than what was asked, or cannot be recorded.
        """
        now = self._now()
        pending = self.meant_for(pending, citizen)
        details = narrowed(pending, fields=fields, expires_at=expires_at, now=now)
        grant = Grant(
            grant_id=token_urlsafe(_GRANT_ID_BYTES),
            client_id=pending.client.client_id,
            recipient=pending.client.organisation,
            citizen=citizen.pseudonym,
            details=details,
            identity=citizen.identity,
            acr=citizen.acr,
            legal_basis=pending.legal_basis,
            notice_sha256=notice_sha256,
            status_index=0,
            given_at=now,
            expires_at=expires_at,
            supersedes=pending.supersedes,
        )
        self._decide(pending, _event("grant.given", grant), now)
        code = new_code()
        self._store_grant(
            grant,
            AuthorizationCode(
                key=hashed(code),
                grant_id=grant.grant_id,
                client_id=grant.client_id,
                redirect_uri=pending.redirect_uri,
                code_challenge=pending.code_challenge,
                expires_at=now + self._config.code_lifetime,
                dpop_jkt=pending.dpop_jkt,
            ),
        )
        if pending.supersedes is not None:
            self._withdraw(self._store.grant(pending.supersedes), now)
        return response_url(pending.redirect_uri, issuer=self._config.issuer, state=pending.state, code=code)

    def refuse(self, pending: PendingAuthorization, citizen: Citizen) -> str:
        """Record the refusal, store nothing, return the way back. Raises :class:`AccordError` when it cannot."""
        event = ConsentEvent(
            kind="grant.refused",
            grant_id=token_urlsafe(_GRANT_ID_BYTES),
            citizen=citizen.pseudonym,
            client_id=pending.client.client_id,
            recipient=pending.client.organisation,
            details=pending.details,
            legal_basis=pending.legal_basis,
            acr=citizen.acr,
        )
        self._decide(pending, event, self._now())
        issuer = self._config.issuer
        return response_url(pending.redirect_uri, issuer=issuer, state=pending.state, error="access_denied")

    def grants_of(self, citizen: str) -> Sequence[Grant]:
        """The grants of a citizen (her pseudonym), newest first, whatever became of them."""
        return self._store.grants_of(citizen)

    def withdraw(self, grant_id: str, citizen: str) -> Grant:
        """End a grant of hers; ending it again changes nothing.

        Raises ``AccordError('not_found')`` for somebody else's, ``log_unavailable`` when it cannot be recorded.
        """
        return self._withdraw(self._hers(grant_id, citizen), self._now())

    # What an operator, and time, do

    def suspend(self, grant_id: str) -> Grant:
        """Stop exchanges under a grant for a while. Raises ``AccordError('not_found')``."""
        return self._change(self._any(grant_id), "suspended", self._now())

    def resume(self, grant_id: str) -> Grant:
        """Let them go on. Raises ``AccordError('not_found')``."""
        return self._change(self._any(grant_id), "active", self._now())

    def expire(self, *, limit: int = 100) -> int:
        """Record the grants whose end has passed; how many. Gateways refuse them since that moment anyway."""
        now = self._now()
        return len([self._change(grant, "expired", now) for grant in self._store.ended(now=now, limit=limit)])

    def remind(self, *, limit: int = 100) -> int:
        """Tell the applications of grants that near their end (``model.RENEWAL_SHARE`` of their life); how many."""
        now = self._now()
        due = self._store.renewals_due(now=now, limit=limit)
        return sum(self._store.remind(grant.grant_id, now=now, push=self._pushes(grant)) for grant in due)

    def _pushes(self, grant: Grant) -> bool:
        client = self._registry.client(grant.client_id)
        return client is not None and client.events_url is not None

    def _any(self, grant_id: str) -> Grant:
        grant = self._store.grant(grant_id)
        if grant is None:
            raise AccordError("not_found")
        return grant

    def _hers(self, grant_id: str, citizen: str) -> Grant:
        grant = self._store.grant(grant_id)
        if grant is None or grant.citizen != citizen:
            raise AccordError("not_found")
        return grant

    def _now(self) -> int:
        return int(self._clock())

    def _permits(self, client: Client, details: Sequence[Detail], now: int) -> tuple[Permit, ...]:
        """The registry's permit for each detail. Raises :class:`OAuthError` with its reason."""
        decisions = [self._registry.decide(client, detail, now=now) for detail in details]
        for decision in decisions:
            if isinstance(decision, Refusal):
                raise OAuthError("invalid_authorization_details", said(decision.slug, dict(decision.facts)))
        return tuple(decision for decision in decisions if isinstance(decision, Permit))

    def _decide(self, pending: PendingAuthorization, event: ConsentEvent, now: int) -> None:
        """Take the request, so that a form sent twice decides once, and record the decision."""
        key = hashed(pending.request_uri)
        if not self._store.decide_request(key, now=now):
            raise OAuthError("invalid_request", "request_uri: expired, or already decided")
        try:
            self._journal.record(event)
        except AccordError:
            self._store.release_request(key)
            raise

    def _store_grant(self, grant: Grant, code: AuthorizationCode) -> None:
        """Store it under an index drawn at random in the newest status list; two misses open the next one.

        Two in a row are rare before half of a list is drawn.
        """
        newest = self._store.newest_list()
        for draw in range(_INDEX_DRAWS):
            number = min(newest + (draw >= _MISSES), LISTS - 1)
            index = number * LIST_SIZE + randbelow(LIST_SIZE)
            if self._store.add_grant(replace(grant, status_index=index), code):
                return
        raise AccordError("internal_error")

    def _withdraw(self, grant: Grant | None, now: int) -> Grant:
        if grant is None:
            raise AccordError("not_found")
        return self._change(grant, "withdrawn", now)

    def _change(self, grant: Grant, status: GrantStatus, now: int) -> Grant:
        """Record a change, then store it; one that may not be, or was made already, changes nothing."""
        if grant.status not in BEFORE[status]:
            return grant
        self._journal.record(_event(EVENTS[status], grant))
        self._store.change(grant.grant_id, status, now=now, push=self._pushes(grant))
        self._feed.changed(grant.status_index, OF_GRANTS[status])
        return replace(grant, status=status, ended_at=now if status in ("withdrawn", "expired") else None)


def _event(kind: str, grant: Grant) -> ConsentEvent:
    return ConsentEvent(
        kind=kind,
        grant_id=grant.grant_id,
        citizen=grant.citizen,
        client_id=grant.client_id,
        recipient=grant.recipient,
        details=grant.details,
        legal_basis=grant.legal_basis,
        acr=grant.acr,
    )
