"""A citizen's FranceConnect access token at a drop-in door: FranceConnect is asked about each, off the event loop.

What is asked at once is bounded, in threads of its own, so that a FranceConnect that is slow holds up nothing else.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from consent.checktoken import CheckedToken, TokenChecker
from consent.config import FranceConnectConfig
from exchange.settings import Settings, SettingsError
from openapi.problem import AccordError

MAX_KEYS_BYTES = 100_000

THREADS = 8
WAITING = 64
"""Questions under way or waiting; beyond it a caller is told to come back."""


class Checker(Protocol):
    """``consent.checktoken.TokenChecker``: blocks, with a deadline of its own."""

    def check(self, token: str) -> CheckedToken:
        """Whose the token is. Raises ``AccordError``."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class FranceConnectTokens:
    """Owned by one event loop, which is what guards its count."""

    def __init__(self, checker: Checker, *, jwks: Mapping[str, object]) -> None:
        self.jwks = jwks
        """The public halves of the keys to which FranceConnect encrypts its answers."""
        self._checker = checker
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="checktoken")
        self._waiting = 0

    async def check(self, token: bytes) -> CheckedToken:
        """Whose the token is. Raises ``AccordError``: ``overloaded``, or what the checker raises."""
        if self._waiting >= WAITING:
            raise AccordError("overloaded", retry_in=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, self._checker.check, token.decode("latin-1")
            )
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._checker.close()


def franceconnect_tokens(settings: Settings, *, clock: Callable[[], float]) -> FranceConnectTokens | None:
    """Accord as FranceConnect's data provider, if it is one. Raises :class:`SettingsError` for unusable keys."""
    given = settings.franceconnect_data
    if given is None:
        return None
    config = FranceConnectConfig(settings.franceconnect.issuer, given.client_id, given.client_secret.get_secret_value())
    try:
        with given.keys.open("rb") as file:
            keys = KeySet.import_key_set(orjson.loads(file.read(MAX_KEYS_BYTES)))
        checker = TokenChecker(config, keys, clock=clock)
    except (OSError, ValueError, TypeError, KeyError, JoseError):
        # The exception may quote the key.
        raise SettingsError(
            "ACCORD_FRANCECONNECT_DATA__KEYS: a file with a private JWK Set, of P-256 or of RSA of 2048 bits or more"
        ) from None
    return FranceConnectTokens(checker, jwks=keys.as_dict(private=False))
