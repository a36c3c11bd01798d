"""The exchange, ``GET`` or ``POST /v1/data/{dataset}``: a plain ASGI handler in front of the framework.

1. identify: bound and parse the request
2. verify: the consent token, that its sender is the one it was given to, and that its authorisation still holds
3. decide: fields and derived answers = asked, consented and habilitated; the citizen's FranceConnect token, where the
   holder knows her by it alone, is that of whoever agreed
4. fetch: ask the holder
5. mask: keep the permitted fields only, and of others the answers to the permitted rules
6. log: the entry is durable before anything leaves
7. answer

Steps 1 to 3 touch no database. Every refusal and every failure takes step 6 too; when the log cannot be written
nothing is answered but 503. The body of this file carries the same numbers; steps 4 to 6 are ``release.py``'s, which
every door shares.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol
from uuid import uuid4

import orjson

from consent.status import VALID, WITHDRAWN
from exchange import journal
from exchange.asgi import Receive, Reply, Scope, Send
from exchange.citizen_token import Tokens, confirm
from exchange.consent_token import ConsentTokenVerifier
from exchange.errors import ProblemWriter
from exchange.identify import identify, language
from exchange.logs import log_defect
from exchange.model import Asked, ConsentToken, Permit, Refusal, Registry
from exchange.policy import decide
from exchange.question import read_body
from exchange.recipient import Recipient
from exchange.release import Released, Releases
from openapi.problem import AccordError
from providers.port import Query
from providers.registry import Dataset, Datasets

MAX_IN_FLIGHT = 1_024
"""Exchanges a process carries at once; beyond it a caller is told to come back rather than queued."""

METHODS = ("GET", "POST")
_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class Knowledge(Protocol):
    """What the gateway knows without asking the database; ``feed.py`` keeps it fresh."""

    @property
    def registry(self) -> Registry:
        """The registry in memory."""
        ...

    def status(self, index: int) -> int:
        """The grant's status. Raises ``AccordError('status_feed_stale')`` rather than guess."""
        ...


class Gateway:
    """The data path. Its only state is how many exchanges are under way; replicas are interchangeable."""

    def __init__(
        self,
        *,
        verifier: ConsentTokenVerifier,
        knowledge: Knowledge,
        datasets: Datasets,
        recipient: Recipient,
        releases: Releases,
        problems: ProblemWriter,
        franceconnect: Tokens | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._franceconnect = franceconnect
        self._verifier = verifier
        self._recipient = recipient
        self._knowledge = knowledge
        self._datasets = datasets
        self._releases = releases
        self._problems = problems
        self._clock = clock
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request whose path starts with :data:`exchange.identify.PATH`."""
        reply = await self._bounded(scope, receive)
        if not reply.send_whole(scope):
            await reply.send(send)

    async def _bounded(self, scope: Scope, receive: Receive) -> Reply:
        if scope["method"] not in METHODS:
            return self._problem(scope, AccordError("method_not_allowed", allowed=", ".join(METHODS)), str(uuid4()))
        if self._in_flight >= MAX_IN_FLIGHT:
            return self._problem(scope, AccordError("overloaded", retry_in=1), str(uuid4()))
        self._in_flight += 1
        try:
            return await self._exchange(scope, receive)
        finally:
            self._in_flight -= 1

    async def _exchange(self, scope: Scope, receive: Receive) -> Reply:
        began = self._clock()
        asked, token = Asked(str(uuid4())), None
        try:
            # 1. identify
            body = await read_body(receive) if scope["method"] == "POST" else None
            asked = identify(scope, asked.request_id, self._datasets, body)
            dataset = self._sound(asked)
            # 2. verify
            token = self._verifier.verify(asked.token, now=began)
            client = self._knowledge.registry.clients.get(token.client_id)
            proof = self._recipient.check(scope, asked, token, client=client, now=began)
            self._check_standing(token)
            # 3. decide
            permit = self._permit(asked, token, began)
            if asked.franceconnect_token is not None:
                await confirm(asked.franceconnect_token, self._franceconnect, consent=token, client=client)
            ground = journal.consented(token, permit, proof=proof, now=began)
            # 4. fetch, 5. mask, 6. log
            released = await self._releases.release(
                asked, dataset, _query(asked, token, permit), ground, began=began, rules=permit.rules
            )
        except AccordError as error:
            return await self._refuse(scope, asked, token, error, began=began)
        except Exception as error:  # noqa: BLE001  # the last line of defence: an entry, a problem, no data
            log_defect(error, asked.request_id)
            return await self._refuse(scope, asked, token, AccordError("internal_error"), began=began)
        # 7. answer
        return self._with_nonce(_answer(asked, released, provider=dataset.manifest.holder), asked, began)

    def _sound(self, asked: Asked) -> Dataset:
        if asked.fault is not None:
            raise AccordError(asked.fault.slug, **asked.fault.facts)
        dataset = self._datasets.get(asked.dataset)
        if dataset is None:
            raise AccordError("dataset_unknown")
        return dataset

    def _check_standing(self, token: ConsentToken) -> None:
        status = self._knowledge.status(token.status_index)
        if status != VALID:
            raise AccordError("grant_withdrawn" if status == WITHDRAWN else "grant_suspended")

    def _permit(self, asked: Asked, token: ConsentToken, now: float) -> Permit:
        decision = decide(asked, token, self._knowledge.registry, now=int(now))
        if isinstance(decision, Refusal):
            raise AccordError(decision.slug, **decision.facts)
        return decision

    async def _refuse(
        self, scope: Scope, asked: Asked, token: ConsentToken | None, error: AccordError, *, began: float
    ) -> Reply:
        told = await self._releases.refuse(asked, journal.known_of(asked, token), error, began=began)
        return self._with_nonce(self._problem(scope, told, asked.request_id), asked, began)

    def _with_nonce(self, reply: Reply, asked: Asked, now: float) -> Reply:
        """A caller that sends proofs learns the nonce for the next (RFC 9449 section 8.2)."""
        if not asked.is_dpop:
            return reply
        return replace(reply, headers=(*reply.headers, (b"dpop-nonce", self._recipient.nonce(now))))

    def _problem(self, scope: Scope, error: AccordError, request_id: str) -> Reply:
        return self._problems.reply(error, request_id=request_id, language=language(scope["headers"]))


def _query(asked: Asked, token: ConsentToken, permit: Permit) -> Query:
    return Query(
        dataset=asked.dataset,
        recipient=permit.detail.recipient,
        request_id=asked.request_id,
        fields=permit.fields,
        identity=token.identity,
        parameters=asked.parameters,
        franceconnect_token=asked.franceconnect_token,
        status_index=token.status_index,
    )


def _answer(asked: Asked, released: Released, *, provider: str) -> Reply:
    body: dict[str, object] = {
        "data": released.data,
        "meta": {
            "access_id": asked.request_id,
            "index": released.receipt.index,
            "receipt": released.receipt.proof,
            "provider": provider,
            "retrieved_at": released.answer.retrieved_at,
        },
    }
    if released.derived:
        body["derived"] = {name: answer.to_json() for name, answer in released.derived.items()}
    return Reply(200, _HEADERS, orjson.dumps(body))
