"""An identity told by parameters: what is understood, what is refused, and when it is the citizen who agreed."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.dropin.call import read_call
from exchange.dropin.identity import Told, differences, read_told
from openapi.fields import FRANCE, CogCode, PivotIdentity
from providers.adapters.api_particulier import identity_parameters
from providers.manifest import manifests

TODAY = date(2026, 11, 25)
QF, STUDENT = manifests()["quotient_familial"], manifests()["statut_etudiant"]
AXELLE = {
    "nomNaissance": "MARTIN",
    "prenoms[]": ["AXELLE", "LAURENCE"],
    "anneeDateNaissance": "1989",
    "moisDateNaissance": "12",
    "jourDateNaissance": "3",
    "sexeEtatCivil": "F",
    "codeCogInseePaysNaissance": "99100",
    "codeCogInseeCommuneNaissance": "35238",
}
CITIZEN = PivotIdentity("Martin", "female", FRANCE, ("Axelle", "Laurence"), "1989-12-03", CogCode("35238"))


def told(changed: dict[str, Any] | None = None, *, manifest: Any = QF) -> Told:
    query = {name: value for name, value in {**AXELLE, **(changed or {})}.items() if value is not None}
    scope = {"path": manifest.path, "query_string": urlencode(query, doseq=True).encode(), "headers": []}
    return read_told(read_call(scope, began=0), manifest, today=TODAY)


def identity(changed: dict[str, Any] | None = None) -> PivotIdentity:
    read = told(changed)
    assert not read.faults, read.faults
    assert read.identity is not None
    return read.identity


def faults(changed: dict[str, Any], *, manifest: Any = QF) -> list[tuple[str, bool]]:
    return [(one.parameter, one.is_missing) for one in told(changed, manifest=manifest).faults]


def test_what_is_told_reaches_the_holder_as_it_was_told() -> None:
    pairs = dict(identity_parameters(QF, identity()))
    assert pairs == {**AXELLE, "prenoms[]": "LAURENCE"}
    assert "MARTIN" not in repr(told())


def test_what_is_unknown_of_a_date_of_birth_is_left_out() -> None:
    assert identity({"jourDateNaissance": None}).birthdate == "1989-12-00"
    assert identity({"moisDateNaissance": None}).birthdate == "1989-00-00"
    assert identity({"anneeDateNaissance": None}).birthdate is None
    assert identity({"moisDateNaissance": "03", "jourDateNaissance": "07"}).birthdate == "1989-03-07"


def test_the_cnav_takes_people_without_given_names_or_date_and_others_do_not() -> None:
    without = dict.fromkeys(("prenoms[]", "anneeDateNaissance", "moisDateNaissance", "jourDateNaissance"))
    assert identity(without).given_names == ()
    assert faults(without, manifest=STUDENT) == [(name, True) for name in without]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nomNaissance", ""),
        ("nomNaissance", "x" * 101),
        ("nomNaissance", "R2D2"),
        ("nomUsage", "<b>"),
        ("prenoms[]", [""]),
        ("prenoms[]", ["A"] * 11),
        ("sexeEtatCivil", "H"),
        ("codeCogInseePaysNaissance", "33000"),
        ("codeCogInseePaysNaissance", ""),
        ("codeCogInseeCommuneNaissance", ""),
        ("codeCogInseeCommuneNaissance", "20000"),
        ("anneeDateNaissance", "1899"),
        ("anneeDateNaissance", "19890000000000000000"),
        ("moisDateNaissance", "0"),
        ("jourDateNaissance", "-1"),
        ("jourDateNaissance", "\u0663"),
        ("annee", "1999"),
        ("mois", "13"),
        ("codeEtablissement", "0751234J"),
    ],
)
def test_a_bad_parameter_is_the_only_one_that_is_named(name: str, value: Any) -> None:
    assert [parameter for parameter, _ in faults({name: value})] == [name]


def test_a_day_that_does_not_exist_or_is_yet_to_come_is_refused() -> None:
    assert faults({"moisDateNaissance": "2", "jourDateNaissance": "30"}) == [("jourDateNaissance", False)]
    tomorrow = {"anneeDateNaissance": "2026", "moisDateNaissance": "11", "jourDateNaissance": "25"}
    assert faults(tomorrow) == [("jourDateNaissance", False)]


def test_a_commune_may_be_told_by_its_name_department_and_year() -> None:
    named = {
        "codeCogInseeCommuneNaissance": None,
        "nomCommuneNaissance": "Saint-Étienne-du-Rouvray",
        "codeCogInseeDepartementNaissance": "76",
    }
    read = told(named)
    assert read.faults == ()
    assert read.parameters == {
        "nomCommuneNaissance": "Saint-Étienne-du-Rouvray",
        "codeCogInseeDepartementNaissance": "76",
    }
    assert read.identity is not None
    assert read.identity.birthplace is None
    assert faults({**named, "codeCogInseeDepartementNaissance": "7"}) == [("codeCogInseeDepartementNaissance", False)]
    assert faults({**named, "anneeDateNaissance": None}) == [("anneeDateNaissance", False)]


def test_someone_born_abroad_needs_no_commune() -> None:
    abroad = identity({"codeCogInseePaysNaissance": "99109", "codeCogInseeCommuneNaissance": None})
    assert (abroad.birthcountry, abroad.birthplace) == ("99109", None)
    assert identity({"codeCogInseePaysNaissance": "92352"}).birthcountry == "92352"


def test_the_month_asked_for_is_told_to_the_holder() -> None:
    assert told({"annee": "2026", "mois": "03"}).parameters == {"annee": "2026", "mois": "03"}


def test_a_path_is_told_no_more_than_its_manifest_says() -> None:
    service = manifests()["service_civique"]
    read = told({"sexeEtatCivil": "?", "codeCogInseePaysNaissance": "?"}, manifest=service)
    assert read.faults == ()
    assert read.identity is not None
    assert {name for name, _ in identity_parameters(service, read.identity)} <= {
        "nomNaissance",
        "prenoms[]",
        "anneeDateNaissance",
        "moisDateNaissance",
        "jourDateNaissance",
    }


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"nomNaissance": "martin"},
        {"nomNaissance": "MÂRTÏN"},
        {"prenoms[]": ["axelle"]},
        {"prenoms[]": None},
        {"jourDateNaissance": None},
        {"anneeDateNaissance": None},
        {"nomUsage": "DUPONT"},
    ],
)
def test_spelling_and_what_is_left_out_make_nobody_else(changed: dict[str, Any]) -> None:
    assert differences(identity(changed), CITIZEN, QF) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nomNaissance", "MARTINE"),
        ("prenoms[]", ["LAURENCE"]),
        ("prenoms[]", ["AXELLE", "LAURENCE", "MARIE"]),
        ("anneeDateNaissance", "1988"),
        ("sexeEtatCivil", "M"),
        ("codeCogInseePaysNaissance", "99109"),
        ("codeCogInseeCommuneNaissance", "35239"),
    ],
)
def test_one_difference_makes_somebody_else(name: str, value: Any) -> None:
    assert differences(identity({name: value}), CITIZEN, QF) == (name,)


def test_what_franceconnect_does_not_know_is_not_taken_on_trust() -> None:
    undated = PivotIdentity("MARTIN", "female", FRANCE, ("AXELLE",), None, CogCode("35238"))
    assert differences(identity({"prenoms[]": ["AXELLE"]}), undated, QF) == ("anneeDateNaissance",)


@given(
    st.dictionaries(
        st.sampled_from([*AXELLE, "nomUsage", "annee", "mois", "nomCommuneNaissance"]), st.text(max_size=30)
    )
)
def test_whatever_is_told_an_identity_or_faults_come_out(changed: dict[str, Any]) -> None:
    read = told(changed)
    assert (read.identity is None) == bool(read.faults)
    assert {one.parameter for one in read.faults} <= {
        *AXELLE,
        "nomUsage",
        "annee",
        "mois",
        "nomCommuneNaissance",
        "codeCogInseeDepartementNaissance",
    }
