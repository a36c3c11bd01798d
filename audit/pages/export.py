"""Everything that a search finds, as one archive, made while it is sent."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from audit.exports.columns import Format
from audit.exports.response import ExportResponse
from audit.pages.site import Site
from audit.pages.wording import SEARCH
from openapi.pages.routing import NO_STORE
from openapi.problem import AccordError


def add_export(router: APIRouter, site: Site) -> None:
    """Add the download."""

    @router.get(f"{SEARCH}/export")
    def export(request: Request, made: Annotated[Format, Query(alias="format")]) -> Response:
        reader = site.reader(request)
        asked = site.ask(request, reader)
        if asked.filter is None:
            raise AccordError("request_malformed")
        chunks = site.room.export(reader, asked.filter, made)
        # The name says nothing of whom or what: it stays in a list of downloads.
        headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="accord-export-{made}.zip"'}
        return ExportResponse(chunks, headers=headers)
