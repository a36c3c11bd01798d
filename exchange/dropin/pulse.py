"""How each dataset's holder answered last, for pings: what was seen, and never a call made to look.

Pings of the State's APIs say ``ok``, ``bad_gateway``, ``maintenance`` or ``unknown``.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from openapi.problem import AccordError
from providers.errors import ProviderError
from providers.model import Manifest

Health: TypeAlias = Literal["ok", "bad_gateway", "maintenance", "unknown"]

FRESH_SECONDS = 900
"""After which what was seen says nothing any more."""

_DOWN = frozenset(
    {"holder_refused_access", "holder_unreachable", "holder_timeout", "holder_failed", "holder_answer_invalid"}
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one dataset, Unix seconds; 0 is never."""

    at: float = 0
    ok_at: float = 0
    health: Health = "unknown"


class Pulse:
    """What was seen, by dataset: as many as the catalogue has. Owned by one event loop, which is what guards it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, Seen] = {}

    def of(self, dataset: str) -> Seen:
        """What was seen of a dataset's holder, if it is fresh."""
        seen = self._seen.get(dataset, Seen())
        return seen if self._clock() - seen.at <= FRESH_SECONDS else replace(seen, health="unknown")

    @contextmanager
    def taken(self, dataset: str) -> Iterator[None]:
        """Around a call to the holder: what it raises tells how the holder is."""
        try:
            yield
        except ProviderError as error:
            self._keep(dataset, _health(error))
            raise
        except AccordError:
            # Ours, not the holder's: a withdrawal that came first, a log that cannot be written.
            raise
        self._keep(dataset, "ok")

    def _keep(self, dataset: str, health: Health) -> None:
        now = self._clock()
        ok_at = now if health == "ok" else self._seen.get(dataset, Seen()).ok_at
        self._seen[dataset] = Seen(now, ok_at, health)


def _health(error: ProviderError) -> Health:
    if error.slug == "holder_in_maintenance":
        return "maintenance"
    # A holder that says 'unknown' or 'not computable' is well.
    return "bad_gateway" if error.slug in _DOWN else "ok"


def pings_of(manifests: Iterable[Manifest], base_url: str) -> list[dict[str, str]]:
    """``/api/pings``: what can be pinged, and where."""
    return [{"name": one.title["fr"], "url": f"{base_url}/api/{one.dataset}/ping"} for one in manifests]


def ping_of(pulse: Pulse, dataset: str, *, now: float) -> dict[str, str | None]:
    """One ping's body. ``last_ok_status`` is null where nothing was seen yet."""
    seen = pulse.of(dataset)
    return {"status": seen.health, "last_update": _iso(now), "last_ok_status": _iso(seen.ok_at) if seen.ok_at else None}


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
