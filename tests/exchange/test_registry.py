"""The registry in the database: read back whole, replaced whole, with the auditors it lets in."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from audit.auditors import Auditor
from exchange.database import migrate, open_engine
from exchange.registry import EMPTY, RegistryStore
from exchange.registry_file import RegistryFile
from exchange.tables import Base
from openapi.fields import Siret
from tests.postgres import postgresql_database

SIRET = "73282932000074"
CLAIRE, MARC, NADIA = (f"a_{digit * 64}" for digit in "012")
FILE = RegistryFile.model_validate(
    {
        "organisation": [{"siret": SIRET, "name": "Commune de Valombre"}],
        "auditor": [
            {"subject": CLAIRE, "role": "auditor", "label": "Claire Fontaine"},
            {"subject": MARC, "role": "auditor", "organisation": SIRET},
            {"subject": NADIA, "role": "operator"},
        ],
    }
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.enable_socket)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The same claims hold on both databases."""
    with ExitStack() as stack:
        on_disk = f"sqlite:///{tmp_path / 'registry.sqlite'}"
        url = on_disk if request.param == "sqlite" else stack.enter_context(postgresql_database())
        migrate(url)
        engine = open_engine(url)
        stack.callback(engine.dispose)
        yield engine


def test_the_migrations_make_the_tables_the_code_declares(engine: Engine) -> None:
    with engine.connect() as connection:
        mine = {"include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **mine})
        assert compare_metadata(context, Base.metadata) == []


def test_a_habilitation_for_answers_alone_is_read_back_as_such(engine: Engine) -> None:
    habilitation = {
        "id": "h",
        "organisation": SIRET,
        "dataset": "quotient_familial",
        "derived_only": ["quotient_familial.valeur"],
        "purposes": [{"code": "tarif", "fr": "f", "en": "e"}],
        "legal_basis": "consent",
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2026, 12, 31),
    }
    store = RegistryStore(engine)
    store.replace(
        RegistryFile.model_validate({**FILE.model_dump(), "habilitation": [habilitation]}), content=b"", now=1
    )
    (read,) = store.read().habilitations[Siret(SIRET), "quotient_familial"]
    assert (read.fields, read.answerable) == (frozenset(), frozenset({"quotient_familial.valeur"}))


def test_an_empty_registry_lets_nobody_read_the_log(engine: Engine) -> None:
    assert RegistryStore(engine).read() == EMPTY
    assert EMPTY.auditors == {}


def test_auditors_are_read_back_with_their_role_and_their_limit(engine: Engine) -> None:
    store = RegistryStore(engine)
    version = store.replace(FILE, content=b"", now=1)
    read = store.read()
    assert (version, read.version) == (1, 1)
    assert read.auditors == {
        CLAIRE: Auditor(CLAIRE, "auditor", None),
        MARC: Auditor(MARC, "auditor", SIRET),
        NADIA: Auditor(NADIA, "operator", None),
    }


def test_an_auditor_the_file_no_longer_names_is_gone_after_the_next_load(engine: Engine) -> None:
    store = RegistryStore(engine)
    store.replace(FILE, content=b"", now=1)
    store.replace(FILE.model_copy(update={"auditor": FILE.auditor[1:]}), content=b"", now=2)
    assert store.read().auditors.keys() == {MARC, NADIA}
    store.replace(RegistryFile(), content=b"", now=3)
    assert store.read().auditors == {}


def test_what_the_operator_calls_an_auditor_is_not_in_the_database(engine: Engine) -> None:
    RegistryStore(engine).replace(FILE, content=b"", now=1)
    columns = {column["name"] for column in inspect(engine).get_columns("registry_auditors")}
    assert columns == {"subject", "role", "organisation", "token_sha256"}
