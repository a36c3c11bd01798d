"""API Particulier's door: its paths of each dataset (``citizen_paths.py``), ``/api/introspect`` and its pings.

A path is a manifest's own; its ``/france_connect`` sibling asks the same holder about the citizen of a token, and those
of identifiers about whoever has the number. An access rests on the citizen's consent token or FranceConnect token, on
an agent who says why, or on the application's own procedure, as the habilitation allows; the entry says which.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from consent.checktoken import CheckedToken
from exchange.dropin.admission import Question, consented, granted
from exchange.dropin.call import Call, recipient_of
from exchange.dropin.citizen_paths import Place, Places, Way
from exchange.dropin.door import Page, Passage, Visitor
from exchange.dropin.errors import Fault, ParametersRefused
from exchange.dropin.evidence import Evidence, looks_like_consent
from exchange.dropin.franceconnect import FranceConnectTokens
from exchange.dropin.identity import Told, read_parameters, read_told
from exchange.dropin.introspection import rights_of
from exchange.dropin.limits import Limit, Limiter
from exchange.dropin.older_versions import CURRENT, Reading
from exchange.dropin.pulse import Pulse, ping_of, pings_of
from exchange.knowledge import Knowledge
from exchange.release import Released
from openapi.problem import AccordError
from providers.model import Manifest
from providers.registry import Dataset, Datasets

INTROSPECT, PINGS, JWKS = "/api/introspect", "/api/pings", "/api/france_connect_jwks"

_PING = ("/api/", "/ping")


STRANGERS = Limit(30, 60)
"""Tokens that FranceConnect does not know, from one address: as many as the State's API asks FranceConnect about."""


class ApiParticulier:
    """The entrance. Its state: how many tokens that are nobody's each address sent in this minute."""

    limit = Limit(20, 1)
    """As the State's API counts its JSON resources: 20 requests a second."""

    def __init__(
        self,
        *,
        base_url: str,
        knowledge: Knowledge,
        datasets: Datasets,
        evidence: Evidence,
        franceconnect: FranceConnectTokens | None,
        pseudonym_key: bytes,
        pulse: Pulse,
    ) -> None:
        self._base_url = base_url
        self._knowledge = knowledge
        self._evidence = evidence
        self._franceconnect = franceconnect
        self._key = pseudonym_key
        self._pulse = pulse
        self._strangers = Limiter(STRANGERS)
        offered = [one for name in datasets.ids() if (one := datasets.get(name)) is not None]
        self._places = Places(offered)
        self._manifests = list({one.dataset.manifest.dataset: one.dataset.manifest for one in self._places}.values())
        self._pages: Mapping[str, Callable[[Call], Page]] = {
            INTROSPECT: self._introspect,
            PINGS: lambda _call: Page(pings_of(self._manifests, base_url)),
            JWKS: lambda _call: Page({"keys": []} if franceconnect is None else franceconnect.jwks),
            **{f"{_PING[0]}{one.dataset}{_PING[1]}": self._ping for one in self._manifests},
        }

    def dataset(self, path: str) -> Dataset | None:
        """The dataset that a path is about."""
        found = self._places.find(path)
        return None if found is None else found.dataset

    def serves(self, path: str) -> bool:
        """Whether a path is one of this API's."""
        return path in self._pages or self._places.find(path) is not None

    def page(self, call: Call) -> Page:
        """Its rights to an application, the holders' health to anybody."""
        return self._pages[call.path](call)

    async def recognise(self, call: Call) -> Visitor:
        """An application by its own token or a consent token; on ``/france_connect`` paths, by the citizen's."""
        if not call.token:
            raise AccordError("application_token_missing")
        if self._place(call).way.mode == "france_connect":
            return await self._by_citizens_token(call)
        if looks_like_consent(call.token) and not self._evidence.is_application(call.token):
            return self._evidence.consent(call)
        return self._evidence.consent_beside(call, self._evidence.application(call, call.token))

    async def _by_citizens_token(self, call: Call) -> Visitor:
        if self._evidence.is_application(call.token):
            # An application's secret is not for FranceConnect to see.
            raise AccordError("franceconnect_token_inactive")
        if looks_like_consent(call.token):
            return self._evidence.consent(call)
        if self._franceconnect is None:
            raise AccordError("ground_missing", grounds=("consent",))
        self._evidence.check_fresh()
        checked = await self._checked(call, self._franceconnect)
        clients = self._knowledge.registry.clients.values()
        client = next((one for one in clients if one.franceconnect_client_id == checked.client_id), None)
        if client is None:
            raise AccordError("client_unknown")
        self._evidence.check_address(call, client)
        return Visitor(client, franceconnect=checked.identity, scopes=checked.scopes, acr=checked.acr)

    async def _checked(self, call: Call, franceconnect: FranceConnectTokens) -> CheckedToken:
        """Whose the token is. Whoever sends one made-up token after another does not reach FranceConnect through us."""
        address = self._evidence.address(call)
        usage = self._strangers.next(address, now=call.began)
        if usage.is_over:
            raise AccordError("rate_limited", retry_in=usage.retry_in(call.began))
        try:
            return await franceconnect.check(call.token)
        except AccordError as error:
            if error.slug == "franceconnect_token_inactive":
                self._strangers.count(address, now=call.began)
            raise

    def admit(self, call: Call, dataset: Dataset, visitor: Visitor, *, request_id: str) -> Passage:
        """The ground, the fields and the question. Raises ``AccordError``."""
        manifest, recipient = dataset.manifest, recipient_of(call.one("recipient"))
        place = self._place(call)
        way, reading = place.way, place.reading
        told = _told(call, manifest, way)
        if isinstance(recipient, Fault):
            raise ParametersRefused([recipient, *told.faults])
        if told.faults:
            raise ParametersRefused(told.faults)
        question = Question(call, manifest, visitor, told, recipient, request_id, way, reading.needs)
        registry = self._knowledge.registry
        if visitor.consent is not None:
            passage = consented(question, visitor.consent, registry)
        else:
            passage = granted(question, registry, self._key)
        return replace(passage, document=partial(_document, reading))

    def document(self, released: Released) -> Mapping[str, object]:
        """``{data, links, meta}``, always all three; what is masked is absent."""
        return _document(CURRENT, released)

    def _place(self, call: Call) -> Place:
        place = self._places.find(call.path)
        if place is None:
            raise AccordError("not_found")
        return place

    def _introspect(self, call: Call) -> Page:
        token = call.one("token").encode() or call.token
        client = self._evidence.application(call, token).client
        return Page(rights_of(client, self._manifests, self._knowledge.registry, now=call.began))

    def _ping(self, call: Call) -> Page:
        health = ping_of(self._pulse, call.path.removeprefix(_PING[0]).removesuffix(_PING[1]), now=call.began)
        return Page(health, 502 if health["status"] == "bad_gateway" else 200)


def _document(reading: Reading, released: Released) -> Mapping[str, object]:
    answer = released.answer
    return {"data": reading.read(released.data), "links": dict(answer.links), "meta": dict(answer.meta)}


def _told(call: Call, manifest: Manifest, way: Way) -> Told:
    if way.mode == "identite":
        return read_told(call, manifest, today=datetime.fromtimestamp(call.began, UTC).date())
    return read_parameters(call, manifest, identifier=way.identifier)
