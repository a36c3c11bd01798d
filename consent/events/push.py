"""Pushing what is due (RFC 8935): one thread, retries that grow apart and survive a restart, no redirect followed.

A receiver that is down for a week finds the rest by polling. An answer 400 says that the receiver will never take this
one: it is left for polling too, and the operator is told which application, never what.
"""

import json
import random
import threading
from collections.abc import Callable

import httpx2

from consent.config import ConsentConfig
from consent.events.store import Outbox
from consent.events.token import MEDIA_TYPE, Delivery, make_event_token
from consent.outbound import BoundedTransport, check_transport
from consent.ports import Registry

INTERVAL = 1.0
"""Seconds between two looks at what is due."""
MOST_AT_ONCE = 50
FIRST_PAUSE = 2
LONGEST_PAUSE = 21_600
GIVE_UP_AFTER = 7 * 86_400
"""Seconds after which a delivery is no longer pushed."""
TIMEOUT = 5.0

_ACCEPTED = 202
_REFUSED = 400


class Pusher:
    """One per process. :meth:`close` is bounded by one call's time limits."""

    def __init__(
        self,
        config: ConsentConfig,
        *,
        outbox: Outbox,
        registry: Registry,
        clock: Callable[[], float],
        tell: Callable[[str, str], None],
        interval: float = INTERVAL,
    ) -> None:
        """``tell``: called with a word and a ``client_id`` when a receiver refuses or is given up."""
        self._config = config
        self._outbox = outbox
        self._registry = registry
        self._clock = clock
        self._tell = tell
        self._interval = interval
        self._transport = BoundedTransport(TIMEOUT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to push."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is under way ends or is due again in a minute."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=4 * TIMEOUT)
        self._transport.close()

    def push_due(self) -> int:
        """Push what is due now; how many were tried."""
        due = self._outbox.claim(now=int(self._clock()), limit=MOST_AT_ONCE)
        for delivery in due:
            if self._stop.is_set():
                break
            self._push(delivery)
        return len(due)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.push_due()
            except Exception:  # noqa: BLE001  # a dead database must not end the thread; what is due stays due
                self._stop.wait(self._interval)

    def _push(self, delivery: Delivery) -> None:
        now = int(self._clock())
        client = self._registry.client(delivery.client_id)
        if client is None or client.events_url is None:
            self._outbox.retry(delivery, at=None)
            return
        status = self._post(client.events_url, make_event_token(delivery, self._config, now=now))
        if status == _ACCEPTED:
            self._outbox.delivered(delivery.jti, now=now)
        elif status == _REFUSED:
            self._tell("refused", delivery.client_id)
            self._outbox.retry(delivery, at=None)
        else:
            self._retry(delivery, now)

    def _post(self, url: str, token: str) -> int:
        """The status of the answer; 0 when there was none."""
        headers = {"Content-Type": MEDIA_TYPE, "Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            check_transport(url)
            # The transport is shared and closed by close(): a client alone would close it.
            request = httpx2.Request(
                "POST", url, content=token.encode(), headers=headers, extensions={"timeout": _TIMEOUTS}
            )
            answer = self._transport.handle_request(request)
            answer.read()
        except (httpx2.HTTPError, httpx2.StreamError, ValueError, json.JSONDecodeError):
            return 0
        return int(answer.status_code)

    def _retry(self, delivery: Delivery, now: int) -> None:
        if now - delivery.created_at >= GIVE_UP_AFTER:
            self._tell("given up", delivery.client_id)
            self._outbox.retry(delivery, at=None)
            return
        pause = min(FIRST_PAUSE * 2**delivery.attempts, LONGEST_PAUSE)
        # A crowd of deliveries to a receiver that was down must not come back all at once.
        self._outbox.retry(delivery, at=now + pause + random.randrange(pause))  # noqa: S311  # a moment, not a secret


_TIMEOUTS = {"connect": TIMEOUT, "read": TIMEOUT, "write": TIMEOUT, "pool": TIMEOUT}
