"""Statements that PostgreSQL works on while the next are made, over the libpq connection under the driver's own.

The driver's pipeline looks at the socket several times for each statement: a fifth of a millisecond, while other
writers wait for the log's lock. Here a statement is bound and sent; the answers are waited for at the end of all.
"""

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format

from audit.store.packed import Packed
from audit.store.port import Row

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

ANSWER_SECONDS = 10.0
"""How long all answers may take: longer than the server gives a statement, so that one that is frozen holds nobody."""

_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)


class Pipeline:
    """What a connection needs to be asked in this way: its socket, and the statements that its server knows."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._names: dict[str, bytes] = {}
        self._numbers = count()
        self._sent: list[str | None] = []
        """For each answer to come: the statement that it says is prepared, or ``None`` for one that was run."""
        self._flushed, self._ended = True, False
        self._answers: list[PGresult] = []
        self._socket = select.poll()
        self._socket.register(self._pgconn.socket, select.POLLIN)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """:meth:`send` inside; what was sent was answered when the block is left. Raises :class:`psycopg.Error`.

        The first statement that fails ends them all. A block that is left by another error closes the connection.
        """
        self._pgconn.enter_pipeline_mode()
        self._sent, self._answers, self._ended = [], [], False
        try:
            yield
            if not self._ended:
                self.go(last=True)
            failed = self._receive()
        except BaseException:
            self._connection.close()
            raise
        self._pgconn.exit_pipeline_mode()
        if failed is not None:
            raise error_from_result(failed)

    def send(self, statement: str, parameters: Sequence[Packed] = ()) -> None:
        """Add a statement, whose parameters are written ``$1``. It is prepared the first time."""
        name = self._names.get(statement)
        if name is None:
            name = self._names[statement] = b"accord%d" % next(self._numbers)
            self._pgconn.send_prepare(name, statement.encode(), [one.OID for one in parameters])
            self._sent.append(statement)
        self._pgconn.send_query_prepared(name, parameters, [Format.BINARY] * len(parameters), Format.BINARY)
        self._sent.append(None)

    def go(self, *, last: bool = False) -> None:
        """Have the server begin with what was added. ``last``: there is no more."""
        if last:
            self._pgconn.pipeline_sync()
            self._ended = True
        self._flushed = self._pgconn.flush() == 0

    def rows(self, number: int) -> list[Row]:
        """The rows of the statement sent as ``number``, from 0."""
        answer = self._answers[number]
        read = Transformer(self._connection)
        read.set_pgresult(answer)
        return read.load_rows(0, answer.ntuples, tuple)

    def _receive(self) -> "PGresult | None":
        """Take the answers up to the end of all; the first that failed."""
        deadline = time.monotonic() + ANSWER_SECONDS
        failed = None
        for prepared in self._sent:
            answer = self._next(deadline)
            if answer.status in _FAILED:
                failed = failed or answer
                if prepared is not None:
                    del self._names[prepared]
            elif prepared is None:
                self._answers.append(answer)
        if self._next(deadline).status != ExecStatus.PIPELINE_SYNC:
            raise psycopg.OperationalError("the server answered more than it was asked")
        return failed

    def _next(self, deadline: float) -> "PGresult":
        # After each answer libpq gives ``None`` once; where the connection was lost, for ever.
        for _ in range(2):
            while self._pgconn.is_busy():
                self._wait(deadline)
            if (answer := self._pgconn.get_result()) is not None:
                return answer
        raise psycopg.OperationalError("the connection was lost")

    def _wait(self, deadline: float) -> None:
        """Until the server said something, or took what it is sent."""
        left = deadline - time.monotonic()
        events = select.POLLIN if self._flushed else select.POLLIN | select.POLLOUT
        self._socket.modify(self._pgconn.socket, events)
        if left <= 0 or not self._socket.poll(left * 1000):
            raise psycopg.OperationalError("the server did not answer in time")
        self._pgconn.consume_input()
        if not self._flushed:
            self.go()
