"""The door of exchanges about companies: ``GET /v1/data/{dataset}`` and ``GET /v1/bundles/{bundle}``.

A plain ASGI handler in front of the framework, as the gateway is. Its steps are those of ``company.py``.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import orjson

from exchange import journal
from exchange.application import Caller
from exchange.asgi import Receive, Reply, Scope, Send
from exchange.bundle import BUNDLES_PATH, Bundles
from exchange.company import CompanyExchanges, answer_of
from exchange.company_request import credentials, question_to_bundle, question_to_dataset
from exchange.errors import ProblemWriter
from exchange.identify import PATH, language
from exchange.logs import log_defect
from exchange.model import About, Asked
from exchange.recipient import Recipient
from openapi.problem import AccordError
from providers.registry import Dataset, Datasets

MAX_IN_FLIGHT = 256
"""Requests about companies that a process carries at once; a bundle is one."""

_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class CompanyDoor:
    """Its only state is how many requests are under way."""

    def __init__(
        self,
        exchanges: CompanyExchanges,
        *,
        datasets: Datasets,
        bundles: Bundles,
        problems: ProblemWriter,
        recipient: Recipient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        offered = [one for name in datasets.ids() if (one := datasets.get(name)) is not None]
        self._datasets = {PATH + one.manifest.dataset: one for one in offered if one.manifest.subject == "company"}
        self._bundles = bundles
        self._exchanges = exchanges
        self._problems = problems
        self._recipient = recipient
        self._clock = clock
        self._in_flight = 0

    def serves(self, path: str) -> bool:
        """Whether a request for this path comes through here."""
        return path in self._datasets or path.startswith(BUNDLES_PATH)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        reply = self._recipient.with_nonce(await self._bounded(scope), scope, now=self._clock())
        if not reply.send_whole(scope):
            await reply.send(send)

    async def _bounded(self, scope: Scope) -> Reply:
        if scope["method"] != "GET":
            return self._problem(scope, AccordError("method_not_allowed", allowed="GET"), str(uuid4()))
        if self._in_flight >= MAX_IN_FLIGHT:
            return self._problem(scope, AccordError("overloaded", retry_in=1), str(uuid4()))
        self._in_flight += 1
        try:
            return await self._exchange(scope, self._datasets.get(scope["path"]))
        finally:
            self._in_flight -= 1

    async def _exchange(self, scope: Scope, dataset: Dataset | None) -> Reply:
        began, about = self._clock(), About()
        asked = Asked(str(uuid4()), dataset.manifest.dataset if dataset is not None else "")
        try:
            # 1. identify, 2. verify
            caller = self._exchanges.caller(scope, credentials(scope["headers"]))
            about = journal.recognised(asked, caller.client, None)
            if dataset is None:
                return await self._bundle(scope, caller)
            return await self._dataset(scope, asked, dataset, caller)
        except AccordError as error:
            told = await self._exchanges.refuse(asked, about, error, began=began)
        except Exception as error:  # noqa: BLE001  # the last line of defence: an entry, a problem, no data
            log_defect(error, asked.request_id)
            told = await self._exchanges.refuse(asked, about, AccordError("internal_error"), began=began)
        return self._problem(scope, told, asked.request_id)

    async def _dataset(self, scope: Scope, asked: Asked, dataset: Dataset, caller: Caller) -> Reply:
        question = question_to_dataset(scope["query_string"], dataset.manifest)
        asked = replace(asked, fields=question.fields)
        found = await self._exchanges.ask(asked, dataset, caller, question)
        if isinstance(found, AccordError):
            return self._problem(scope, found, asked.request_id)
        # 7. answer
        return Reply(200, _HEADERS, orjson.dumps(answer_of(asked, found, dataset)))

    async def _bundle(self, scope: Scope, caller: Caller) -> Reply:
        name = scope["path"].removeprefix(BUNDLES_PATH)
        if name not in self._bundles.names():
            raise AccordError("bundle_unknown")
        question = question_to_bundle(scope["query_string"])
        spoken = language(scope["headers"])
        # 7. answer
        return Reply(200, _HEADERS, orjson.dumps(await self._bundles.answer(name, caller, question, language=spoken)))

    def _problem(self, scope: Scope, error: AccordError, request_id: str) -> Reply:
        return self._problems.reply(error, request_id=request_id, language=language(scope["headers"]))
