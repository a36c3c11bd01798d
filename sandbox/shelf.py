"""What a stand-in remembers for a short while, under a key nobody guesses: codes, tokens, sessions."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

CAPACITY = 10_000


class Shelf(Generic[Value]):
    """Values by random key, each for ``lifetime`` seconds; the oldest fall off beyond :data:`CAPACITY`.

    Owned by one event loop, which is what guards it: no method awaits.
    """

    def __init__(self, *, lifetime: float, clock: Callable[[], float]) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, Value]] = OrderedDict()

    def put(self, value: Value) -> str:
        """Store it; return its key (43 characters of base64url)."""
        key = secrets.token_urlsafe(32)
        self._values[key] = (self._clock() + self._lifetime, value)
        if len(self._values) > CAPACITY:
            self._values.popitem(last=False)
        return key

    def get(self, key: str) -> Value | None:
        """Return the value while it lives."""
        expires_at, value = self._values.get(key, (0.0, None))
        return value if self._clock() < expires_at else None

    def take(self, key: str) -> Value | None:
        """Return the value while it lives, and forget it: the second taker gets nothing."""
        value = self.get(key)
        self._values.pop(key, None)
        return value
