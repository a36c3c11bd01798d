"""``GET /v1/bundles/{bundle}``: every dataset of a bundle about one company, asked at once.

Each is an exchange of its own, with its own entry; what fails says so in its place, and the rest is given. The whole
takes as long as its slowest part, and each part has the holder's deadline.
"""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import uuid4

from exchange.application import Caller
from exchange.company import CompanyExchanges, answer_of
from exchange.company_request import Question
from exchange.model import Asked
from exchange.release import Released
from openapi.problem import AccordError, Language, problem
from providers.bundle import Bundle
from providers.registry import Dataset, Datasets

BUNDLES_PATH = "/v1/bundles/"


class Bundles:
    """The bundles of which this deployment offers at least one dataset."""

    def __init__(
        self, bundles: Mapping[str, Bundle], *, exchanges: CompanyExchanges, datasets: Datasets, issuer: str
    ) -> None:
        self._offered = {name: parts for name, bundle in bundles.items() if (parts := _offered(bundle, datasets))}
        self._exchanges = exchanges
        self._issuer = issuer

    def names(self) -> list[str]:
        """Of all, sorted."""
        return sorted(self._offered)

    async def answer(self, name: str, caller: Caller, question: Question, *, language: Language) -> dict[str, object]:
        """``complete`` and, by dataset, ``{data, meta}`` or ``{problem}``.

        Raises ``AccordError('log_unavailable')`` when nothing could be given because nothing could be recorded.
        """
        parts = self._offered[name]
        asked = [Asked(str(uuid4()), one.manifest.dataset) for one in parts]
        found = await asyncio.gather(
            *(
                self._exchanges.ask(request, dataset, caller, question, bundle=name)
                for request, dataset in zip(asked, parts, strict=True)
            )
        )
        _check_recorded(found)
        answered = zip(asked, parts, found, strict=True)
        return {
            "complete": all(isinstance(one, Released) for one in found),
            "datasets": {
                request.dataset: self._part(request, dataset, one, language) for request, dataset, one in answered
            },
        }

    def _part(
        self, asked: Asked, dataset: Dataset, found: Released | AccordError, language: Language
    ) -> Mapping[str, object]:
        if isinstance(found, Released):
            return answer_of(asked, found, dataset)
        document = problem(found.slug).document(
            found.facts, base=self._issuer, instance=asked.request_id, language=language
        )
        return {"problem": document}


def _offered(bundle: Bundle, datasets: Datasets) -> list[Dataset]:
    return [one for name in bundle.datasets if (one := datasets.get(name)) is not None]


def _check_recorded(found: Sequence[Released | AccordError]) -> None:
    """No log, no data: where nothing is given, the whole is refused as one exchange would be."""
    unrecorded = [one for one in found if isinstance(one, AccordError) and one.slug == "log_unavailable"]
    if unrecorded and not any(isinstance(one, Released) for one in found):
        raise unrecorded[0]
