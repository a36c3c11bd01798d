"""What time does to grants, done by a thread in each process: their ends recorded, their coming ends told.

Nothing depends on it for safety: a gateway refuses a grant that has ended by the clock, whatever is recorded. Two
processes may do the same thing at the same moment: the store decides which of them did.
"""

import random
import threading
from collections.abc import Callable

from consent.desk import Desk

INTERVAL = 60.0
"""Seconds between two looks."""


class Keeper:
    """One per process. :meth:`close` is bounded by one look."""

    def __init__(self, desk: Desk, *, tell: Callable[[Exception], None], interval: float = INTERVAL) -> None:
        """``tell``: called with what went wrong; the next look is another try."""
        self._desk = desk
        self._tell = tell
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to look, at a moment of this process's own."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def look(self) -> int:
        """Do what is due now; how many grants were concerned."""
        return self._desk.expire() + self._desk.remind()

    def _run(self) -> None:
        while not self._stop.wait(self._interval * random.uniform(0.5, 1.5)):  # noqa: S311  # a moment, not a secret
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  # a dead database or log must not end the thread
                self._tell(error)
