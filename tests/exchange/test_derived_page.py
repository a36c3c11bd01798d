"""The page about derived answers says what the code does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from consent.details import parse_details
from exchange.bridge import ManifestCatalogue
from openapi.fields import Siret
from openapi.rules import LARGEST, MAX_CUTS, MAX_RULES, MEMBERS, NO_ANSWER, OLDEST, read_rules
from providers.config import HolderConfig
from providers.derived import derive
from providers.registry import load
from tests.exchange.test_policy import _CLIENT

PAGE = (Path(__file__).parents[2] / "docs" / "derived-answers.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_the_request_on_the_page_is_accepted_and_its_answers_have_the_names_asked_for() -> None:
    datasets = load({"api_particulier": HolderConfig("http://localhost", "token")})
    (detail,) = parse_details(json.dumps(BLOCKS[0]), client=_CLIENT, catalogue=ManifestCatalogue(datasets), now=1)
    assert detail.recipient == Siret("73282932000074")
    assert {rule.kind for rule in detail.rules} | {"at_least"} == set(MEMBERS)
    record: Any = {"quotient_familial": {"valeur": 732}, "enfants": [{"date_naissance": "2020-00-00"}]}
    derived = {name: one.to_json() for name, one in derive(detail.rules, record, at=1_780_000_000).items()}
    assert BLOCKS[1]["derived"].items() <= derived.items()
    assert read_rules(BLOCKS[2]["rules"]) == detail.rules[:1]


@pytest.mark.parametrize("said", [*(f"| `{kind}` |" for kind in MEMBERS), *(f"| `{reason}` |" for reason in NO_ANSWER)])
def test_every_rule_and_every_reason_has_its_row(said: str) -> None:
    assert said in PAGE


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert (LARGEST, MAX_CUTS, MAX_RULES, OLDEST) == (10**9, 12, 8, 120)
    assert "at most 8 rules" in PAGE
    assert "at most 12 numbers" in PAGE
    assert "1 to 120" in PAGE
