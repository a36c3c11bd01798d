"""The catalogue for programs: public, the same for everybody, and cheap to ask again (RFC 9110 section 13)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from fastapi import APIRouter, Path, Request, Response

from consent.pages.site import FILES as SITE
from consent.pages.site import ICON, SHEET
from exchange.catalogue.dcat import DCAT_PATH, record_of
from exchange.catalogue.dcat import MEDIA_TYPE as DCAT
from exchange.catalogue.description import (
    LIST_PATH,
    BundleView,
    CatalogueView,
    DatasetView,
    describe,
    describe_bundles,
    schemas_of,
    summary_of,
)
from exchange.catalogue.pages import routes as page_routes
from openapi.problem import AccordError
from providers.bundle import bundles
from providers.model import Manifest
from providers.registry import Datasets

FRESH_SECONDS = 300
"""How long anybody may keep an answer without asking again: the catalogue changes when a process starts."""

_SCHEMA = "application/schema+json"
_Dataset: TypeAlias = Annotated[str, Path(description="a dataset listed at /v1/datasets", max_length=64)]
_SchemaName: TypeAlias = Literal["answer", "authorization_details", "parameters"]
_RESPONSES: Mapping[int | str, dict[str, Any]] = {
    304: {"description": "not changed since the ETag that was sent in If-None-Match"},
    404: {"description": "dataset_unknown", "content": {"application/problem+json": {}}},
}


class Document:
    """A public answer made once: its bytes, and the strong validator of them."""

    def __init__(self, content: object, media_type: str = "application/json") -> None:
        self._body = orjson.dumps(content)
        self._media_type = media_type
        self._headers = {
            "ETag": f'"{hashlib.sha256(self._body).hexdigest()[:32]}"',
            "Cache-Control": f"public, max-age={FRESH_SECONDS}",
        }

    def answer(self, request: Request) -> Response:
        """The document, or 304 where the caller has it."""
        if _matches(request.headers.get("if-none-match", ""), self._headers["ETag"]):
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, media_type=self._media_type, headers=self._headers)


def routers(datasets: Datasets, *, base: str) -> Iterator[APIRouter]:
    """Everything of the catalogue of the datasets offered. ``base``: the deployment's URL."""
    found = ((name, datasets.get(name)) for name in datasets.ids())
    manifests = {name: dataset.manifest for name, dataset in found if dataset is not None}
    together = describe_bundles(bundles().values(), manifests, base=base)
    yield router(manifests, together, base=base)
    yield page_routes.router(manifests, together, base=base, sheet=SITE.url(SHEET), icon=SITE.url(ICON))


def router(manifests: Mapping[str, Manifest], together: Sequence[BundleView], *, base: str) -> APIRouter:
    """The list, each dataset, each of its JSON Schemas. ``base``: the deployment's URL."""
    views = {name: describe(manifest, base=base) for name, manifest in manifests.items()}
    whole = Document(_catalogue(views.values(), together).model_dump())
    datasets = {name: Document(view.model_dump()) for name, view in views.items()}
    record = Document(record_of(views.values(), base=base), DCAT)
    schemas = {
        (name, kind): Document(schema, _SCHEMA)
        for name, manifest in manifests.items()
        for kind, schema in schemas_of(manifest, base=base).items()
    }
    routes = APIRouter(tags=["catalogue"])

    @routes.get(
        LIST_PATH, summary="The datasets offered", response_model=CatalogueView, responses={304: _RESPONSES[304]}
    )
    async def list_datasets(request: Request) -> Response:
        """Public: what may be asked for, field by field, and by which door."""
        return whole.answer(request)

    @routes.get(
        f"{LIST_PATH}/{{dataset}}",
        summary="One dataset and its JSON Schemas",
        response_model=DatasetView,
        responses={**_RESPONSES},
    )
    async def show_dataset(request: Request, dataset: _Dataset) -> Response:
        """Public: everything of the dataset that an application has to know."""
        return _known(datasets.get(dataset)).answer(request)

    @routes.get(
        f"{LIST_PATH}/{{dataset}}/schemas/{{schema}}",
        summary="One JSON Schema of a dataset",
        response_class=Response,
        responses={200: {"content": {_SCHEMA: {"schema": {"type": "object"}}}}, **_RESPONSES},
    )
    async def show_schema(request: Request, dataset: _Dataset, schema: _SchemaName) -> Response:
        """Public, at the address that is the schema's own `$id`. A company's dataset has no authorization_details."""
        return _known(schemas.get((dataset, schema))).answer(request)

    @routes.get(
        DCAT_PATH,
        summary="The catalogue as a DCAT-AP record (JSON-LD)",
        response_class=Response,
        responses={200: {"content": {DCAT: {"schema": {"type": "object"}}}}, 304: _RESPONSES[304]},
    )
    async def show_record(request: Request) -> Response:
        """Public: for portals that harvest catalogues."""
        return record.answer(request)

    return routes


def _catalogue(views: Iterable[DatasetView], together: Sequence[BundleView]) -> CatalogueView:
    return CatalogueView(datasets=[summary_of(view) for view in views], bundles=list(together))


def _known(document: Document | None) -> Document:
    if document is None:
        raise AccordError("dataset_unknown")
    return document


def _matches(header: str, tag: str) -> bool:
    """``If-None-Match`` (RFC 9110 section 13.1.2): weak comparison, of a header that is bounded with its request."""
    tags = {one.strip().removeprefix("W/") for one in header.split(",")}
    return header.strip() == "*" or tag in tags
