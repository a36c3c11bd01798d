"""A witness as a server: ``POST /add-checkpoint`` and ``GET /<hash of the origin>/checkpoint`` (C2SP tlog-witness).

The judgement is :mod:`audit.witness`, what was cosigned before :mod:`audit.witness_state`. A log that signs two
histories is why there are witnesses: what it signed and was refused is kept.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from audit.checkpoint import NoteVerifier
from audit.cosignature import Cosigner
from audit.witness import (
    ADD_CHECKPOINT,
    MAX_REQUEST_BYTES,
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    NotCosigned,
    Reason,
    RequestInvalid,
    refusal_of_sender,
    refusal_of_tree,
)
from audit.witness_state import StateUnavailable, WitnessState

BODY_SECONDS = 10.0
"""How long a request may take to arrive."""

_STATUS: dict[Reason, int] = {
    "malformed": 400,
    "unknown_log": 404,
    "not_signed": 403,
    "other_size": 409,
    "inconsistent": 422,
}
_TEXT = "text/plain; charset=utf-8"

_logger = logging.getLogger("accord.witness")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness says."""

    status: int
    text: str
    media_type: str = _TEXT


class Witness:
    """A witness with its key, its state and the logs it knows."""

    def __init__(
        self, key: Cosigner, *, state: WitnessState, logs: Sequence[NoteVerifier], clock: Callable[[], float]
    ) -> None:
        self._key = key
        self._state = state
        self._clock = clock
        self._logs: dict[str, list[NoteVerifier]] = {}
        for log in logs:
            self._logs.setdefault(log.name, []).append(log)

    def add_checkpoint(self, content: bytes) -> Answer:
        """Cosign, or say why not. Raises :class:`StateUnavailable`."""
        try:
            request = AddCheckpoint.parse(content)
        except RequestInvalid as error:
            return Answer(_STATUS["malformed"], f"{error}\n")
        if (refused := refusal_of_sender(request, self._logs)) is not None:
            return _refused(refused)
        # At the end of the turn what was cosigned is durable; only then the cosignature leaves.
        with self._state.turn() as state:
            return self._decide(state, request)

    def newest(self, origin_hash: str) -> str | None:
        """The checkpoint that was cosigned last, by the hash of its origin. Raises :class:`StateUnavailable`."""
        return self._state.note(origin_hash)

    def _decide(self, state: WitnessState, request: AddCheckpoint) -> Answer:
        checkpoint, now = request.checkpoint, int(self._clock())
        seen = state.seen(checkpoint.origin)
        refused = refusal_of_tree(request, seen)
        trusted = [one.line() for key in self._logs[checkpoint.origin] for one in request.note.by(key)]
        two_of_one_size = checkpoint.size == seen.size and checkpoint.root != seen.root
        if two_of_one_size or (refused is not None and refused.reason == "inconsistent"):
            _logger.warning("a checkpoint that a log signed does not follow from the one cosigned before; it is kept")
            note = "\n".join([request.note.body, *trusted, ""])
            state.refused(checkpoint, note, now=now, proven=two_of_one_size)
        if refused is not None:
            return _refused(refused)
        line = self._key.sign(request.note.body, now=now)
        state.cosigned(checkpoint, "\n".join([request.note.body, *trusted, line, ""]))
        return Answer(200, f"{line}\n")


def create_witness(witness: Witness, *, body_seconds: float = BODY_SECONDS) -> FastAPI:
    """The application that serves a witness."""
    app = FastAPI(title="Accord witness", openapi_url=None)

    @app.post(ADD_CHECKPOINT)
    async def add_checkpoint(request: Request) -> Response:
        content = await _content(request, body_seconds)
        if content is None:
            return Response("the request is too large or did not arrive\n", 400, media_type=_TEXT)
        answer = await run_in_threadpool(witness.add_checkpoint, content)
        return Response(answer.text, answer.status, {"Content-Type": answer.media_type})

    @app.get("/{origin_hash}/checkpoint")
    def checkpoint(origin_hash: str) -> Response:
        note = witness.newest(origin_hash)
        if note is None:
            return Response("nothing was cosigned of this log\n", 404, media_type=_TEXT)
        return Response(note, media_type=_TEXT, headers={"Cache-Control": "no-cache"})

    @app.exception_handler(StateUnavailable)
    def unavailable(_request: Request, _error: StateUnavailable) -> Response:
        return Response("the witness cannot remember: try again\n", 503, {"Retry-After": "5"}, media_type=_TEXT)

    return app


async def _content(request: Request, seconds: float) -> bytes | None:
    """The body, bounded in size and in time."""
    content = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_REQUEST_BYTES:
                    return None
    except (TimeoutError, ClientDisconnect):
        return None
    return bytes(content)


def _refused(refusal: NotCosigned) -> Answer:
    status = _STATUS[refusal.reason]
    if refusal.reason == "other_size":
        return Answer(status, f"{refusal.size}\n", SIZE_MEDIA_TYPE)
    return Answer(status, f"{refusal.reason}\n")
