"""``accord providers check`` names every fault at once; what ``new`` drafts is served once a person finished it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from exchange.cli import app
from tests.conftest import REPOSITORY
from tests.invented_holder import OPENAPI, PATH

MANIFESTS = REPOSITORY / "providers/manifests"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["providers", *map(str, arguments)])


def _changed(tmp_path: Path, dataset: str, *changes: tuple[str, str], strip: bool = False) -> Path:
    content = (MANIFESTS / f"{dataset}.toml").read_text()
    # A fault of an example would be found first.
    content = content.replace(", example = true", "").replace(', example = "F"', "") if strip else content
    for right, wrong in (*changes, (f'dataset = "{dataset}"', 'dataset = "another"')):
        assert right in content
        content = content.replace(right, wrong, 1)
    file = tmp_path / "another.toml"
    file.write_text(content)
    return file


@pytest.fixture
def openapi(tmp_path: Path) -> Path:
    file = tmp_path / "holder.yaml"
    file.write_text(OPENAPI)
    return file


@pytest.mark.parametrize("holder", ["api_particulier", "api_entreprise"])
def test_the_catalogue_agrees_with_the_states_own_files(reference: Path, holder: str) -> None:
    file = reference / holder.replace("_", "-") / "openapi.yaml"
    checked = _run("check", "--openapi", file, "--holder", holder)
    assert checked.exit_code == 0, checked.output
    assert f"those of {holder}" in checked.output


def test_the_schema_alone_is_checked_without_a_holders_file() -> None:
    checked = _run("check")
    assert checked.exit_code == 0, checked.output
    assert f"{len(list(MANIFESTS.glob('*.toml')))} manifests are right" in checked.output


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ('path = "/v5', 'path = "/v9', "path: /v9/men/scolarites/identite: no GET in the holder's file"),
        ('"annee_scolaire" =', '"annee_d_ecole" =', "fields.'annee_d_ecole': not in the holder's answer"),
        ('type = "boolean", fr = "Bour', 'type = "number", fr = "Bour', "fields.'est_boursier'.type: number, and"),
        ('type = "integer", nullable = true', 'type = "integer"', "fields.'echelon_bourse'.nullable: the holder's may"),
        ('type = "string", fr = "Sexe', 'type = "string", many = true, fr = "Sexe', "fields.'identite.sexe'.many: the"),
        ('example = "F"', 'example = "X"', "fields.'identite.sexe'.example: not a value that the holder gives"),
        ('"birthdate", "gender"]', '"birthdate"]', "parameters: the holder requires sexeEtatCivil"),
        (
            '"birthdate", "gender"]',
            '"birthdate", "gender", "birthplace"]',
            "identity: the holder takes no codeCogInsee",
        ),
        ("[parameters.degreE", "[parameters.degree]\npattern='x'\nfr='x'\nen='x'\n[parameters.degreE", "'degree': the"),
        ('pattern = "20', 'required = false\npattern = "20', "'anneeScolaire'.required: the holder requires it"),
        ("[parameters.anneeScolaire]", "links = ['next']\n[parameters.anneeScolaire]", "links: no 'next' in the"),
    ],
)
def test_a_difference_with_the_holders_file_names_file_and_key(
    reference: Path, tmp_path: Path, right: str, wrong: str, named: str
) -> None:
    file = _changed(tmp_path, "scolarites", (right, wrong), strip="example" not in right)
    checked = _run("check", "--openapi", reference / "api-particulier/openapi.yaml", file)
    assert checked.exit_code == 1
    assert "another.toml: " in checked.output
    assert named in checked.output


def test_every_error_of_every_file_is_said_in_one_run(reference: Path, tmp_path: Path) -> None:
    changes = (('"annee_scolaire" =', '"annee_d_ecole" ='), ('example = "F"', 'example = "X"'))
    _changed(tmp_path, "scolarites", *changes)
    (tmp_path / "broken.toml").write_text('dataset = "broken"\nsubject = "cat"\n')
    checked = _run("check", "--openapi", reference / "api-particulier/openapi.yaml", tmp_path)
    assert checked.exit_code == 1
    for named in ("another.toml: fields.'annee_d_ecole'", "identite.sexe", "broken.toml: subject", "path is missing"):
        assert named in checked.output


def test_an_adapter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    checked = _run("check", _changed(tmp_path, "scolarites", ('holder = "api_particulier"', 'holder = "region"')))
    assert checked.exit_code == 1
    assert "another.toml: adapter: 'region' is none of" in checked.output


@pytest.mark.parametrize("content", ["{", "paths: 3", "- a", "\x00", "a: &a [*a]"])
def test_a_file_that_is_no_openapi_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(content)
    checked = _run("check", "--openapi", file)
    assert checked.exit_code == 2
    assert "odd.yaml" in checked.output


def test_a_draft_has_what_the_file_knows_and_is_refused_until_a_person_finished_it(
    tmp_path: Path, openapi: Path
) -> None:
    draft = tmp_path / "carte_transport.toml"
    made = _run("new", "--openapi", openapi, "--path", PATH, "--dataset", "carte_transport", "--output", draft)
    assert made.exit_code == 0, made.output
    text = draft.read_text()
    assert '"carte.date_fin_validite" = { type = "date", nullable = true' in text
    assert '"trajets.zones" = { type = "integer", many = true' in text
    assert '"titulaire.nom" = { type = "string", fr = "Nom", en = "Surname"' in text
    assert 'identity = ["family_name", "given_names", "birthdate"]' in text
    assert "given_names = 1" in text
    assert "[parameters.reseau]" in text
    refused = _run("check", "--openapi", openapi, "--holder", "region", draft)
    assert refused.exit_code == 1
    assert "carte_transport.toml: provider.fr: words that a citizen understands" in refused.output


def test_a_draft_never_overwrites_a_file(tmp_path: Path, openapi: Path) -> None:
    kept = tmp_path / "kept.toml"
    kept.write_text("mine")
    made = _run("new", "--openapi", openapi, "--path", PATH, "--dataset", "carte_transport", "--output", kept)
    assert made.exit_code == 2
    assert kept.read_text() == "mine"


def test_a_path_that_the_file_lacks_is_named(openapi: Path) -> None:
    made = _run("new", "--openapi", openapi, "--path", "/v1/other", "--dataset", "other")
    assert made.exit_code == 2
    assert "/v1/other: no GET in the holder's file" in made.output
