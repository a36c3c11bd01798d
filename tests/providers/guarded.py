"""Guards before one holder: what the tests of what stands before a holder have in common."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from openapi.fields import PivotIdentity, Siret
from providers.adapters.api_particulier import ApiParticulier
from providers.config import HolderConfig
from providers.errors import ProviderError
from providers.guard import Guard
from providers.manifest import manifests
from providers.model import Limits, Manifest, Window
from providers.port import Query
from providers.rate import Rate
from providers.transport import Transport
from tests.hostile_holder import HostileHolder

_NO_LIMITS = Limits()
MANIFEST = replace(manifests()["quotient_familial"], limits=_NO_LIMITS)
_CLAIMS = {"family_name": "Canari", "gender": "female", "birthdate": "1980-05-01", "birthcountry": "99109"}
QUERY = Query(
    "quotient_familial", Siret("21990001600011"), "r", tuple(MANIFEST.fields), PivotIdentity.from_claims(_CLAIMS)
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """Datasets of one holder, on one clock; what an operator is told."""

    def __init__(self, url: str, *, timeout: float = 5, max_in_flight: int = 64) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, str, float]] = []
        config = HolderConfig(url, "token", timeout=timeout, max_in_flight=max_in_flight)
        self.transport = Transport("h", config, clock=self.clock, tell=self._tell)
        self.rates: dict[str, Rate] = {}

    def guard(self, dataset: str = "d", *, limits: Limits = _NO_LIMITS, maintenance: tuple[Window, ...] = ()) -> Guard:
        manifest: Manifest = replace(MANIFEST, dataset=dataset, limits=limits, maintenance=maintenance)
        rate = self.rates.setdefault(limits.group or dataset, Rate(limits))
        adapter = ApiParticulier(manifest)
        return Guard(
            manifest, adapter, self.transport, rate=rate, clock=self.clock, wall=lambda: 1_795_000_000, tell=self._tell
        )

    def _tell(self, word: str, what: str, seconds: float) -> None:
        self.told.append((word, what, seconds))


@asynccontextmanager
async def guarding(url: str, **bounds: float) -> AsyncIterator[Desk]:
    desk = Desk(url, **bounds)  # type: ignore[arg-type]
    await desk.transport.start()
    try:
        yield desk
    finally:
        await desk.transport.close()


async def ask(guard: Guard, times: int = 1) -> tuple[str, object]:
    outcome: tuple[str, object] = ("", None)
    for _ in range(times):
        try:
            await guard.ask(QUERY)
        except ProviderError as error:
            outcome = error.slug, error.facts.get("retry_in")
        else:
            outcome = "ok", None
    return outcome


@contextmanager
def hostile(behaviour: str) -> Iterator[HostileHolder]:
    with HostileHolder() as holder:
        holder.behave(behaviour)
        yield holder
