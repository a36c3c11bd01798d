"""The door of exchanges about companies: ``GET /v1/data/{dataset}`` and ``GET /v1/bundles/{bundle}``.

A plain ASGI handler in front of the framework, as the gateway is. Its steps are those of ``company.py``.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import orjson

from exchange import journal
from exchange.application import Caller
from exchange.asgi import Receive, Reply, Scope
from exchange.bundle import BUNDLES_PATH, Bundles
from exchange.company import CompanyExchanges, answer_of
from exchange.company_request import credentials, question_to_bundle, question_to_dataset
from exchange.door import Door, new_request_id, told
from exchange.errors import ProblemWriter
from exchange.identify import PATH, language
from exchange.model import About, Asked
from exchange.recipient import Recipient
from openapi.problem import AccordError
from providers.registry import Dataset, Datasets

_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class CompanyDoor(Door):
    """Of companies' datasets and of bundles; a bundle is one request."""

    MAX_IN_FLIGHT = 256

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
        super().__init__(recipient, clock=clock)
        offered = [one for name in datasets.ids() if (one := datasets.get(name)) is not None]
        self._datasets = {PATH + one.manifest.dataset: one for one in offered if one.manifest.subject == "company"}
        self._bundles = bundles
        self._exchanges = exchanges
        self._problems = problems

    def serves(self, path: str) -> bool:
        """Whether a request for this path comes through here."""
        return path in self._datasets or path.startswith(BUNDLES_PATH)

    async def _exchange(self, scope: Scope, _receive: Receive) -> Reply:
        began, about, dataset = self._clock(), About(), self._datasets.get(scope["path"])
        asked = Asked(new_request_id(), dataset.manifest.dataset if dataset is not None else "")
        try:
            # 1. identify, 2. verify
            caller = self._exchanges.caller(scope, credentials(scope["headers"]))
            about = journal.recognised(asked, caller.client, None)
            if dataset is None:
                return await self._bundle(scope, caller)
            return await self._dataset(scope, asked, dataset, caller)
        except Exception as error:  # noqa: BLE001  # whatever it was: an entry, a problem, no data
            refused = await self._exchanges.refuse(asked, about, told(error, asked.request_id), began=began)
        return self._problem(scope, refused, asked.request_id)

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

    def _refusal(self, scope: Scope, error: AccordError) -> Reply:
        return self._problem(scope, error, new_request_id())

    def _problem(self, scope: Scope, error: AccordError, request_id: str) -> Reply:
        return self._problems.reply(error, request_id=request_id, language=language(scope["headers"]))
