"""Dataset manifests: everything that is known of a dataset, said once, in TOML.

Masks, the consent screen, the catalogue, the adapter and the sandbox derive from it.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, TypeAlias, cast

from providers.retention import Retention, RetentionInvalid

FieldType: TypeAlias = Literal["string", "integer"]
About: TypeAlias = Literal["citizen", "child", "company"]
Subject: TypeAlias = Literal["citizen", "company"]
Labels: TypeAlias = Mapping[str, str]

LANGUAGES = frozenset({"fr", "en"})
_KEYS = frozenset(
    {"dataset", "title", "holder", "provider", "subject", "legal_basis", "retention", "path", "scopes", "fields"}
)
_FIELD_KEYS = frozenset({"type", "nullable", "about", "fr", "en"})


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
    scopes: tuple[str, ...]
    fields: Mapping[str, Field]


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
    _check_keys(table, _KEYS, name)
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
    )


def _field(path: str, row: Any, where: str) -> Field:
    if not isinstance(row, dict):
        raise ManifestError(f"{where}: a table")
    _check_keys(row, _FIELD_KEYS, where, optional=frozenset({"nullable", "about"}))
    _one_of(row["type"], ("string", "integer"), f"{where}.type")
    labels = _labels({language: row[language] for language in sorted(LANGUAGES)}, where)
    about = row.get("about", "citizen")
    _one_of(about, ("citizen", "child", "company"), f"{where}.about")
    return Field(path, row["type"], bool(row.get("nullable", False)), labels, about)


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
