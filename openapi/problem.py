"""What Accord says when it refuses: the registry of problems (RFC 9457).

A problem lives once, in ``problems.toml``: its slug, HTTP status, title and what to do about it, in
French and English. Code raises :class:`AccordError` with a slug and facts and never names a status;
the edges turn it into a problem document, an OAuth error or a page.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal, TypeAlias

import orjson

Language: TypeAlias = Literal["fr", "en"]
Fact: TypeAlias = str | int | tuple[str, ...]

MEDIA_TYPE = "application/problem+json"


class AccordError(Exception):
    """A refusal or a failure with a registered slug.

    ``facts`` fill the placeholders of the problem's text and travel as extension members
    (RFC 9457 section 3.2). They are public: never a name, a value, a token or an identity.
    """

    def __init__(self, slug: str, **facts: Fact) -> None:
        super().__init__(slug)
        self.slug = slug
        self.facts: Mapping[str, Fact] = facts


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the registry."""

    slug: str
    status: int
    title: Mapping[Language, str]
    detail: Mapping[Language, str]

    def document(
        self,
        facts: Mapping[str, Fact],
        *,
        base: str,
        instance: str | None = None,
        language: Language = "en",
    ) -> dict[str, object]:
        """The problem document. ``base`` is the issuer's URL, under which each problem has a page."""
        body: dict[str, object] = {
            "type": f"{base}/problems/{self.slug}",
            "title": self.title[language],
            "status": self.status,
            "detail": self.detail[language].format_map(_Spoken(facts)),
        }
        if instance is not None:
            body["instance"] = f"urn:uuid:{instance}"
        body.update({key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()})
        return body

    def encode(
        self,
        facts: Mapping[str, Fact],
        *,
        base: str,
        instance: str | None = None,
        language: Language = "en",
    ) -> bytes:
        """:meth:`document` as JSON bytes."""
        return orjson.dumps(self.document(facts, base=base, instance=instance, language=language))


class _Spoken(dict[str, str]):
    """Facts as a sentence shows them; a missing one shows as a dash rather than failing a refusal."""

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        super().__init__(
            {key: ", ".join(value) if isinstance(value, tuple) else str(value) for key, value in facts.items()}
        )

    def __missing__(self, key: str) -> str:
        return "-"


@lru_cache(maxsize=1)
def problems() -> Mapping[str, Problem]:
    """Every registered problem by slug."""
    source = resources.files("openapi").joinpath("problems.toml").read_text(encoding="utf-8")
    return {slug: _row(slug, row) for slug, row in tomllib.loads(source).items()}


def problem(slug: str) -> Problem:
    """The registered problem. An unregistered slug is a defect of ours and answers as ``internal_error``."""
    registry = problems()
    return registry.get(slug, registry["internal_error"])


def _row(slug: str, row: Mapping[str, object]) -> Problem:
    status, title, detail = row["status"], row["title"], row["detail"]
    if not isinstance(status, int) or not isinstance(title, dict) or not isinstance(detail, dict):
        raise TypeError(f"problems.toml: [{slug}] needs status, title and detail")
    return Problem(slug, status, title, detail)
