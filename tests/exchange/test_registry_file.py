"""The registry file: right as a whole, or every fault by its line or key and nothing loaded."""

import pytest

from exchange.registry_file import RegistryFileError, parse_registry
from providers.config import HolderConfig
from providers.registry import Datasets, load

_SIRET = "73282932000074"
_FILE = f"""
[[organisation]]
siret = "{_SIRET}"
name = "Commune de Valombre"

[[client]]
client_id = "portail-famille"
name = "Portail famille"
organisation = "{_SIRET}"
redirect_uris = ["https://portail.example/retour"]
sender_constraint = "none"
jwks = {{ keys = [{{ kty = "EC", crv = "P-256", kid = "1", x = "a", y = "b" }}] }}

[[habilitation]]
id = "creche-2026"
organisation = "{_SIRET}"
dataset = "quotient_familial"
fields = ["quotient_familial.valeur"]
purposes = [{{ code = "tarification_creche", fr = "Calculer le tarif", en = "Compute the fee" }}]
legal_basis = "consent"
valid_from = 2026-01-01
valid_until = 2026-12-31
datapass = "12345"

[[auditor]]
subject = "a_{"0" * 64}"
role = "auditor"
label = "Contrôle interne"

[[auditor]]
subject = "a_{"1" * 64}"
role = "operator"
organisation = "{_SIRET}"
"""


@pytest.fixture(scope="module")
def datasets() -> Datasets:
    return load({"api_particulier": HolderConfig(base_url="http://localhost", token="x")})


def _faults(content: str, datasets: Datasets) -> tuple[str, ...]:
    with pytest.raises(RegistryFileError) as caught:
        parse_registry(content.encode(), datasets)
    return caught.value.errors


def test_a_right_file_is_read_whole(datasets: Datasets) -> None:
    file = parse_registry(_FILE.encode(), datasets)
    assert [one.client_id for one in file.client] == ["portail-famille"]
    habilitation = file.habilitation[0]
    assert habilitation.ends() - habilitation.starts() == 365 * 86400
    assert [(one.role, one.organisation) for one in file.auditor] == [("auditor", None), ("operator", _SIRET)]


def test_a_file_without_auditors_lets_nobody_read_the_log(datasets: Datasets) -> None:
    assert parse_registry(_FILE.split("[[auditor]]", maxsplit=1)[0].encode(), datasets).auditor == []


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ('name = "Commune de Valombre"', "name = Commune", "line 4"),
        (f'siret = "{_SIRET}"', 'siret = "73282932000075"', "organisation[1].siret"),
        ('sender_constraint = "none"', "", "client[1].sender_constraint"),
        ('sender_constraint = "none"', 'sender_constraint = "bearer"', "client[1].sender_constraint"),
        ("https://portail.example/retour", "http://portail.example/retour", "client[1].redirect_uris[1]"),
        ("https://portail.example/retour", "https://*.example/retour", "client[1].redirect_uris[1]"),
        ('x = "a"', 'x = "a", d = "secret"', "client[1].jwks"),
        ('dataset = "quotient_familial"', 'dataset = "quotient"', "habilitation[1].dataset"),
        ('"quotient_familial.valeur"', '"quotient_familial.montant"', "habilitation[1].fields[1]"),
        ('fields = ["quotient_familial.valeur"]', "fields = []", "habilitation[1]: fields or derived_only"),
        (
            'fields = ["quotient_familial.valeur"]',
            'derived_only = ["quotient_familial.montant"]',
            "habilitation[1].derived_only[1]",
        ),
        (
            'fields = ["quotient_familial.valeur"]',
            'fields = ["quotient_familial.valeur"]\nderived_only = ["quotient_familial.valeur"]',
            "derived_only: quotient_familial.valeur is among the fields",
        ),
        ("valid_until = 2026-12-31", "valid_until = 2025-12-31", "habilitation[1].valid_until"),
        ("valid_until = 2026-12-31", 'valid_until = "soon"', "habilitation[1].valid_until"),
        ('datapass = "12345"', 'datapas = "12345"', "habilitation[1].datapas"),
        ('legal_basis = "consent"', 'legal_basis = "because"', "habilitation[1].legal_basis"),
        ('role = "auditor"', 'role = "admin"', "auditor[1].role"),
        ('role = "auditor"', "", "auditor[1].role"),
        ("a_0", "b_0", "auditor[1].subject"),
        ("a_0", "a_00", "auditor[1].subject"),
        ("a_0", "a_A", "auditor[1].subject"),
        ("a_" + "0" * 64, "a_" + "1" * 64, "auditor[2].subject"),
        (f'"operator"\norganisation = "{_SIRET}"', '"operator"\norganisation = "1"', "auditor[2].organisation"),
        (
            f'"operator"\norganisation = "{_SIRET}"',
            '"operator"\norganisation = "21990001600011"',
            "auditor[2].organisation: no [[organisation]]",
        ),
        ("Contrôle interne", "", "auditor[1].label"),
        ("Contrôle interne", "x" * 101, "auditor[1].label"),
    ],
)
def test_a_fault_is_named_by_its_line_or_key(right: str, wrong: str, named: str, datasets: Datasets) -> None:
    assert right in _FILE
    faults = _faults(_FILE.replace(right, wrong, 1), datasets)
    assert any(named in fault for fault in faults), faults
    assert not any("secret" in fault for fault in faults)


def test_every_fault_is_named_at_once(datasets: Datasets) -> None:
    faults = _faults(_FILE.replace("consent", "because").replace('fr = "Calculer le tarif", ', ""), datasets)
    assert len(faults) == 2


def test_two_entries_of_one_name_are_refused(datasets: Datasets) -> None:
    assert any("already used" in fault for fault in _faults(_FILE + _FILE, datasets))


@pytest.mark.parametrize("content", [b"\xff", b"[[client", b"x" * 10_000_001])
def test_what_is_not_toml_is_refused_in_a_sentence(content: bytes, datasets: Datasets) -> None:
    with pytest.raises(RegistryFileError):
        parse_registry(content, datasets)
