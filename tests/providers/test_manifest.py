"""A manifest says everything of a dataset once; whatever is wrong with it is said at once, with its file and key."""

import pytest

from openapi.fields import PivotIdentity
from providers.confirmation import confirms
from providers.manifest import ManifestError, manifests, parse_manifest, read_manifests
from providers.registry import catalogue
from tests.conftest import REPOSITORY

_CONTENT = (REPOSITORY / "providers/manifests/scolarites.toml").read_text()
_CANARY = PivotIdentity.from_claims(
    {"family_name": "Canari", "gender": "female", "birthdate": "1980-05-17", "birthcountry": "99100"}
    | {"given_name_array": ["Zoé", "Aline"]}
)


def _errors(*changes: tuple[str, str]) -> tuple[str, ...]:
    content = _CONTENT
    for right, wrong in changes:
        assert right in content
        content = content.replace(right, wrong, 1)
    with pytest.raises(ManifestError) as caught:
        parse_manifest(content, name="scolarites.toml")
    return caught.value.errors


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ('subject = "citizen"', 'subject = "cat"', "subject: one of citizen, company"),
        ('retention = "P1Y"', 'retention = "1 year"', "retention: "),
        ("requests = 20", "requests = 0", "limits.requests: a whole number from 1 to 100000"),
        ("requests = 20, ", "", "limits.requests: how many"),
        ("identity = [", 'identity = ["shoe_size", ', "identity: each one of family_name"),
        ('path = "/v5', 'path = "v5', "path: a path below"),
        ('path = "/v5', 'path = "/{other}/v5', "path: {other} is not among the parameters"),
        ('pattern = "[12]D"', 'pattern = "[12"', "parameters.'degreEtablissement'.pattern: a regular expression"),
        ("men_echelon_bourse = [", "men_autre = [", "opens: men_autre is not a key"),
        (
            'men_echelon_bourse = ["echelon',
            'men_echelon_bourse = ["echelons',
            "opens.men_echelon_bourse: 'echelons_bourse'",
        ),
        ("required = false", 'required = "no"', "required: true or false"),
        ('"est_scolarise" =', '"est scolarise" =', "fields.'est scolarise': names joined by dots"),
        ('"identite.nom" =', '"identite" =', "fields.'identite.prenom': not inside another field"),
        ('type = "boolean", fr = "Scol', 'type = "flag", fr = "Scol', "fields.'est_scolarise'.type: one of string"),
        ("example = true", 'example = "yes"', "example: a value of type boolean"),
        ('en = "Whether the pupil is', 'en = "TODO: whether', "fields.'est_scolarise'.en: words that a citizen"),
        ('dataset = "scolarites"', 'dataset = "Scolarités"', "dataset: 2 to 64 small letters"),
        ("[fields]", "[colours]", "fields is missing"),
        ('holder = "api_particulier"', "", "holder is missing"),
        ('path = "/v5', 'pat = "/v5', "pat is not a key of a manifest"),
        ("dataset =", "dataset", "line "),
    ],
)
def test_a_fault_is_named_by_file_and_key(right: str, wrong: str, named: str) -> None:
    errors = _errors((right, wrong))
    assert any(error.startswith("scolarites.toml: ") and named in error for error in errors), errors


def test_every_fault_is_said_in_one_reading() -> None:
    errors = _errors(
        ('subject = "citizen"', 'subject = "cat"'), ("requests = 20", "requests = 0"), ('fr = "Code', 'french = "Code')
    )
    assert len(errors) == 4
    assert [any(key in error for error in errors) for key in ("subject", "limits", "fr is missing", "french")] == [
        True
    ] * 4


def test_two_manifests_of_one_dataset_or_with_two_limits_for_one_group_are_refused() -> None:
    other = _CONTENT.replace('dataset = "scolarites"', 'dataset = "other"').replace("requests = 20", "requests = 30")
    _, faults = read_manifests([("a.toml", _CONTENT), ("b.toml", _CONTENT), ("c.toml", other)])
    assert faults == [
        "b.toml: dataset: 'scolarites' is that of a.toml",
        "c.toml: limits: group 'json_resources_particulier' has other limits in a.toml",
    ]


def test_every_field_of_the_catalogue_about_citizens_is_worded_in_both_languages() -> None:
    for manifest in catalogue().values():
        words = [manifest.title, manifest.provider, *(field.label for field in manifest.fields.values())]
        assert all(label["fr"].strip() and label["en"].strip() for label in words), manifest.dataset


@pytest.mark.parametrize(
    ("surname", "given", "birthdate", "agrees"),
    [
        ("CANARI", "ZOE", "1980-05-17", True),
        ("canari", "ZOE ALINE", "1980-05-17T00:00:00", True),
        ("SERIN", "ZOE", "1980-05-17", False),
        ("CANARI", "LEA", "1980-05-17", False),
        ("CANARI", "ZOE", "1980-05-18", False),
        ("CANARI", "", "1980-05-17", False),
        ("CANARI", "ZOE", "", False),
        ("", "ZOE", "1980-05-17", False),
    ],
)
def test_an_answer_is_held_against_the_citizens_identity(
    surname: str, given: str, birthdate: str, agrees: bool
) -> None:
    record = {"identite": {"nom_naissance": surname, "prenom": given, "date_naissance": birthdate}}
    assert confirms(manifests()["demandeur_emploi"].confirms, record, _CANARY) is agrees


def test_an_identity_without_a_birthdate_confirms_nothing() -> None:
    claims = {name: value for name, value in _CANARY.to_claims().items() if name != "birthdate"}
    record = {"identite": {"nom_naissance": "CANARI", "prenom": "ZOE", "date_naissance": ""}}
    assert not confirms(manifests()["demandeur_emploi"].confirms, record, PivotIdentity.from_claims(claims))
