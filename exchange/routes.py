"""The exchange's own routes in the framework: the catalogue of datasets, the problems' pages, the contract."""

from html import escape
from importlib import resources
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from consent.details import schema_of
from exchange.identify import language
from openapi.problem import AccordError, Language, Problem, problems
from providers.registry import Dataset, Datasets

_Slug = Annotated[str, Path(description="the last part of a problem's `type`")]
_PROBLEM = {"description": "No such problem", "content": {"application/problem+json": {}}}


class FieldView(BaseModel):
    """A field of a dataset."""

    model_config = ConfigDict(extra="forbid")

    name: str
    type: str
    nullable: bool
    label: dict[str, str]


class DatasetView(BaseModel):
    """A dataset that may be asked for here."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    type: Annotated[str, Field(description="the `type` of its authorization_details (RFC 9396)")]
    title: dict[str, str]
    provider: dict[str, str]
    subject: Literal["citizen", "company"]
    legal_basis: str
    fields: list[FieldView]
    authorization_details_schema: Annotated[
        dict[str, Any], Field(description="JSON Schema (2020-12) of an authorization_details object about it")
    ]


class Catalogue(BaseModel):
    """Every dataset offered by this deployment."""

    model_config = ConfigDict(extra="forbid")

    datasets: list[DatasetView]


def router(datasets: Datasets) -> APIRouter:
    """Routes that read what the process holds in memory."""
    routes = APIRouter()
    catalogue = Catalogue(datasets=[_view(one) for name in datasets.ids() if (one := datasets.get(name)) is not None])
    contract = resources.files("openapi").joinpath("accord.yaml")

    @routes.get("/v1/datasets", summary="The datasets offered", tags=["exchange"])
    async def list_datasets() -> Catalogue:
        """Public: what may be asked for, field by field."""
        return catalogue

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


def _view(dataset: Dataset) -> DatasetView:
    manifest = dataset.manifest
    return DatasetView(
        dataset=manifest.dataset,
        type=f"urn:accord:{manifest.dataset}",
        title=dict(manifest.title),
        provider=dict(manifest.provider),
        subject=manifest.subject,
        legal_basis=manifest.legal_basis,
        fields=[
            FieldView(name=path, type=field.type, nullable=field.nullable, label=dict(field.label))
            for path, field in manifest.fields.items()
        ],
        authorization_details_schema=schema_of(manifest.dataset, manifest.fields),
    )


def _page(row: Problem, spoken: Language) -> str:
    title, detail = escape(row.title[spoken]), escape(row.detail[spoken])
    return (
        f'<!doctype html><html lang="{spoken}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title} - Accord</title>'
        f"<main><h1>{title}</h1><p>{detail}</p><p><code>{escape(row.slug)}</code>, HTTP {row.status}</p></main></html>"
    )
