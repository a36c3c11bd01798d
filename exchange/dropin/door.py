"""What both drop-in doors share: a plain ASGI handler in front of the framework.

1. read: bound and parse the request
2. recognise: who asks, by the application's token or the citizen's
3. count: against the application's own limit
4. admit: for whom, on what ground, which fields
5. release: ask the holder, mask, log (``exchange/release.py``)
6. answer: in the peers' shape

What differs between the two APIs is an :class:`Entrance`. Every refusal is logged; nothing that a caller typed is.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Protocol

import orjson

from consent.model import Client
from exchange import journal
from exchange.asgi import Receive, Reply, Scope
from exchange.door import Door, new_request_id, told
from exchange.dropin.call import Call, read_call
from exchange.dropin.errors import provider_of, refused
from exchange.dropin.headers import answer_headers, page_headers, refusal_headers
from exchange.dropin.limits import Limit, Limiter, Usage
from exchange.dropin.pulse import Pulse
from exchange.model import About, Asked, ConsentToken, Ground
from exchange.recipient import Recipient
from exchange.release import Released, Releases
from openapi.fields import PivotIdentity
from openapi.problem import AccordError
from providers.port import Query
from providers.registry import Dataset


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. ``spends``: what its DPoP proof spends. ``repr`` shows nothing of the citizen."""

    client: Client
    spends: tuple[str, ...] = field(default=(), repr=False)
    consent: ConsentToken | None = field(default=None, repr=False)
    """The consent token it came with, verified and in force."""
    franceconnect: PivotIdentity | None = field(default=None, repr=False)
    """The citizen, as FranceConnect told it of her own token."""
    scopes: tuple[str, ...] = ()
    """What that token opens."""
    acr: str = ""
    """How sure FranceConnect is of her."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The call may go on: on this ground, with this question."""

    ground: Ground
    query: Query
    document: Callable[[Released], Mapping[str, object]] | None = None
    """The body of its answer, where the path says more of it than the dataset does."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a path that exchanges nothing answers: its own rights, the holders' health."""

    document: object
    status: int = 200


class Entrance(Protocol):
    """One of the two APIs."""

    limit: Limit

    def dataset(self, path: str) -> Dataset | None:
        """The dataset that a path is about."""
        ...

    def serves(self, path: str) -> bool:
        """Whether a path is one of this API's."""
        ...

    def page(self, call: Call) -> Page:
        """The answer of a path that exchanges nothing. Raises ``AccordError``."""
        ...

    async def recognise(self, call: Call) -> Visitor:
        """Who asks. Raises ``AccordError``."""
        ...

    def admit(self, call: Call, dataset: Dataset, visitor: Visitor, *, request_id: str) -> Passage:
        """Whether it may. Raises ``AccordError``."""
        ...

    def document(self, released: Released) -> Mapping[str, object]:
        """The body of an answer."""
        ...


class DropInDoor(Door):
    """One API's door. Its state: what is under way, what was counted, how the holders answered last."""

    MAX_IN_FLIGHT = 512

    def __init__(
        self,
        entrance: Entrance,
        *,
        recipient: Recipient,
        releases: Releases,
        pulse: Pulse,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(recipient, clock=clock)
        self._entrance = entrance
        self._releases = releases
        self._limiter = Limiter(entrance.limit)
        self._pulse = pulse
        self._under_way: set[bytes] = set()

    def serves(self, path: str) -> bool:
        """Whether a request for this path comes through here."""
        return self._entrance.serves(path)

    async def _exchange(self, scope: Scope, _receive: Receive) -> Reply:
        dataset = self._entrance.dataset(scope["path"])
        return self._page(scope) if dataset is None else await self._data(scope, dataset)

    def _page(self, scope: Scope) -> Reply:
        try:
            page = self._entrance.page(read_call(scope, began=self._clock()))
        except Exception as error:  # noqa: BLE001  # as below; nothing was asked about anybody, and nothing is logged
            return self._refusal(scope, told(error, scope["path"]))
        return Reply(page.status, page_headers(scope["headers"]), orjson.dumps(page.document))

    async def _data(self, scope: Scope, dataset: Dataset) -> Reply:
        began, usage, about = self._clock(), None, About()
        asked = Asked(new_request_id(), dataset.manifest.dataset)
        try:
            # 1. read
            call = read_call(scope, began=began)
            # 2. recognise
            visitor = await self._entrance.recognise(call)
            about = journal.recognised(asked, visitor.client, visitor.consent)
            # 3. count
            usage = self._count(visitor, began)
            with self._alone(call, visitor):
                # 4. admit
                passage = self._entrance.admit(call, dataset, visitor, request_id=asked.request_id)
                about, asked = passage.ground.about, replace(asked, fields=passage.query.fields)
                # 5. release
                released = await self._release(asked, dataset, passage, began)
        except Exception as error:  # noqa: BLE001  # whatever it was: an entry, an error, no data
            return await self._refuse(scope, asked, about, told(error, asked.request_id), usage=usage, began=began)
        # 6. answer
        body = orjson.dumps((passage.document or self._entrance.document)(released))
        headers = answer_headers(scope["headers"], usage=usage, cached=released.answer.cached, receipt=released.receipt)
        return Reply(200, headers, body)

    async def _release(self, asked: Asked, dataset: Dataset, passage: Passage, began: float) -> Released:
        with self._pulse.taken(dataset.manifest.dataset):
            return await self._releases.release(asked, dataset, passage.query, passage.ground, began=began)

    def _count(self, visitor: Visitor, now: float) -> Usage:
        usage = self._limiter.count(visitor.client.client_id, now=now)
        if usage.is_over:
            raise TooMany(usage, now)
        return usage

    @contextmanager
    def _alone(self, call: Call, visitor: Visitor) -> Iterator[None]:
        """The same question of the same application waits for its first answer: ``request_under_way``."""
        asked = b"\0".join(
            (visitor.client.client_id.encode(), call.path.encode(), call.scope["query_string"], call.token)
        )
        key = sha256(asked).digest()
        if key in self._under_way:
            raise AccordError("request_under_way")
        self._under_way.add(key)
        try:
            yield
        finally:
            self._under_way.discard(key)

    async def _refuse(
        self, scope: Scope, asked: Asked, about: About, error: AccordError, *, usage: Usage | None, began: float
    ) -> Reply:
        if isinstance(error, TooMany):
            usage = error.usage
            if not usage.is_first_over:
                # The first of a window is logged; a flood of them would cost what the limit is there to save.
                return _refused(scope, error, usage=usage)
        error = await self._releases.refuse(asked, about, error, began=began)
        return _refused(scope, error, usage=usage)

    def _refusal(self, scope: Scope, error: AccordError) -> Reply:
        return _refused(scope, error)


class TooMany(AccordError):
    """The application's limit is reached."""

    def __init__(self, usage: Usage, now: float) -> None:
        super().__init__("rate_limited", retry_in=usage.retry_in(now))
        self.usage = usage


def _refused(scope: Scope, error: AccordError, *, usage: Usage | None = None) -> Reply:
    said = refused(error, provider=provider_of(scope["path"]))
    headers = refusal_headers(
        scope["headers"], status=said.status, slug=error.slug, retry_in=said.retry_in, usage=usage
    )
    return Reply(said.status, headers, said.body)
