"""The registry of problems."""

import re
from pathlib import Path

import orjson
import pytest

from openapi.problem import AccordError, problem, problems
from tests.conftest import REPOSITORY

_RAISED = re.compile(r'(?:AccordError|Refusal)\(\s*"([a-z_]+)"|code = "([a-z_]+)"')
_POLICY = re.compile(r'_refuse\("([a-z_]+)"')
_PACKAGES = ("exchange", "consent", "providers", "audit", "openapi")


def _sources() -> list[Path]:
    return [path for package in _PACKAGES for path in (REPOSITORY / package).rglob("*.py")]


def test_every_problem_speaks_both_languages_and_says_what_to_do() -> None:
    for slug, row in problems().items():
        assert 400 <= row.status <= 599, slug
        for language in ("fr", "en"):
            assert row.title[language], slug
            assert len(row.detail[language]) > 20, slug


def test_every_slug_that_the_code_raises_is_registered() -> None:
    raised = {match[1] or match[2] for path in _sources() for match in _RAISED.finditer(path.read_text())}
    raised |= set(_POLICY.findall((REPOSITORY / "exchange" / "policy.py").read_text()))
    assert len(raised) > 20
    assert raised - problems().keys() == set()


def test_an_unregistered_slug_answers_as_a_defect_of_ours() -> None:
    assert problem("no_such_slug").slug == "internal_error"


@pytest.mark.parametrize("slug", sorted(problems()))
def test_a_document_has_the_members_of_rfc_9457(slug: str) -> None:
    row = problem(slug)
    error = AccordError(slug, retry_in=5, fields=("a", "b"))
    document = orjson.loads(row.encode(error.facts, base="https://accord.example", instance="1", language="fr"))
    assert document["type"] == f"https://accord.example/problems/{slug}"
    assert document["status"] == row.status
    assert document["title"] == row.title["fr"]
    assert document["fields"] == ["a", "b"]
    assert "{" not in document["detail"]
