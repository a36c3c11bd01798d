"""A dataset in words, as its page and its card say it. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.catalogue.description import (
    DAYS,
    PAGE_PATH,
    SCHEMAS,
    BundleView,
    DatasetView,
    FieldView,
    ParameterView,
    WindowView,
)
from exchange.catalogue.example import (
    example_answer,
    example_details,
    example_habilitation,
    example_request,
    shown,
)
from exchange.catalogue.pages.texts import known, named, say
from exchange.catalogue.schemas import company_numbers
from openapi.problem import Language
from providers.model import Manifest
from providers.retention import Retention

_MONTHS = 12
_UNITS = {1: "_second", 60: "_minute"}


@dataclass(frozen=True, slots=True)
class FieldWords:
    """A row of the table of fields."""

    label: str
    name: str
    form: str
    is_of_a_child: bool


@dataclass(frozen=True, slots=True)
class ParameterWords:
    """A row of the table of parameters."""

    label: str
    name: str
    pattern: str
    need: str


@dataclass(frozen=True, slots=True)
class DoorWords:
    """Where to ask."""

    words: str
    method: str
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """A dataset in the list; ``matching``: labels of fields that the words were found in."""

    title: str
    page: str
    provider: str
    subject: str
    size: str
    matching: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class BundleWords:
    """Datasets that are asked for together; ``parts``: page and title of each."""

    title: str
    url: str
    parts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a dataset's page says."""

    dataset: str
    title: str
    is_about_citizens: bool
    facts: Sequence[tuple[str, Sequence[str]]]
    fields: Sequence[FieldWords]
    habilitation: str
    grounds: Sequence[str]
    scopes: Sequence[str]
    details: str
    asked: Sequence[str]
    takes_franceconnect: bool
    parameters: Sequence[ParameterWords]
    doors: Sequence[DoorWords]
    request: str
    answer: str
    schemas: Sequence[tuple[str, str]]


def card_of(view: DatasetView, language: Language, *, matching: Sequence[str]) -> Card:
    """The dataset in the list."""
    return Card(
        title=view.title[language],
        page=_path(view.links["page"]),
        provider=view.provider[language],
        subject=say(language, f"subject.{view.subject}"),
        size=counted(language, "list.fields", len(view.fields)),
        matching=matching,
    )


def bundle_of(view: BundleView, titles: Mapping[str, str], language: Language) -> BundleWords:
    """The bundle in the list. ``titles``: of datasets, by name."""
    parts = [(f"{PAGE_PATH}/{name}", titles[name]) for name in view.datasets]
    return BundleWords(view.title[language], view.url, parts)


def page_of(view: DatasetView, manifest: Manifest, language: Language, *, base: str) -> Page:
    """The dataset's page. ``base``: the deployment's URL."""
    return Page(
        dataset=view.dataset,
        title=view.title[language],
        is_about_citizens=view.subject == "citizen",
        facts=list(_facts(view, manifest, language)),
        fields=[_field(one, language) for one in view.fields],
        habilitation=example_habilitation(manifest),
        grounds=[say(language, f"ground.{ground}") for ground in view.habilitation.grounds],
        scopes=view.habilitation.holder_scopes,
        details=_json([example_details(manifest)]),
        asked=list(_asked(manifest, language)),
        takes_franceconnect=view.franceconnect_token,
        parameters=[_parameter(one, language) for one in view.parameters],
        doors=[DoorWords(say(language, f"dataset.door_{one.kind}"), one.method, one.url) for one in view.doors],
        request=example_request(manifest, base=base),
        answer=_json(example_answer(manifest, shown(manifest))),
        schemas=list(_schemas(view, language)),
    )


def counted(language: Language, key: str, count: int) -> str:
    """The sentence for one, or for many with their number."""
    return say(language, f"{key}_{'one' if count == 1 else 'many'}", count=count)


def duration(language: Language, retention: Retention) -> str:
    """``P1Y6M`` as ``un an et 6 mois``."""
    years, months = divmod(retention.months, _MONTHS)
    parts = (("year", years), ("month", months), ("day", retention.days))
    said = [counted(language, f"duration.{unit}", count) for unit, count in parts if count]
    return say(language, "duration.joint").join(said)


def _facts(view: DatasetView, manifest: Manifest, language: Language) -> Iterator[tuple[str, Sequence[str]]]:
    yield say(language, "dataset.whose"), [view.provider[language]]
    yield say(language, "dataset.about"), [say(language, f"subject.{view.subject}")]
    yield say(language, "dataset.basis"), [_basis(view, language)]
    yield (
        say(language, "dataset.log"),
        [say(language, "dataset.log_kept", duration=duration(language, manifest.retention))],
    )
    yield say(language, "dataset.cache"), [_cache(view, language)]
    yield say(language, "dataset.limits"), list(_limits(view, language))
    if view.maintenance:
        yield say(language, "dataset.maintenance"), [_window(one, language) for one in view.maintenance]


def _basis(view: DatasetView, language: Language) -> str:
    section = "company_basis" if view.subject == "company" and known("company_basis", view.legal_basis) else "basis"
    return named(language, section, view.legal_basis)


def _cache(view: DatasetView, language: Language) -> str:
    if not view.cache_seconds:
        return say(language, "dataset.cache_none")
    return say(language, "dataset.cache_some", seconds=view.cache_seconds)


def _limits(view: DatasetView, language: Language) -> Iterator[str]:
    limits = view.limits
    if limits.requests is not None:
        key = f"dataset.limits_rate{_UNITS.get(limits.seconds, '')}"
        yield say(language, key, requests=limits.requests, seconds=limits.seconds)
    yield say(language, "dataset.limits_flight", count=limits.max_in_flight)


def _window(window: WindowView, language: Language) -> str:
    days = ", ".join(say(language, f"day.{day}") for day in window.days)
    if len(window.days) == len(DAYS):
        days = say(language, "dataset.every_day")
    return say(language, "dataset.window", days=days, start=window.start, until=window.until)


def _field(view: FieldView, language: Language) -> FieldWords:
    form = say(language, f"type.{view.type}")
    if view.many:
        form = say(language, "dataset.form_many", type=form)
    if view.nullable:
        form = say(language, "dataset.form_nullable", type=form)
    return FieldWords(view.label[language], view.name, form, view.about == "child")


def _parameter(view: ParameterView, language: Language) -> ParameterWords:
    need = say(language, "dataset.required" if view.required else "dataset.optional")
    if view.personal:
        need = say(language, "dataset.personal", need=need)
    return ParameterWords(view.label[language], view.name, view.pattern, need)


def _asked(manifest: Manifest, language: Language) -> Iterator[str]:
    if numbers := company_numbers(manifest):
        yield say(language, f"asked.{numbers[-1]}")
        yield say(language, "asked.context")
        yield say(language, "asked.object")


def _schemas(view: DatasetView, language: Language) -> Iterator[tuple[str, str]]:
    yield _path(view.links["self"]), say(language, "dataset.schema_self")
    for name in SCHEMAS:
        if (url := view.links.get(f"{name}_schema")) is not None:
            yield _path(url), say(language, f"schema.{name}")


def _path(url: str) -> str:
    """Below this site, so that the page also leads on through another name of it."""
    return "/" + url.split("/", 3)[3]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
