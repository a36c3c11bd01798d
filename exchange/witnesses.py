"""Fills ``audit.witnessing``: the witnesses of the settings, asked over HTTPS, their failures told to the operator."""

import httpx2

from audit.cosignature import CosignatureVerifier
from audit.store import Store
from audit.witnessing import ConfiguredWitness, WitnessAnswer, WitnessFailed, Witnessing, Word
from consent.outbound import BoundedTransport, check_transport
from exchange.logs import log
from exchange.settings import Settings

TIMEOUT = 5.0
"""Seconds of each wait on a witness."""

_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Accept-Encoding": "identity", "User-Agent": "accord"}


class WitnessCalls:
    """``audit.witnessing.Post``. No redirect is followed, no proxy of the environment used."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._transport = BoundedTransport(timeout)
        self._timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)

    def __call__(self, url: str, body: bytes) -> WitnessAnswer:
        """Ask. Raises ``WitnessFailed('unreachable')``."""
        try:
            check_transport(url)
            # The transport is shared by all calls: a client alone would close it.
            request = httpx2.Request(
                "POST", url, content=body, headers=_HEADERS, extensions={"timeout": self._timeouts}
            )
            answer = self._transport.handle_request(request)
            try:
                content = answer.read()
            finally:
                answer.close()
        except (httpx2.HTTPError, httpx2.StreamError, ValueError):
            # Neither it nor its cause goes on: it may quote what was sent or answered.
            raise WitnessFailed("unreachable") from None
        return WitnessAnswer(answer.status_code, answer.headers.get("content-type", ""), content)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def witnessing(settings: Settings, store: Store) -> Witnessing:
    """The thread that asks the configured witnesses."""
    calls = WitnessCalls()
    return Witnessing(
        store,
        [ConfiguredWitness(one.url, CosignatureVerifier(one.vkey)) for one in settings.witnesses],
        post=calls,
        tell=_tell,
        interval=settings.witness_interval,
        release=calls.close,
    )


def _tell(word: Word, witness: str) -> None:
    log.warning("checkpoint not cosigned", outcome=word, witness=witness)
