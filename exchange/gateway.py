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

import orjson

from exchange import journal
from exchange.asgi import Receive, Reply, Scope
from exchange.citizen_token import Tokens, confirm
from exchange.consent_token import ConsentTokenVerifier
from exchange.door import Door, new_request_id, told
from exchange.errors import ProblemWriter
from exchange.identify import identify, language
from exchange.knowledge import Knowledge, check_standing
from exchange.model import Asked, ConsentToken, Permit, Refusal
from exchange.policy import decide
from exchange.question import read_body
from exchange.recipient import Recipient
from exchange.release import Released, Releases
from openapi.problem import AccordError
from providers.port import Query
from providers.registry import Dataset, Datasets

_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class Gateway(Door):
    """The data path, for paths that start with :data:`exchange.identify.PATH`."""

    METHODS = ("GET", "POST")
    MAX_IN_FLIGHT = 1_024

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
        super().__init__(recipient, clock=clock)
        self._franceconnect = franceconnect
        self._verifier = verifier
        self._knowledge = knowledge
        self._datasets = datasets
        self._releases = releases
        self._problems = problems

    async def _exchange(self, scope: Scope, receive: Receive) -> Reply:
        began = self._clock()
        asked, token = Asked(new_request_id()), None
        try:
            # 1. identify
            body = await read_body(receive) if scope["method"] == "POST" else None
            asked = identify(scope, asked.request_id, self._datasets, body)
            dataset = self._sound(asked)
            # 2. verify
            token = self._verifier.verify(asked.token, now=began)
            client = self._knowledge.registry.clients.get(token.client_id)
            proof = self._recipient.check(scope, asked, token, client=client, now=began)
            check_standing(token, self._knowledge)
            # 3. decide
            permit = self._permit(asked, token, began)
            if asked.franceconnect_token is not None:
                await confirm(asked.franceconnect_token, self._franceconnect, consent=token, client=client)
            ground = journal.consented(token, permit, proof=proof, now=began)
            # 4. fetch, 5. mask, 6. log
            released = await self._releases.release(
                asked, dataset, _query(asked, token, permit), ground, began=began, rules=permit.rules
            )
        except Exception as error:  # noqa: BLE001  # whatever it was: an entry, a problem, no data
            return await self._refuse(scope, asked, token, told(error, asked.request_id), began=began)
        # 7. answer
        return _answer(asked, released, dataset)

    def _sound(self, asked: Asked) -> Dataset:
        if asked.fault is not None:
            raise AccordError(asked.fault.slug, **asked.fault.facts)
        dataset = self._datasets.get(asked.dataset)
        if dataset is None:
            raise AccordError("dataset_unknown")
        return dataset

    def _permit(self, asked: Asked, token: ConsentToken, now: float) -> Permit:
        decision = decide(asked, token, self._knowledge.registry, now=int(now))
        if isinstance(decision, Refusal):
            raise AccordError(decision.slug, **decision.facts)
        return decision

    async def _refuse(
        self, scope: Scope, asked: Asked, token: ConsentToken | None, error: AccordError, *, began: float
    ) -> Reply:
        error = await self._releases.refuse(asked, journal.known_of(asked, token), error, began=began)
        return self._problem(scope, error, asked.request_id)

    def _refusal(self, scope: Scope, error: AccordError) -> Reply:
        return self._problem(scope, error, new_request_id())

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


def _answer(asked: Asked, released: Released, dataset: Dataset) -> Reply:
    body = {"data": released.data, "meta": released.meta(asked, dataset)}
    if released.derived:
        body["derived"] = {name: answer.to_json() for name, answer in released.derived.items()}
    return Reply(200, _HEADERS, orjson.dumps(body))
