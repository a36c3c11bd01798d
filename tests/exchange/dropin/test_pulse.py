"""Pings say what was seen of a holder, and never more."""

import pytest

from exchange.dropin.pulse import FRESH_SECONDS, Pulse, ping_of
from openapi.problem import AccordError
from providers.errors import HolderFailed, HolderInMaintenance, HolderTimeout, ProviderError, UnknownCitizen


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def seen(pulse: Pulse, error: AccordError | None = None) -> str:
    if error is None:
        with pulse.taken("quotient_familial"):
            pass
    else:
        with pytest.raises(type(error)), pulse.taken("quotient_familial"):
            raise error
    return str(ping_of(pulse, "quotient_familial", now=2_000)["status"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "ok"),
        (UnknownCitizen("h"), "ok"),
        (HolderFailed("h", retry_in=1), "bad_gateway"),
        (HolderTimeout("h", retry_in=1), "bad_gateway"),
        (HolderInMaintenance("h", retry_in=1), "maintenance"),
    ],
)
def test_how_a_holder_answered_is_its_health(error: ProviderError | None, status: str) -> None:
    assert seen(Pulse(Clock()), error) == status


def test_what_nobody_asked_for_is_unknown_and_what_was_seen_ages() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    assert ping_of(pulse, "quotient_familial", now=0) == {
        "status": "unknown",
        "last_update": "1970-01-01T00:00:00Z",
        "last_ok_status": None,
    }
    assert seen(pulse) == "ok"
    clock.now += FRESH_SECONDS + 1
    assert ping_of(pulse, "quotient_familial", now=clock.now)["status"] == "unknown"
    assert ping_of(pulse, "quotient_familial", now=clock.now)["last_ok_status"] == "1970-01-01T00:16:40Z"


def test_a_refusal_of_ours_says_nothing_of_the_holder() -> None:
    pulse = Pulse(Clock())
    assert seen(pulse, AccordError("log_unavailable")) == "unknown"
    assert seen(pulse, HolderFailed("h", retry_in=1)) == "bad_gateway"
    assert seen(pulse, AccordError("grant_withdrawn")) == "bad_gateway"
