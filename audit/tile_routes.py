"""The log over HTTP: ``/log/checkpoint`` and ``/log/tile/...`` as C2SP tlog-tiles, public; entries for auditors.

Hashes say nothing about anybody and let everyone check that the log only grows. Entries name organisations and are for
auditors of everything; details are sealed and are for those whose role opens them. Either reading is itself an entry,
durable before anything is answered.

Routes are plain functions: a read of the database runs in a thread, not in the event loop.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from audit.auditors import Auditor
from audit.layout import TILE_MEDIA_TYPE, WIDTH, LayoutInvalid, Level, TilePath
from audit.model import LogUnavailable
from audit.publication import MOST_CHECKPOINTS, Publication, PublishedCheckpoint
from audit.sources.files import ERASED, details_path
from openapi.problem import MEDIA_TYPE as PROBLEM
from openapi.problem import AccordError

AuditorOf: TypeAlias = Callable[[Request], Auditor | None]
Recorded: TypeAlias = Callable[[Auditor, Mapping[str, str]], None]
"""Writes that an auditor reads ``path``; durable on return, or it raises."""

LINES_MEDIA_TYPE = "application/x-ndjson"
NOTE_MEDIA_TYPE = "text/plain; charset=utf-8"

_ANYONE = {"Access-Control-Allow-Origin": "*"}
_FOR_EVER = _ANYONE | {"Cache-Control": "public, max-age=31536000, immutable"}
_A_MINUTE = _ANYONE | {"Cache-Control": "public, max-age=60"}
_AT_ONCE = _ANYONE | {"Cache-Control": "no-cache"}
_FOR_HER = {"Cache-Control": "private, no-store"}

_Found = TypeVar("_Found", bytes, PublishedCheckpoint)

_NUMBER = r"^(x[0-9]{3}/){0,6}[0-9]{3}(\.p/[1-9][0-9]{0,2})?$"
_Number: TypeAlias = Annotated[
    str,
    Path(
        pattern=_NUMBER,
        description="number of the tile in groups of three digits, all but the last behind an x: 1234067 is "
        "x001/x234/067; then .p/ and its width for a tile that is not full (C2SP tlog-tiles)",
    ),
]
_Height: TypeAlias = Annotated[int, Path(ge=0, le=63, description="level of the tile; 0: hashes of entries")]
_After: TypeAlias = Annotated[int, Query(ge=0, le=2**63 - 1, description="size of the last one known")]


_TEXT = {"type": "string"}
_SCHEMAS = {TILE_MEDIA_TYPE: {"type": "string", "format": "binary"}}


def _answers(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"content": {media_type: {"schema": _SCHEMAS.get(media_type, _TEXT)}}, "description": description},
        404: {"content": {PROBLEM: {}}, "description": "nothing is published there, or not yet"},
        503: {"content": {PROBLEM: {}}, "description": "the log cannot be read now"},
    }


_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"content": {PROBLEM: {}}, "description": "auditor_login_required"},
    403: {"content": {PROBLEM: {}}, "description": "auditor_not_allowed, or an auditor who is not registered"},
}


def router(publication: Publication, *, auditor_of: AuditorOf, recorded: Recorded) -> APIRouter:
    """``auditor_of``: who asks, or nobody that is known. ``recorded``: called before an auditor is answered."""
    routes = APIRouter(prefix="/log", tags=["log"])
    _add_checkpoints(routes, publication)
    _add_readings(routes, publication, auditor_of, recorded)

    @routes.get(
        "/tile/{level}/{number:path}",
        summary="Hashes of the tree",
        response_class=Response,
        responses=_answers(TILE_MEDIA_TYPE, "at most 256 hashes of 32 bytes"),
    )
    def tile(level: _Height, number: _Number) -> Response:
        """A tile that is not full is served at every width up to the present one, also once it is full."""
        path = _path(level, number)
        content = _read(lambda: publication.tile(path))
        return Response(content, headers=_FOR_EVER if path.width == WIDTH else _A_MINUTE, media_type=TILE_MEDIA_TYPE)

    return routes


def _add_checkpoints(routes: APIRouter, publication: Publication) -> None:
    @routes.get(
        "/checkpoint",
        summary="The newest signed checkpoint",
        response_class=Response,
        responses=_answers("text/plain", "a signed note (C2SP tlog-checkpoint)"),
    )
    def checkpoint() -> Response:
        """With the cosignatures of the witnesses who have signed it already; 404 before the first entry."""
        return _note(_read(publication.checkpoint))

    @routes.get(
        "/checkpoint/cosigned",
        summary="The newest checkpoint that a witness cosigned",
        response_class=Response,
        responses=_answers("text/plain", "a signed note with at least one cosignature (C2SP tlog-cosignature)"),
    )
    def cosigned() -> Response:
        """Some seconds behind the newest; 404 where no witness ever cosigned."""
        return _note(_read(publication.cosigned_checkpoint))

    @routes.get(
        "/checkpoints",
        summary=f"Signed checkpoints in order, at most {MOST_CHECKPOINTS}",
        response_class=Response,
        responses=_answers(LINES_MEDIA_TYPE, 'JSON lines {"note", "size"}, ascending; none when there are no more'),
    )
    def checkpoints(after: _After = 0) -> Response:
        """Ask again with the size of the last one until nothing comes."""
        content = _read(lambda: publication.checkpoints(after=after))
        return Response(content, headers=_AT_ONCE, media_type=LINES_MEDIA_TYPE)


def _add_readings(routes: APIRouter, publication: Publication, auditor_of: AuditorOf, recorded: Recorded) -> None:
    def reader(request: Request, *, details: bool) -> Auditor:
        auditor = auditor_of(request)
        if auditor is None:
            raise AccordError("auditor_login_required")
        if not auditor.sees_everything or (details and not auditor.sees_details):
            raise AccordError("auditor_not_allowed")
        return auditor

    def answer(request: Request, number: str, *, details: bool) -> Response:
        auditor = reader(request, details=details)
        path = _path("entries", number)
        content = _read(lambda: publication.details(path) if details else publication.entries(path))
        # Nothing leaves before its entry is durable.
        recorded(auditor, {"path": details_path(path.number, path.width) if details else str(path)})
        return Response(content, headers=_FOR_HER, media_type=LINES_MEDIA_TYPE if details else TILE_MEDIA_TYPE)

    @routes.get(
        "/tile/entries/{number:path}",
        summary="Entries, for auditors of everything",
        response_class=Response,
        responses=_answers(TILE_MEDIA_TYPE, "at most 256 entries, each behind its length in two bytes") | _REFUSALS,
    )
    def entries(request: Request, number: _Number) -> Response:
        """Every reading is itself an entry of the log."""
        return answer(request, number, details=False)

    @routes.get(
        "/details/{number:path}",
        summary="What entries seal, for auditors of everything",
        response_class=Response,
        responses=_answers(LINES_MEDIA_TYPE, 'JSON lines {"detail", "index", "salt"}, without erased ones') | _REFUSALS,
    )
    def details(request: Request, number: _Number) -> Response:
        """Beside each bundle of entries. Every reading is itself an entry of the log."""
        return answer(request, number, details=True)

    @routes.get(
        "/erased.jsonl",
        summary="Which details were erased, for auditors of everything",
        response_class=StreamingResponse,
        responses=_answers(LINES_MEDIA_TYPE, 'JSON lines {"by", "index"}: an entry, and the one that says so')
        | _REFUSALS,
    )
    def erased(request: Request) -> StreamingResponse:
        """What is missing from the details must be here, and named by an entry of a retention run."""
        recorded(reader(request, details=True), {"path": ERASED})
        return StreamingResponse(publication.erased(), headers=_FOR_HER, media_type=LINES_MEDIA_TYPE)


def _path(level: Level, number: str) -> TilePath:
    try:
        return TilePath.parse(f"tile/{level}/{number}")
    except LayoutInvalid:
        raise AccordError("not_found") from None


def _read(read: Callable[[], _Found | None]) -> _Found:
    try:
        found = read()
    except LogUnavailable:
        raise AccordError("log_unavailable", retry_in=5) from None
    if found is None:
        raise AccordError("not_found")
    return found


def _note(checkpoint: PublishedCheckpoint) -> Response:
    return Response(checkpoint.note, headers=_AT_ONCE, media_type=NOTE_MEDIA_TYPE)
