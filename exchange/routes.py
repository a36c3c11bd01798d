"""The exchange's own routes in the framework: the problems' pages, the contract."""

from html import escape
from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from exchange.identify import language
from openapi.problem import AccordError, Language, Problem, problems

_Slug = Annotated[str, Path(description="the last part of a problem's `type`")]
_PROBLEM = {"description": "No such problem", "content": {"application/problem+json": {}}}


def router() -> APIRouter:
    """Routes that read what is published with the program."""
    routes = APIRouter()
    contract = resources.files("openapi").joinpath("accord.yaml")

    @routes.get(
        "/problems/{slug}",
        summary="What a problem means and what to do",
        tags=["exchange"],
        response_class=HTMLResponse,
        responses={404: _PROBLEM},
    )
    async def problem_page(slug: _Slug, request: Request) -> HTMLResponse:
        """The page at a problem document's `type` (RFC 9457 section 3.1.1)."""
        row = problems().get(slug)
        if row is None:
            raise AccordError("not_found")
        return HTMLResponse(
            _page(row, language(request.scope["headers"])), headers={"content-security-policy": "default-src 'none'"}
        )

    @routes.get("/openapi.yaml", summary="This contract", tags=["exchange"], response_class=Response)
    async def openapi_yaml() -> Response:
        """The OpenAPI document."""
        return Response(contract.read_bytes(), media_type="application/yaml")

    return routes


def _page(row: Problem, spoken: Language) -> str:
    title, detail = escape(row.title[spoken]), escape(row.detail[spoken])
    return (
        f'<!doctype html><html lang="{spoken}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title} - Accord</title>'
        f"<main><h1>{title}</h1><p>{detail}</p><p><code>{escape(row.slug)}</code>, HTTP {row.status}</p></main></html>"
    )
