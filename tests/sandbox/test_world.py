"""The demo's world: a registry Accord loads, settings it reads, secrets made anew."""

import tomllib
from datetime import date
from pathlib import Path

import pytest
from dotenv import dotenv_values

from openapi.fields import siret
from sandbox.app import people_of
from sandbox.world import ENVIRONMENT_FILE, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "it's a world", port=8010, sandbox_port=8011, today=lambda: date(2026, 11, 2))


def test_the_registry_names_the_town_its_portal_and_what_it_may_ask(world: World) -> None:
    registry = tomllib.loads(world.registry.read_text(encoding="utf-8"))
    (organisation, *_), (client, *_), (habilitation, *_) = (
        registry["organisation"],
        registry["client"],
        registry["habilitation"],
    )
    assert siret(organisation["siret"]) == client["organisation"] == habilitation["organisation"]
    assert client["redirect_uris"] == ["http://localhost:8011/retour"]
    assert client["sender_constraint"] == "none"
    assert habilitation["valid_from"] <= date(2026, 11, 2) <= habilitation["valid_until"]
    assert {"fr", "en"} < habilitation["purposes"][0].keys()


def test_the_portal_asks_only_for_what_it_may(world: World) -> None:
    (habilitation, *_) = tomllib.loads(world.registry.read_text(encoding="utf-8"))["habilitation"]
    portal = world.sandbox.portal
    assert set(portal.fields) <= set(habilitation["fields"])
    assert portal.purpose == habilitation["purposes"][0]["code"]


def test_the_registry_holds_the_portals_public_key_alone(world: World) -> None:
    (client, *_) = tomllib.loads(world.registry.read_text(encoding="utf-8"))["client"]
    (jwk,) = client["jwks"]["keys"]
    assert "d" not in jwk
    assert jwk["kid"] == world.sandbox.portal.key.kid


def test_the_environment_survives_any_folder_name_and_is_its_owners_alone(world: World) -> None:
    file = world.folder / ENVIRONMENT_FILE
    settings = dotenv_values(file)
    assert settings["ACCORD_ISSUER"] == "http://localhost:8010"
    assert settings["ACCORD_KEYS_DIR"] == str(world.folder / "keys")
    assert settings["ACCORD_FRANCECONNECT__CLIENT_SECRET"] == world.sandbox.partner.client_secret
    assert settings["ACCORD_HOLDERS__API_PARTICULIER__TOKEN"] == world.sandbox.holder_token
    assert file.stat().st_mode & 0o077 == 0


def test_two_worlds_share_no_secret(world: World, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other", port=8010, sandbox_port=8011)
    assert other.sandbox.holder_token != world.sandbox.holder_token
    assert other.sandbox.partner.client_secret != world.sandbox.partner.client_secret
    assert other.sandbox.portal.key.kid != world.sandbox.portal.key.kid


def test_no_secret_is_in_the_worlds_representation(world: World) -> None:
    shown = repr(world)
    assert world.sandbox.holder_token not in shown
    assert world.sandbox.partner.client_secret not in shown


def test_everyone_in_the_files_can_log_in_under_her_own_key(world: World) -> None:
    people = people_of(world.sandbox.families)
    assert len({person.key for person in people}) == len(world.sandbox.families) > 0
    assert all(person.label for person in people)


def test_the_states_own_fixtures_make_a_world(tmp_path: Path, reference: Path) -> None:
    folder = reference / "api-particulier/fixtures/api_particulier_v3_cnav_quotient_familial_with_civility"
    world = make_world(tmp_path, port=8010, sandbox_port=8011, fixtures=folder)
    assert len(world.sandbox.families) == len(list(folder.glob("*.yaml")))
