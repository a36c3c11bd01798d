"""Exchanges about companies ('Marché public simplifié': a SIRET is enough), beside the gateway's about citizens.

1. identify: bound and parse the request (``company_door.py``)
2. verify: the application, by a token of its own
3. decide: fields = asked and habilitated, for the organisation itself or, under a delegation, for another
4. fetch, 5. mask, 6. log: ``release.py``, as for every door
7. answer (``company_door.py``)

No citizen takes part: the ground is the habilitation, with a context and an object. Every refusal and every failure is
an entry. The body of these files carries the same numbers.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from exchange import journal
from exchange.application import Caller, authenticate
from exchange.asgi import Scope
from exchange.company_request import Question, sealed
from exchange.credentials import Credentials
from exchange.door import told
from exchange.grounds import habilitation_on, receiver
from exchange.model import About, Asked, Ground, Registry
from exchange.recipient import Recipient
from exchange.release import Released, Releases
from openapi.fields import SIREN_DIGITS, Siret
from openapi.problem import AccordError
from providers.port import Query
from providers.registry import Dataset


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


class CompanyExchanges:
    """Steps 2 to 6, once for each dataset asked for."""

    def __init__(
        self,
        *,
        knowledge: Knowledge,
        recipient: Recipient,
        releases: Releases,
        pseudonym_key: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._knowledge = knowledge
        self._recipient = recipient
        self._releases = releases
        self._key = pseudonym_key
        self._clock = clock

    def caller(self, scope: Scope, given: Credentials) -> Caller:
        """The application. Raises ``AccordError``."""
        # 2. verify
        if not self._knowledge.is_fresh:
            raise AccordError("status_feed_stale", retry_in=5)
        return authenticate(
            scope,
            given.token,
            given.proofs,
            registry=self._knowledge.registry,
            recipient=self._recipient,
            now=self._clock(),
        )

    async def ask(
        self, asked: Asked, dataset: Dataset, caller: Caller, question: Question, *, bundle: str = ""
    ) -> Released | AccordError:
        """The answer of one dataset, or why there is none; either way its entry is written."""
        began = self._clock()
        about = _within(bundle, About({"client": caller.client.client_id}, self._sealed(question)))
        try:
            # 3. decide
            ground, query = self._permit(asked, dataset, caller, question, now=began)
            ground = replace(ground, about=_within(bundle, ground.about))
            about = ground.about
            # 4. fetch, 5. mask, 6. log
            return await self._releases.release(asked, dataset, query, ground, began=began)
        except Exception as error:  # noqa: BLE001  # whatever it was: an entry, a problem, no data
            return await self.refuse(asked, about, told(error, asked.request_id), began=began)

    async def refuse(self, asked: Asked, about: About, error: AccordError, *, began: float) -> AccordError:
        """Write a refusal down; what is to be answered."""
        return await self._releases.refuse(asked, about, error, began=began)

    def _permit(
        self, asked: Asked, dataset: Dataset, caller: Caller, question: Question, *, now: float
    ) -> tuple[Ground, Query]:
        registry, client, name = self._knowledge.registry, caller.client, dataset.manifest.dataset
        recipient = question.recipient or client.organisation
        _check_not_itself(recipient, question)
        whose = receiver(recipient, question.delegation_id, client=client, dataset=name, registry=registry, now=now)
        habilitation, kind = habilitation_on(
            ("company",), receiver=whose, client=client, dataset=name, registry=registry, now=now
        )
        wanted = question.fields or tuple(one for one in dataset.manifest.fields if one in habilitation.fields)
        allowed = tuple(one for one in wanted if one in habilitation.fields)
        if not allowed:
            raise AccordError("field_not_habilitated", fields=wanted)
        # A bundle's proof is spent once by each of its datasets: their entries are of one request.
        spends = tuple(f"{key}:{name}" for key in caller.spends)
        ground = journal.granted(
            kind,
            client,
            habilitation,
            delegation=whose.delegation,
            sealed=self._sealed(question),
            spends=spends,
        )
        return ground, _query(asked, recipient, question, allowed)

    def _sealed(self, question: Question) -> dict[str, str]:
        return sealed(question.company, question.context, question.object, key=self._key)


def answer_of(asked: Asked, released: Released, dataset: Dataset) -> Mapping[str, object]:
    """``data`` and ``meta`` of an answer; ``holder`` has what the holder says of it, where the manifest names that."""
    meta = released.meta(asked, dataset)
    if released.answer.links or released.answer.meta:
        meta["holder"] = {"links": dict(released.answer.links), "meta": dict(released.answer.meta)}
    return {"data": released.data, "meta": meta}


def _check_not_itself(recipient: Siret, question: Question) -> None:
    """API Entreprise refuses it (00211): the recipient is who uses the data, not whom it is about."""
    if recipient[:SIREN_DIGITS] == question.siren:
        raise AccordError(
            "request_malformed", field="recipient", expected="the organisation that uses the data, not the company"
        )


def _within(bundle: str, about: About) -> About:
    return replace(about, public={**about.public, "bundle": bundle}) if bundle else about


def _query(asked: Asked, recipient: Siret, question: Question, fields: tuple[str, ...]) -> Query:
    return Query(
        dataset=asked.dataset,
        recipient=recipient,
        request_id=asked.request_id,
        fields=fields,
        company=question.company,
        parameters=question.parameters,
        context=question.context,
        object=question.object,
    )
