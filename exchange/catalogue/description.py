"""A dataset as the catalogue says it to programs: everything of its manifest that an application has to know. Pure."""

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from consent.details import schema_of
from consent.model import DETAIL_TYPE_PREFIX
from exchange.bundle import BUNDLES_PATH
from exchange.catalogue.doors import DoorKind, Method, doors_of, grounds_of
from exchange.catalogue.schemas import answer_schema, parameters_schema
from exchange.model import GroundKind
from providers.bundle import Bundle
from providers.model import FieldType, Manifest, Window

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SCHEMAS = ("answer", "authorization_details", "parameters")
LIST_PATH = "/v1/datasets"
PAGE_PATH = "/catalogue"

Labels = Annotated[dict[str, str], Field(description="words by language: fr, en")]


class _View(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldView(_View):
    """A field of a dataset."""

    name: str
    type: FieldType
    many: Annotated[bool, Field(description="whether it is a list of such values")]
    nullable: bool
    about: Annotated[str, Field(description="whom it says something about: citizen, child or company")]
    label: Labels


class ParameterView(_View):
    """What has to be said besides who it is about."""

    name: str
    pattern: Annotated[str, Field(description="regular expression that the whole value matches")]
    required: bool
    personal: Annotated[bool, Field(description="whether it is taken from a POST's JSON body alone, never from a URL")]
    label: Labels


class LimitsView(_View):
    """What the holder allows this deployment as a whole."""

    requests: int | None
    seconds: int
    max_in_flight: int


class WindowView(_View):
    """When the holder is known to be away. An end before its start is on the next day."""

    days: list[str]
    start: Annotated[str, Field(description="local time, HH:MM")]
    until: Annotated[str, Field(description="local time, HH:MM")]
    timezone: Literal["Europe/Paris"] = "Europe/Paris"


class DoorView(_View):
    """One way to ask: Accord's own path, or the one of the State's API that it stands in for."""

    kind: DoorKind
    method: Method
    url: Annotated[str, Field(description="with the names of what fills it in braces")]


class HabilitationView(_View):
    """What the registry must hold before an application may ask."""

    legal_basis: Annotated[str, Field(description="on which the dataset usually rests")]
    grounds: Annotated[list[GroundKind], Field(description="on what an access may rest; a habilitation names some")]
    fields: Annotated[list[str], Field(description="of which a habilitation names some")]
    holder_scopes: Annotated[
        list[str], Field(description="scopes that this deployment's own habilitation at the holder has")
    ]


class DatasetSummary(_View):
    """A dataset that may be asked for here."""

    dataset: str
    type: Annotated[str, Field(description="the `type` of its authorization_details (RFC 9396)")]
    title: Labels
    holder: Annotated[str, Field(description="who is called")]
    provider: Annotated[dict[str, str], Field(description="whose data it is, in words")]
    subject: Literal["citizen", "company"]
    legal_basis: str
    retention: Annotated[str, Field(description="how long the log keeps the details of accesses (ISO 8601)")]
    cache_seconds: Annotated[int, Field(description="how long an answer may be kept, encrypted; 0 is never")]
    fields: list[FieldView]
    parameters: list[ParameterView]
    franceconnect_token: Annotated[
        bool, Field(description="whether the citizen's FranceConnect token goes with it, in X-FranceConnect-OAuth")
    ]
    limits: LimitsView
    maintenance: list[WindowView]
    doors: list[DoorView]
    habilitation: HabilitationView
    links: Annotated[dict[str, str], Field(description="URLs: self, page, and one for each JSON Schema")]


class DatasetView(DatasetSummary):
    """A dataset with its JSON Schemas (2020-12)."""

    answer_schema: Annotated[
        dict[str, Any],
        Field(description="of the answer at Accord's own door; the others answer as the State's API does"),
    ]
    authorization_details_schema: Annotated[
        dict[str, Any] | None,
        Field(description="of an authorization_details object; null where no citizen is asked"),
    ]
    parameters_schema: Annotated[dict[str, Any], Field(description="of what has to be said besides")]


class BundleView(_View):
    """Datasets about one company that are asked for at once, by its SIRET."""

    bundle: str
    title: Labels
    url: str
    datasets: Annotated[list[str], Field(description="those of it that are offered here")]


class CatalogueView(_View):
    """Everything offered by this deployment."""

    datasets: list[DatasetSummary]
    bundles: list[BundleView]


def describe(manifest: Manifest, *, base: str) -> DatasetView:
    """The dataset. ``base``: the deployment's URL, on which every address stands."""
    place = f"{base}{LIST_PATH}/{manifest.dataset}"
    schemas = schemas_of(manifest, base=base)
    return DatasetView(
        dataset=manifest.dataset,
        type=DETAIL_TYPE_PREFIX + manifest.dataset,
        title=dict(manifest.title),
        holder=manifest.holder,
        provider=dict(manifest.provider),
        subject=manifest.subject,
        legal_basis=manifest.legal_basis,
        retention=manifest.retention.text,
        cache_seconds=manifest.cache_seconds,
        fields=_fields(manifest),
        parameters=_parameters(manifest),
        franceconnect_token=manifest.franceconnect_token,
        limits=LimitsView(
            requests=manifest.limits.requests,
            seconds=manifest.limits.seconds,
            max_in_flight=manifest.limits.max_in_flight,
        ),
        maintenance=[_window(one) for one in manifest.maintenance],
        doors=[DoorView(kind=one.kind, method=one.method, url=base + one.path) for one in doors_of(manifest)],
        habilitation=_habilitation(manifest),
        links={
            "self": place,
            "page": f"{base}{PAGE_PATH}/{manifest.dataset}",
            **{f"{name}_schema": f"{place}/schemas/{name}" for name in schemas},
        },
        answer_schema=schemas["answer"],
        authorization_details_schema=schemas.get("authorization_details"),
        parameters_schema=schemas["parameters"],
    )


def describe_bundles(bundles: Iterable[Bundle], offered: Collection[str], *, base: str) -> list[BundleView]:
    """Those bundles of which something is offered."""
    parts = [(one, [name for name in one.datasets if name in offered]) for one in bundles]
    return [
        BundleView(bundle=one.name, title=dict(one.title), url=f"{base}{BUNDLES_PATH}{one.name}", datasets=names)
        for one, names in parts
        if names
    ]


def summary_of(view: DatasetView) -> DatasetSummary:
    """The dataset without its schemas, as the list has it."""
    return DatasetSummary(**{name: getattr(view, name) for name in DatasetSummary.model_fields})


def schemas_of(manifest: Manifest, *, base: str) -> dict[str, dict[str, Any]]:
    """Its JSON Schemas by name, of :data:`SCHEMAS`; a company gives no authorisation, so there is none of it."""
    place = f"{base}{LIST_PATH}/{manifest.dataset}/schemas"
    types = {path: field.type for path, field in manifest.fields.items()}
    found = {
        "answer": answer_schema(manifest, identifier=f"{place}/answer"),
        "authorization_details": {"$id": f"{place}/authorization_details", **schema_of(manifest.dataset, types)},
        "parameters": parameters_schema(manifest, identifier=f"{place}/parameters"),
    }
    return {name: found[name] for name in SCHEMAS if name != "authorization_details" or manifest.subject == "citizen"}


def _fields(manifest: Manifest) -> list[FieldView]:
    return [
        FieldView(
            name=path,
            type=one.type,
            many=one.many,
            nullable=one.nullable,
            about="company" if manifest.subject == "company" else one.about,
            label=dict(one.label),
        )
        for path, one in manifest.fields.items()
    ]


def _parameters(manifest: Manifest) -> list[ParameterView]:
    return [
        ParameterView(
            name=one.name,
            pattern=one.pattern.pattern,
            required=one.required,
            personal=one.personal and manifest.subject == "citizen",
            label=dict(one.label),
        )
        for one in manifest.parameters.values()
    ]


def _window(window: Window) -> WindowView:
    return WindowView(
        days=[DAYS[day] for day in sorted(window.days)],
        start=window.start.isoformat("minutes"),
        until=window.until.isoformat("minutes"),
    )


def _habilitation(manifest: Manifest) -> HabilitationView:
    return HabilitationView(
        legal_basis=manifest.legal_basis,
        grounds=list(grounds_of(manifest)),
        fields=list(manifest.fields),
        holder_scopes=list(manifest.scopes),
    )
