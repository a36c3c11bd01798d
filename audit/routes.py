"""The log for programs of auditors: accesses as JSON, exports, and a feed for a SIEM.

Who asks is known by the cookie of a login or by a bearer token. Every request here is an entry of the log before it is
answered.
"""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from audit.auditors import Auditor
from audit.door import Door
from audit.exports.columns import Format
from audit.exports.ocsf import ocsf_lines
from audit.exports.parquet import ParquetUnavailable
from audit.exports.response import ExportResponse
from audit.filters import Filter
from audit.query import MAX_LIMIT, AccessRecord
from audit.reading import MAX_FEED, ReadingRoom
from openapi.problem import AccordError

NO_STORE = {"Cache-Control": "no-store"}
JSON_LINES = "application/x-ndjson"
_MAX_INDEX = 2**53 - 1


class AccessDocument(BaseModel):
    """An entry of the log as a reader may see it."""

    model_config = ConfigDict(extra="forbid")

    index: int
    entry: dict[str, Any] = Field(description="what is hashed into the tree: its RFC 8785 bytes are the leaf")
    detail: dict[str, Any] | None = Field(
        default=None, description="the sealed part, for auditors; empty once it is erased, absent for operators"
    )


class AccessesDocument(BaseModel):
    """What was found, newest first. ``older``: ask again with ``before`` at this; null when all was looked through."""

    model_config = ConfigDict(extra="forbid")

    accesses: list[AccessDocument]
    older: int | None


class EntryDocument(AccessDocument):
    """One entry with its proof, and the salt that opens its seal."""

    salt: str | None = Field(default=None, description="hexadecimal; absent for operators and once it is erased")
    proof: str = Field(description="C2SP tlog-proof to the newest checkpoint")


class FilterParameters(BaseModel):
    """Every parameter of a search; see :class:`audit.filters.Filter`."""

    model_config = ConfigDict(extra="ignore")

    organisation: str = Field(default="", max_length=120, description="SIRET of the organisation that the data is for")
    delegate: str = Field(default="", max_length=120, description="SIRET of the organisation that acts for it")
    application: str = Field(default="", max_length=120, description="client_id")
    dataset: str = Field(default="", max_length=120)
    field: str = Field(default="", max_length=120)
    purpose: str = Field(default="", max_length=120)
    legal_basis: str = Field(default="", max_length=120)
    provider: str = Field(default="", max_length=120)
    kind: str = Field(default="", max_length=120, description="access, refusal, failure, grant.given, audit.query, ...")
    outcome: str = Field(default="", max_length=120, description="ok, or the slug of a problem")
    since: str = Field(default="", max_length=120, description="2026-10-01 (a day of Paris) or 2026-10-01T08:00:00Z")
    until: str = Field(default="", max_length=120, description="a day, which belongs to it, or the first moment after")
    citizen: str = Field(default="", max_length=120, description="pseudonym; needs ground and case")
    grant: str = Field(default="", max_length=120, description="grant_id; needs ground and case")
    request_id: str = Field(default="", max_length=120)
    ground: str = Field(default="", max_length=120, description="why one person is looked up")
    case: str = Field(default="", max_length=120, description="the reference of the file, without any name")


_Filters: TypeAlias = Annotated[FilterParameters, Query()]
_PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {}}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "A parameter is malformed", **_PROBLEM},
    401: {"description": "No login and no token", **_PROBLEM},
    403: {"description": "Not registered, beyond the role, or asked from another site", **_PROBLEM},
    503: {"description": "The log cannot be written or read, or is busy", **_PROBLEM},
}


def router(room: ReadingRoom, door: Door, *, product_version: str, log_origin: str) -> APIRouter:
    """Routes under ``/v1/audit``."""
    routes = APIRouter(prefix="/v1/audit", tags=["audit"], responses=_REFUSALS)
    reading: Any = Annotated[Auditor, Depends(door.reader)]

    @routes.get("/accesses", summary="Search the log", response_model_exclude_unset=True)
    def accesses(
        reader: reading,
        response: Response,
        parameters: _Filters,
        before: Annotated[int | None, Query(ge=0, le=_MAX_INDEX)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    ) -> AccessesDocument:
        """Entries, newest first. This query is an entry itself."""
        response.headers.update(NO_STORE)
        found = room.search(reader, _asked(parameters), before=before, limit=limit)
        return AccessesDocument(accesses=[_document(one, reader) for one in found.records], older=found.older)

    @routes.get(
        "/entries/{index}",
        summary="One entry and its proof",
        response_model_exclude_unset=True,
        responses={404: {"description": "No such entry for this reader", **_PROBLEM}},
    )
    def entry(reader: reading, response: Response, index: Annotated[int, Path(ge=0, le=_MAX_INDEX)]) -> EntryDocument:
        """The proof verifies offline against the log's public key."""
        response.headers.update(NO_STORE)
        found = room.entry(reader, index)
        opened = _document(found.record, reader).model_dump(exclude_unset=True)
        if found.salt is not None:
            opened["salt"] = found.salt.hex()
        return EntryDocument(**opened, proof=found.proof)

    @routes.get("/export", summary="Everything that was asked for, in one archive", response_class=StreamingResponse)
    def export(
        reader: reading, parameters: _Filters, made: Annotated[Format, Query(alias="format")] = "jsonl"
    ) -> StreamingResponse:
        """A ZIP of the content (CSV, JSON Lines, Parquet) and a manifest: filter, count, checkpoint, hash."""
        try:
            chunks = room.export(reader, _asked(parameters), made)
        except ParquetUnavailable:
            raise AccordError("request_malformed", field="format", expected="csv or jsonl: no Parquet here") from None
        headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="accord-{made}.zip"'}
        return ExportResponse(chunks, headers=headers)

    @routes.get("/events", summary="The log as OCSF events, from an index on", response_class=StreamingResponse)
    def events(
        reader: reading,
        after: Annotated[int, Query(ge=-1, le=_MAX_INDEX)] = -1,
        limit: Annotated[int, Query(ge=1, le=MAX_FEED)] = MAX_FEED,
    ) -> Response:
        """JSON lines for a SIEM, oldest first. Go on with the `after` of the `Link` header, however little came."""
        page = room.feed(reader, after=after, limit=limit)
        lines = b"".join(ocsf_lines(page.records, product_version=product_version, log_origin=log_origin))
        following = f'</v1/audit/events?after={page.next}&limit={limit}>; rel="next"'
        return Response(lines, media_type=JSON_LINES, headers={**NO_STORE, "Link": following})

    return routes


def _asked(parameters: FilterParameters) -> Filter:
    return Filter.parse(parameters.model_dump())


def _document(record: AccessRecord, reader: Auditor) -> AccessDocument:
    entry = AccessDocument(index=record.index, entry=dict(record.skeleton))
    if reader.sees_details:
        entry.detail = dict(record.detail)
    return entry
