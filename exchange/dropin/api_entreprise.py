"""The door of API Entreprise: its paths, parameters and envelopes over Accord's exchanges about companies.

An application calls with a token of its own; the ground is the habilitation, with ``context`` and ``object``. The
order of the checks is the State's: the token, its rights to ask, the parameters, the company.
"""

from collections.abc import Mapping
from functools import partial
from typing import Protocol

from exchange import journal
from exchange.application import authenticate
from exchange.company_request import sealed
from exchange.dropin.call import Call
from exchange.dropin.company_call import Question, read_question
from exchange.dropin.company_paths import Route, Routes, below_version, version_of
from exchange.dropin.door import Page, Passage, Visitor
from exchange.dropin.limits import Limit
from exchange.dropin.older_versions import CURRENT, OLDER, Reading
from exchange.dropin.pings_entreprise import LIST, PING, Pings
from exchange.dropin.privileges import PATHS, privileges
from exchange.dropin.pulse import Pulse
from exchange.grounds import Receiver, habilitation_on, receiver
from exchange.model import Ground, Registry
from exchange.recipient import Recipient
from exchange.release import Released
from openapi.problem import AccordError
from providers.model import Manifest
from providers.port import Query
from providers.registry import Dataset, Datasets

HOLDER = "api_entreprise"
LIMIT = Limit(requests=250, seconds=60)
"""Of each application: what API Entreprise grants for most of its paths together."""

_ALIVE = frozenset({"/v2/ping", "/v3/ping", "/v4/ping"})
_ORIGIN = "https://entreprise.api.gouv.fr"


class Knowledge(Protocol):
    """What is known without asking the database; ``feed.py`` keeps it fresh."""

    @property
    def registry(self) -> Registry:
        """The registry in memory."""
        ...

    @property
    def is_fresh(self) -> bool:
        """Whether it may be relied on."""
        ...


class ApiEntrepriseEntrance:
    """What differs of this door from the other's. Holds no state."""

    def __init__(
        self,
        datasets: Datasets,
        *,
        knowledge: Knowledge,
        recipient: Recipient,
        pulse: Pulse,
        pseudonym_key: bytes,
        base: str,
        limit: Limit = LIMIT,
    ) -> None:
        offered = [one for name in datasets.ids() if (one := datasets.get(name)) is not None]
        self._datasets = [one for one in offered if one.manifest.holder == HOLDER and one.manifest.subject == "company"]
        self._routes = Routes(self._datasets)
        self._pings = Pings(self._datasets, pulse=pulse, base=base)
        self._knowledge = knowledge
        self._recipient = recipient
        self._key = pseudonym_key
        self._base = base
        self.limit = limit

    def dataset(self, path: str) -> Dataset | None:
        """The dataset that a path is about, in whatever version."""
        route = self._routes.find(path)
        return None if route is None else route.dataset

    def serves(self, path: str) -> bool:
        """Whether a path is one of API Entreprise's that is offered here."""
        return self._is_page(path) or self._routes.find(path) is not None

    def page(self, call: Call) -> Page:
        """Rights, the health of data providers, or that this API is there."""
        if call.path in PATHS:
            return self._privileges(call)
        if call.path == LIST:
            return self._pings.list()
        if call.path in _ALIVE:
            return Page({"status": "ok"})
        return self._pings.of(call.path.removeprefix(PING), now=call.began)

    async def recognise(self, call: Call) -> Visitor:
        """The application, by its own token. Raises ``AccordError``."""
        return self._recognised(call)

    def admit(self, call: Call, dataset: Dataset, visitor: Visitor, *, request_id: str) -> Passage:
        """The habilitation opens the dataset to whom it is for. Raises ``AccordError``."""
        route = self._routes.find(call.path)
        if route is None:
            raise AccordError("not_found")
        question, reading = read_question(call, route), _reading(route)
        ground, allowed = self._ground(dataset.manifest, visitor, question, now=call.began)
        fields = tuple(name for name in dataset.manifest.fields if name in allowed and reading.needs(name))
        if not fields:
            raise AccordError("field_not_habilitated", fields=tuple(sorted(allowed)))
        query = _query(dataset.manifest, question, fields, request_id=request_id)
        return Passage(ground, query, partial(self._envelope, dataset.manifest, reading, route.version))

    def document(self, released: Released) -> Mapping[str, object]:
        """Every passage of this door has an envelope of its own."""
        return {"data": released.data, "links": {}, "meta": {}}

    def _is_page(self, path: str) -> bool:
        return path in PATHS or path == LIST or path in _ALIVE or path.startswith(PING)

    def _recognised(self, call: Call) -> Visitor:
        if not self._knowledge.is_fresh:
            raise AccordError("status_feed_stale", retry_in=5)
        caller = authenticate(
            call.scope,
            call.token,
            call.proofs,
            registry=self._knowledge.registry,
            recipient=self._recipient,
            now=call.began,
        )
        return Visitor(caller.client, caller.spends)

    def _privileges(self, call: Call) -> Page:
        client = self._recognised(call).client
        opened = privileges(client, self._datasets, self._knowledge.registry, now=call.began)
        return Page({"data": {"privileges": opened}})

    def _ground(
        self, manifest: Manifest, visitor: Visitor, question: Question, *, now: float
    ) -> tuple[Ground, frozenset[str]]:
        """On what the access rests, and which fields it opens."""
        client, registry = visitor.client, self._knowledge.registry
        whose: Receiver = receiver(
            question.recipient,
            question.delegation_id,
            client=client,
            dataset=manifest.dataset,
            registry=registry,
            now=now,
        )
        habilitation, kind = habilitation_on(
            ("company",), receiver=whose, client=client, dataset=manifest.dataset, registry=registry, now=now
        )
        ground = journal.granted(
            kind,
            client,
            habilitation,
            delegation=whose.delegation,
            sealed=sealed(question.company, question.context, question.object, key=self._key),
            spends=visitor.spends,
        )
        return ground, habilitation.fields

    def _envelope(self, manifest: Manifest, reading: Reading, version: int, released: Released) -> Mapping[str, object]:
        data = reading.read(released.data)
        return {
            "data": data if manifest.items is None else _collection(data.get(manifest.items)),
            "links": {name: self._home(link, version) for name, link in released.answer.links.items()},
            "meta": dict(released.answer.meta),
        }

    def _home(self, link: object, version: int) -> object:
        """A link to API Entreprise leads back here, in the version that was asked for, where its path is served."""
        if not isinstance(link, str) or not link.startswith(_ORIGIN):
            return link
        path = link.removeprefix(_ORIGIN)
        route = self._routes.find(path)
        return link if route is None else f"{self._base}/v{version}{below_version(path)}"


def _reading(route: Route) -> Reading:
    """Raises ``version_not_served`` for one that cannot be made of today's."""
    if route.is_current:
        return CURRENT
    reading = OLDER.get((route.dataset.manifest.dataset, route.version))
    if reading is None:
        served = f"v{version_of(route.dataset.manifest.path)}"
        raise AccordError("version_not_served", version=f"v{route.version}", served=served)
    return reading


def _query(manifest: Manifest, question: Question, fields: tuple[str, ...], *, request_id: str) -> Query:
    return Query(
        dataset=manifest.dataset,
        recipient=question.recipient,
        request_id=request_id,
        fields=fields,
        company=question.company,
        parameters=question.parameters,
        context=question.context,
        object=question.object,
    )


def _collection(items: object) -> list[Mapping[str, object]]:
    """A list of resources, each in an envelope of its own."""
    return [{"data": one, "links": {}, "meta": {}} for one in items] if isinstance(items, list) else []
