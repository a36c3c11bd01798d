"""Dataset manifests: everything that is known of a dataset, said once, in TOML.

Masks, the consent screen, the catalogue, the adapter and the sandbox derive from it.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import time
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, TypeAlias, cast, get_args

from providers.retention import Retention, RetentionInvalid

FieldType: TypeAlias = Literal["string", "integer", "number", "boolean"]
About: TypeAlias = Literal["citizen", "child", "company"]
Subject: TypeAlias = Literal["citizen", "company"]
Labels: TypeAlias = Mapping[str, str]

LANGUAGES = frozenset({"fr", "en"})
_KEYS = frozenset(
    {"dataset", "title", "holder", "provider", "subject", "legal_basis", "retention", "path", "scopes", "fields"}
)
_OPTIONAL = frozenset({"parameters", "limits", "maintenance", "cache_seconds", "links", "meta"})
_FIELD_KEYS = frozenset({"type", "many", "nullable", "about", "fr", "en"})
_PARAMETER_KEYS = frozenset({"pattern", "required", "fr", "en"})
_LIMIT_KEYS = frozenset({"requests", "seconds", "group", "max_in_flight"})
_WINDOW_KEYS = frozenset({"days", "from", "until"})
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CACHE_LIMIT = 3_600


class ManifestError(Exception):
    """A manifest is wrong; the message names its file and key."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``path`` is its way in the holder's ``data``; lists are crossed."""

    path: str
    type: FieldType
    nullable: bool
    label: Labels
    about: About = "citizen"
    """Whom it says something about: the citizen who agrees, or a child of hers."""
    many: bool = False
    """Whether it is a list of such values."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the holder has to be told besides who it is about; ``name`` is the holder's own.

    It fills the placeholder of its name in the path, or is a query parameter. ``pattern`` is matched whole.
    """

    name: str
    pattern: re.Pattern[str]
    required: bool
    label: Labels


@dataclass(frozen=True, slots=True)
class Limits:
    """What the holder allows us: ``requests`` in ``seconds``, shared by the datasets of the same ``group``."""

    requests: int | None = None
    seconds: int = 60
    group: str | None = None
    """None: this dataset's own."""
    max_in_flight: int = 32
    """Calls for this dataset under way at once, so that one slow dataset does not take all of a holder's."""


@dataclass(frozen=True, slots=True)
class Window:
    """When the holder is known to be away, in the time of Paris; ``until`` before ``start`` is on the next day."""

    days: frozenset[int]
    """0 is Monday."""
    start: time
    until: time


@dataclass(frozen=True, slots=True)
class Manifest:
    """One dataset. ``holder`` names the configured holder that is called, ``provider`` whose data it is, in words."""

    dataset: str
    title: Labels
    holder: str
    provider: Labels
    subject: Subject
    legal_basis: str
    retention: Retention
    """How long the log keeps the details of accesses to it."""
    path: str
    """Below the holder's base URL; ``{siren}``, ``{siret}`` and the names of parameters in it are filled."""
    scopes: tuple[str, ...]
    fields: Mapping[str, Field]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    limits: Limits = Limits()
    maintenance: tuple[Window, ...] = ()
    cache_seconds: int = 0
    """How long an answer may be kept, encrypted; 0 is never."""
    links: frozenset[str] = frozenset()
    meta: frozenset[str] = frozenset()
    """Those of the holder's ``links`` and ``meta`` that go with an answer."""


@lru_cache(maxsize=1)
def manifests() -> Mapping[str, Manifest]:
    """Every manifest of the catalogue by dataset. Raises :class:`ManifestError`."""
    folder = resources.files("providers").joinpath("manifests")
    read = [parse_manifest(one.read_text("utf-8"), name=one.name) for one in folder.iterdir() if _is_toml(one.name)]
    return {manifest.dataset: manifest for manifest in sorted(read, key=lambda one: one.dataset)}


def parse_manifest(content: str, *, name: str) -> Manifest:
    """A manifest from its TOML. Raises :class:`ManifestError` naming ``name`` and the key."""
    try:
        table = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{name}: {error}") from None
    _check_keys(table, _KEYS | _OPTIONAL, name, optional=_OPTIONAL)
    _one_of(table["subject"], ("citizen", "company"), f"{name}: subject")
    fields = {path: _field(path, row, f"{name}: fields.{path!r}") for path, row in table["fields"].items()}
    if not fields:
        raise ManifestError(f"{name}: fields: at least one")
    return Manifest(
        dataset=_text(table["dataset"], f"{name}: dataset"),
        title=_labels(table["title"], f"{name}: title"),
        holder=_text(table["holder"], f"{name}: holder"),
        provider=_labels(table["provider"], f"{name}: provider"),
        subject=cast("Subject", table["subject"]),
        legal_basis=_text(table["legal_basis"], f"{name}: legal_basis"),
        retention=_retention(table["retention"], f"{name}: retention"),
        path=_text(table["path"], f"{name}: path"),
        scopes=tuple(_text(scope, f"{name}: scopes") for scope in table["scopes"]),
        fields=fields,
        parameters={
            key: _parameter(key, row, f"{name}: parameters.{key}") for key, row in table.get("parameters", {}).items()
        },
        limits=_limits(table.get("limits", {}), f"{name}: limits"),
        maintenance=tuple(
            _window(row, f"{name}: maintenance[{number}]") for number, row in enumerate(table.get("maintenance", ()), 1)
        ),
        cache_seconds=_number(table.get("cache_seconds", 0), f"{name}: cache_seconds", most=_CACHE_LIMIT, least=0),
        links=frozenset(_text(key, f"{name}: links") for key in table.get("links", ())),
        meta=frozenset(_text(key, f"{name}: meta") for key in table.get("meta", ())),
    )


def _parameter(key: str, row: Any, where: str) -> Parameter:
    _check_table(row, _PARAMETER_KEYS, where, optional=frozenset({"required"}))
    try:
        pattern = re.compile(_text(row["pattern"], f"{where}.pattern"))
    except re.error as error:
        raise ManifestError(f"{where}.pattern: {error}") from None
    labels = _labels({language: row[language] for language in sorted(LANGUAGES)}, where)
    return Parameter(key, pattern, bool(row.get("required", True)), labels)


def _limits(row: Any, where: str) -> Limits:
    _check_table(row, _LIMIT_KEYS, where, optional=_LIMIT_KEYS)
    given = dict(row)
    for key in ("requests", "seconds", "max_in_flight"):
        if key in given:
            _number(given[key], f"{where}.{key}", most=100_000)
    if "group" in given:
        _text(given["group"], f"{where}.group")
    return Limits(**given)


def _window(row: Any, where: str) -> Window:
    _check_table(row, _WINDOW_KEYS, where, optional=frozenset({"days"}))
    days = row.get("days", list(_DAYS))
    for day in days:
        _one_of(day, _DAYS, f"{where}.days")
    # TOML's own local time (07:30:00) is a time already.
    for key in ("from", "until"):
        if not isinstance(row[key], time):
            raise ManifestError(f"{where}.{key}: a local time, such as 07:30:00")
    return Window(frozenset(_DAYS.index(day) for day in days), row["from"], row["until"])


def _check_table(row: Any, known: frozenset[str], where: str, *, optional: frozenset[str]) -> None:
    if not isinstance(row, dict):
        raise ManifestError(f"{where}: a table")
    _check_keys(row, known, where, optional=optional)


def _number(value: object, where: str, *, most: int, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ManifestError(f"{where}: a whole number from {least} to {most}")
    return value


def _field(path: str, row: Any, where: str) -> Field:
    _check_table(row, _FIELD_KEYS, where, optional=frozenset({"nullable", "about", "many"}))
    _one_of(row["type"], get_args(FieldType), f"{where}.type")
    labels = _labels({language: row[language] for language in sorted(LANGUAGES)}, where)
    about = row.get("about", "citizen")
    _one_of(about, ("citizen", "child", "company"), f"{where}.about")
    return Field(path, row["type"], bool(row.get("nullable", False)), labels, about, bool(row.get("many", False)))


def _check_keys(
    table: Mapping[str, object], known: frozenset[str], where: str, *, optional: frozenset[str] = frozenset()
) -> None:
    for name in sorted(known - optional - table.keys()):
        raise ManifestError(f"{where}: {name} is missing")
    for name in sorted(table.keys() - known):
        raise ManifestError(f"{where}: {name} is not a key of a manifest")


def _labels(value: object, where: str) -> Labels:
    if not isinstance(value, dict) or value.keys() != LANGUAGES:
        raise ManifestError(f"{where}: words in fr and in en")
    return {language: _text(words, f"{where}.{language}") for language, words in value.items()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ManifestError(f"{where}: a text")
    return value


def _retention(value: object, where: str) -> Retention:
    try:
        return Retention.parse(value)
    except RetentionInvalid as error:
        raise ManifestError(f"{where}: {error}") from None


def _one_of(value: object, allowed: Iterable[str], where: str) -> None:
    if value not in tuple(allowed):
        raise ManifestError(f"{where}: one of {', '.join(allowed)}")


def _is_toml(name: str) -> bool:
    return name.endswith(".toml")
