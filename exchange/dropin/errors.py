"""Accord's refusals in the shape, codes and words of API Particulier and API Entreprise: the mapper of drop-in paths.

``errors.toml`` says how; it follows the State's own table of errors. A body is
``{"errors": [{code, title, detail, source, meta}]}``, one error for each bad parameter.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any, TypeAlias

import orjson

from openapi.problem import AccordError, problem

Row: TypeAlias = Mapping[str, str | int | bool]
Words: TypeAlias = Mapping[str, str]
Error: TypeAlias = Mapping[str, object]

_PROVIDER = re.compile(r"/v[0-9]+/([a-z_]+)/")
_BY_STATUS: Mapping[int, Row] = {
    401: {"code": "00101", "says": "accord"},
    403: {"code": "00100", "says": "accord"},
    404: {"subcode": "003"},
    422: {"code": "00366", "says": "accord"},
    429: {"code": "00429", "says": "accord"},
}
_OTHERWISE: Row = {"code": "00500", "says": "accord"}
"""A problem without a row of its own is said by its status."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A data provider as the peers number it: what its errors' codes begin with, and its name."""

    prefix: str
    name: str
    unknown: Words | None = None
    """Its own words for who it has no file of."""
    says: Mapping[str, Row] = field(default_factory=dict)
    """Rows of its own, by problem."""


UNNUMBERED = Provider("00", "")


@dataclass(frozen=True, slots=True)
class Fault:
    """A query parameter that is missing or malformed. The value is never kept."""

    parameter: str
    is_missing: bool = False


class ParametersRefused(AccordError):
    """One or several bad parameters, each of which is said."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("parameters_refused", parameters=tuple(dict.fromkeys(one.parameter for one in self.faults)))


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as it is sent: HTTP status and whole body; ``retry_in`` in seconds, where waiting helps."""

    status: int
    body: bytes
    retry_in: int | None


def refused(error: AccordError, *, provider: Provider = UNNUMBERED) -> Refused:
    """What an application is told. ``provider``: of the path it asked."""
    row = _row(error.slug, provider)
    status = int(row.get("status", problem(error.slug).status))
    retry_in = error.facts.get("retry_in")
    return Refused(
        status,
        orjson.dumps({"errors": errors_of(error, provider=provider)}),
        retry_in if isinstance(retry_in, int) else None,
    )


def errors_of(error: AccordError, *, provider: Provider = UNNUMBERED) -> list[Error]:
    """The members of ``errors``."""
    if isinstance(error, ParametersRefused):
        return [_bad_parameter(fault) for fault in error.faults]
    row = _row(error.slug, provider)
    code, words, meta = _words(row, error.slug, provider)
    if row.get("retry") and "retry_in" in error.facts:
        meta["retry_in"] = error.facts["retry_in"]
    detail = words["detail"]
    if row.get("says") == "accord":
        detail = str(problem(error.slug).document(error.facts, base="", language="fr")["detail"])
    return [{"code": code, "title": words["title"], "detail": detail, "source": _source(words), "meta": meta}]


def provider_of(path: str) -> Provider:
    """The data provider that a drop-in path names: the segment after its version."""
    match = _PROVIDER.match(path)
    row = table()["provider"].get(match[1]) if match is not None else None
    if row is None:
        return UNNUMBERED
    return Provider(row["prefix"], row["name"], row.get("unknown"), row.get("says", {}))


@lru_cache(maxsize=1)
def table() -> Mapping[str, Mapping[str, Any]]:
    """``errors.toml``."""
    return tomllib.loads(resources.files("exchange.dropin").joinpath("errors.toml").read_text("utf-8"))


def _row(slug: str, provider: Provider) -> Row:
    row = provider.says.get(slug) or table()["slug"].get(slug)
    return row if row is not None else _BY_STATUS.get(problem(slug).status, _OTHERWISE)


def _words(row: Row, slug: str, provider: Provider) -> tuple[str, Words, dict[str, object]]:
    """Code, words, and ``meta``, which names the provider in the provider's own errors."""
    if "code" in row:
        code = str(row["code"])
        return code, table()["code"][code], {}
    subcode = str(row["subcode"])
    words = table()["subcode"][subcode] if "detail" not in row else {key: str(row[key]) for key in ("title", "detail")}
    if slug == "citizen_unknown_to_holder" and provider.unknown is not None:
        words = provider.unknown
    return provider.prefix + subcode, words, {"provider": provider.name} if provider.name else {}


def _bad_parameter(fault: Fault) -> Error:
    row = table()["parameter"].get(fault.parameter, {"code": "00366"})
    code = str(row.get("missing", row["code"]) if fault.is_missing else row["code"])
    words = table()["code"][code]
    return {
        "code": code,
        "title": words["title"],
        "detail": words["detail"],
        "source": {"parameter": fault.parameter},
        "meta": {},
    }


def _source(words: Words) -> Words | None:
    return next(({key: words[key]} for key in ("parameter", "header") if key in words), None)
