"""What becomes of derived answers between the request and the grant."""

from dataclasses import replace
from typing import Any

import pytest

from consent.authorization.authorize import merged, narrowed
from consent.details import from_claims, to_claims
from consent.errors import OAuthError
from consent.model import Detail
from openapi.problem import AccordError
from openapi.rules import MAX_CUTS, Rule
from tests.consent.pages.scene import NOW, PENDING
from tests.consent.world import FIELDS, TOWN

VALUE, MONTH, TOWN_NAME = FIELDS
TRANCHE = Rule("tranche", "bracket", VALUE, (500, 800))
PRESENCE = Rule("a_un_mois", "is_present", MONTH)
DETAIL = Detail("quotient_familial", (TOWN_NAME,), "tarification_creche", TOWN, rules=(TRANCHE, PRESENCE))
ASKED = replace(PENDING, details=(DETAIL,))


def granted(*names: str) -> tuple[Detail, ...]:
    return narrowed(ASKED, fields=(names,), expires_at=int(NOW) + 60, now=int(NOW))


def test_she_grants_some_answers_and_not_others() -> None:
    (only,) = granted("tranche")
    assert (only.fields, only.rules) == ((), (TRANCHE,))
    (both,) = granted("a_un_mois", TOWN_NAME)
    assert (both.fields, both.rules) == ((TOWN_NAME,), (PRESENCE,))
    assert from_claims(to_claims([both])) == (both,)


@pytest.mark.parametrize("names", [("tranche", VALUE), (VALUE,), ("autre",)])
def test_nobody_grants_the_field_that_an_answer_is_about(names: tuple[str, ...]) -> None:
    with pytest.raises(AccordError, match="request_malformed"):
        granted(*names)


def earlier(**changes: Any) -> Detail:
    return replace(DETAIL, **{"fields": (), "rules": (), **changes})


def test_an_extended_authorisation_has_the_answers_of_both() -> None:
    (whole,) = merged([earlier(rules=(PRESENCE,))], [earlier(rules=(TRANCHE,))])
    assert set(whole.rules) == {TRANCHE, PRESENCE}


def test_of_two_rules_of_one_name_the_new_one_counts() -> None:
    newer = replace(TRANCHE, numbers=(650,))
    (whole,) = merged([earlier(rules=(TRANCHE,))], [earlier(rules=(newer,))])
    assert whole.rules == (newer,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # The amount was granted, now its bracket: the screen would say that the amount does not leave.
        ({"fields": (VALUE,)}, {"rules": (TRANCHE,)}),
        ({"rules": (TRANCHE,)}, {"fields": (VALUE,)}),
        # Narrow bounds, an extension at a time.
        (
            {"rules": (Rule("a", "bracket", VALUE, tuple(range(MAX_CUTS))),)},
            {"rules": (Rule("b", "at_least", VALUE, (MAX_CUTS,)),)},
        ),
    ],
)
def test_an_extension_that_would_tell_too_much_is_refused(old: dict[str, Any], new: dict[str, Any]) -> None:
    with pytest.raises(OAuthError) as refused:
        merged([earlier(**old)], [earlier(**new)])
    assert refused.value.code == "invalid_authorization_details"
