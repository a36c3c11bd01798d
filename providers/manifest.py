"""Dataset manifests: the TOML files in which everything that is known of a dataset is said once.

Read into the values of ``model.py``; whatever is wrong with a file is said at once, by file and key.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import time
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import cast, get_args

from providers.manifest_check import check_whole
from providers.model import (
    CONFIRMING,
    IDENTITY_PARTS,
    About,
    Field,
    FieldType,
    Identifier,
    IdentityPart,
    Limits,
    Manifest,
    Parameter,
    Subject,
    Window,
)
from providers.retention import Retention, RetentionInvalid
from providers.toml_table import Table

_KEYS = frozenset(
    {"dataset", "title", "holder", "provider", "subject", "legal_basis", "retention", "path", "scopes", "fields"}
)
_ASKING = frozenset({"adapter", "identity", "given_names", "confirms", "items", "parameters", "franceconnect_token"})
_OPTIONAL = _ASKING | {"identifiers", "opens", "limits", "maintenance", "cache_seconds", "links", "meta"}
_LANGUAGE_KEYS = frozenset({"fr", "en"})
_FIELD_OPTIONAL = frozenset({"nullable", "about", "many", "example"})
_PARAMETER_OPTIONAL = frozenset({"required", "personal"})
_LIMIT_KEYS = frozenset({"requests", "seconds", "group", "max_in_flight"})
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CACHE_LIMIT = 3_600
_DAY_SECONDS = 86_400
_MOST_IN_FLIGHT = 1_000
_MOST_REQUESTS = 100_000


class ManifestError(Exception):
    """A manifest is wrong: one line for each fault, naming its file and key."""

    def __init__(self, *errors: str) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@lru_cache(maxsize=4)
def manifests(folder: Path | None = None) -> Mapping[str, Manifest]:
    """Every manifest of the catalogue by dataset, with those of an operator's own ``folder``.

    Raises :class:`ManifestError`, naming every fault of every file.
    """
    files = [*_files(resources.files("providers").joinpath("manifests")), *(_files(folder) if folder else [])]
    read, faults = read_manifests([(one.name, _content(one)) for one in files])
    if faults:
        raise ManifestError(*faults)
    return {manifest.dataset: manifest for manifest in sorted(read, key=lambda one: one.dataset)}


def _files(folder: Traversable) -> list[Traversable]:
    try:
        return sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    except OSError:
        raise ManifestError(f"{folder}: a folder of manifests that can be read") from None


def _content(file: Traversable) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError):
        raise ManifestError(f"{file.name}: a text file (UTF-8) that can be read") from None


def read_manifests(texts: Iterable[tuple[str, str]]) -> tuple[list[Manifest], list[str]]:
    """Those that are right, and each fault of the rest and between them. ``texts``: name of the file, its content."""
    read: list[tuple[str, Manifest]] = []
    faults: list[str] = []
    for name, content in texts:
        try:
            read.append((name, parse_manifest(content, name=name)))
        except ManifestError as error:
            faults += error.errors
    return [manifest for _, manifest in read], faults + between(read)


def between(read: Iterable[tuple[str, Manifest]]) -> list[str]:
    """Faults that only show beside other manifests: a dataset said twice, one group with two limits."""
    faults, seen, groups = [], dict[str, str](), dict[tuple[str, str], tuple[str, int | None, int]]()
    for name, one in read:
        if (first := seen.setdefault(one.dataset, name)) != name:
            faults.append(f"{name}: dataset: {one.dataset!r} is that of {first}")
        if one.limits.group is not None:
            said = (one.limits.requests, one.limits.seconds)
            other, *known = groups.setdefault((one.holder, one.limits.group), (name, *said))
            if tuple(known) != said:
                faults.append(f"{name}: limits: group {one.limits.group!r} has other limits in {other}")
    return faults


def parse_manifest(content: str, *, name: str) -> Manifest:
    """A manifest from its TOML. Raises :class:`ManifestError` naming ``name`` and the key of each fault."""
    manifest, faults = examine(content, name=name)
    if manifest is None or faults:
        raise ManifestError(*faults)
    return manifest


def examine(content: str, *, name: str) -> tuple[Manifest | None, list[str]]:
    """What can be read of a manifest, and each of its faults. With faults it is there to be looked at, never served."""
    try:
        read = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        return None, [f"{name}: {error}"]
    faults: list[str] = []
    table = Table(read, name, faults, required=_KEYS, optional=_OPTIONAL)
    manifest = _manifest(table)
    if not faults:
        check_whole(table, manifest)
    return manifest, faults


def _manifest(table: Table) -> Manifest:
    holder = table.text("holder")
    return Manifest(
        dataset=table.text("dataset"),
        title=table.labels("title"),
        holder=holder,
        provider=table.labels("provider"),
        subject=cast("Subject", table.one_of("subject", get_args(Subject))),
        legal_basis=table.text("legal_basis"),
        retention=_retention(table),
        path=table.text("path"),
        scopes=table.texts("scopes"),
        fields={name: _field(name, row, where, table.faults) for name, where, row in table.named("fields")},
        adapter=table.text("adapter") if table.has("adapter") else holder,
        identity=_identity(table),
        given_names=table.number("given_names", most=10, least=1, absent=3),
        confirms=_confirms(table),
        identifiers={
            name: _identifier(name, row, where, table.faults) for name, where, row in table.named("identifiers")
        },
        opens=_opens(table),
        items=table.text("items") if table.has("items") else None,
        parameters={name: _parameter(name, row, where, table.faults) for name, where, row in table.named("parameters")},
        limits=_limits(table),
        maintenance=tuple(_window(row, where, table.faults) for where, row in table.tables("maintenance")),
        cache_seconds=table.number("cache_seconds", most=_CACHE_LIMIT, least=0, absent=0),
        franceconnect_token=table.flag("franceconnect_token", absent=False),
        links=frozenset(table.texts("links")),
        meta=frozenset(table.texts("meta")),
    )


def _identity(table: Table) -> tuple[IdentityPart, ...]:
    if not table.has("identity"):
        return IDENTITY_PARTS
    given = table.texts("identity")
    for part in given:
        if part not in IDENTITY_PARTS:
            table.fault("identity", f"each one of {', '.join(IDENTITY_PARTS)}")
    return tuple(part for part in IDENTITY_PARTS if part in given)


def _confirms(table: Table) -> Mapping[IdentityPart, str]:
    row = table.raw("confirms", {})
    inner = Table(row, table.at("confirms"), table.faults, required=frozenset(), optional=frozenset(CONFIRMING))
    return {part: inner.text(part) for part in CONFIRMING if inner.has(part)}


def _opens(table: Table) -> Mapping[str, tuple[str, ...]]:
    row = table.raw("opens", {})
    inner = Table(row, table.at("opens"), table.faults, required=frozenset(), optional=frozenset(table.texts("scopes")))
    return {scope: inner.texts(scope) for scope in table.texts("scopes") if inner.has(scope)}


def _identifier(name: str, row: object, where: str, faults: list[str]) -> Identifier:
    table = Table(row, where, faults, required=_LANGUAGE_KEYS | {"pattern"}, optional=frozenset({"confirms"}))
    return Identifier(_parameter_of(name, table), _confirms(table))


def _parameter(name: str, row: object, where: str, faults: list[str]) -> Parameter:
    table = Table(row, where, faults, required=_LANGUAGE_KEYS | {"pattern"}, optional=_PARAMETER_OPTIONAL)
    return _parameter_of(name, table)


def _parameter_of(name: str, table: Table) -> Parameter:
    pattern = re.compile("")
    try:
        pattern = re.compile(table.text("pattern"))
    except re.error as error:
        table.fault("pattern", f"a regular expression ({error})")
    return Parameter(
        name,
        pattern,
        table.flag("required", absent=True),
        table.own_labels(),
        personal=table.flag("personal", absent=True),
    )


def _limits(table: Table) -> Limits:
    row = table.raw("limits", {})
    inner = Table(row, table.at("limits"), table.faults, required=frozenset(), optional=_LIMIT_KEYS)
    requests = inner.number("requests", most=_MOST_REQUESTS, least=1, absent=1) if inner.has("requests") else None
    if requests is None and (inner.has("group") or inner.has("seconds")):
        inner.fault("requests", "how many, where there is a group or a time")
    return Limits(
        requests=requests,
        seconds=inner.number("seconds", most=_DAY_SECONDS, least=1, absent=60),
        group=inner.text("group") if inner.has("group") else None,
        max_in_flight=inner.number("max_in_flight", most=_MOST_IN_FLIGHT, least=1, absent=32),
    )


def _window(row: object, where: str, faults: list[str]) -> Window:
    table = Table(row, where, faults, required=frozenset({"from", "until"}), optional=frozenset({"days"}))
    days = table.texts("days") if table.has("days") else _DAYS
    for day in days:
        if day not in _DAYS:
            table.fault("days", f"each one of {', '.join(_DAYS)}")
    return Window(
        frozenset(_DAYS.index(day) for day in days if day in _DAYS),
        _local_time(table, "from"),
        _local_time(table, "until"),
    )


def _local_time(table: Table, key: str) -> time:
    value = table.raw(key)
    # TOML's own local time (07:30:00) is a time already.
    if isinstance(value, time):
        return value
    if table.has(key):
        table.fault(key, "a local time, such as 07:30:00")
    return time()


def _field(path: str, row: object, where: str, faults: list[str]) -> Field:
    table = Table(row, where, faults, required=_LANGUAGE_KEYS | {"type"}, optional=_FIELD_OPTIONAL)
    kind = table.one_of("type", get_args(FieldType))
    field = Field(
        path,
        cast("FieldType", kind),
        table.flag("nullable", absent=False),
        table.own_labels(),
        cast("About", table.one_of("about", get_args(About), absent="citizen")),
        table.flag("many", absent=False),
        table.raw("example"),
    )
    if kind in get_args(FieldType) and not _example_fits(field):
        table.fault("example", f"a value of type {kind}")
    return field


def _example_fits(field: Field) -> bool:
    if field.example is None:
        return True
    if field.many:
        return isinstance(field.example, list) and all(field.fits(one) for one in field.example)
    return field.fits(field.example)


def _retention(table: Table) -> Retention:
    try:
        return Retention.parse(table.raw("retention", "P1Y"))
    except RetentionInvalid as error:
        table.fault("retention", str(error))
        return Retention.parse("P1Y")
