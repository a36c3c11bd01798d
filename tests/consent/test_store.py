from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine
from sqlmodel import Session, func, select

from consent.authorization.par import AuthorizationRequest, PushedRequest
from consent.authorization.token import AuthorizationCode
from consent.model import Detail, Grant
from consent.status import WITHDRAWN, StatusList
from consent.store import CODE_MEMORY, ConsentStore
from consent.tables import AssertionRow, Base, CodeRow, RequestRow
from tests.consent.conftest import migrated
from tests.consent.world import CALLBACK, FIELDS, NOTICE, NOW, TOWN, challenge
from tests.postgres import postgresql_database

DETAIL = Detail("quotient_familial", FIELDS, "tarification_creche", TOWN, "recurring", expires_at=NOW + 60)
GRANT = Grant(
    grant_id="g1",
    client_id="portail-famille",
    recipient=TOWN,
    citizen="jeanne",
    details=(DETAIL,),
    identity="sealed",
    acr="eidas1",
    legal_basis="CRPA L114-8",
    notice_sha256=NOTICE,
    status_index=7,
    given_at=NOW,
    expires_at=NOW + 60,
)
CODE = AuthorizationCode("hash", "g1", "portail-famille", CALLBACK, challenge(), NOW + 60)
ASKED = AuthorizationRequest((DETAIL,), CALLBACK, None, challenge())
PUSHED = PushedRequest("key", "portail-famille", ASKED, NOW + 90)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.enable_socket)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The same claims hold on both databases."""
    with ExitStack() as stack:
        on_disk = f"sqlite:///{tmp_path / 'consent.sqlite'}"
        url = on_disk if request.param == "sqlite" else stack.enter_context(postgresql_database())
        yield stack.enter_context(migrated(url))


def rows(engine: Engine, table: type) -> int:
    with Session(engine) as session:
        return session.exec(select(func.count()).select_from(table)).one()


def another(number: int) -> tuple[Grant, AuthorizationCode]:
    grant_id = f"g{number}"
    grant = replace(GRANT, grant_id=grant_id, status_index=number, given_at=NOW + number)
    return grant, replace(CODE, key=f"hash{number}", grant_id=grant_id)


def test_the_migrations_make_the_tables_the_code_declares(engine: Engine) -> None:
    with engine.connect() as connection:
        mine = {"include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **mine})
        assert compare_metadata(context, Base.metadata) == []


def test_what_is_stored_is_read_back_whole(store: ConsentStore) -> None:
    assert store.add_grant(GRANT, CODE)
    assert store.grant("g1") == GRANT
    assert store.code("hash") == CODE
    assert store.grants_of("jeanne") == [GRANT]
    assert store.grants_of("somebody else") == []
    assert store.grant("g2") is None
    assert store.code("other") is None


def test_no_two_grants_share_a_status_index_and_nothing_of_the_second_is_kept(store: ConsentStore) -> None:
    assert store.add_grant(GRANT, CODE)
    second = replace(GRANT, grant_id="g2")
    assert not store.add_grant(second, replace(CODE, key="hash2", grant_id="g2"))
    assert store.grant("g2") is None
    assert store.code("hash2") is None


def test_a_citizens_grants_come_newest_first(store: ConsentStore) -> None:
    for number in (2, 1, 3):
        assert store.add_grant(*another(number))
    assert [grant.grant_id for grant in store.grants_of("jeanne")] == ["g3", "g2", "g1"]


def test_a_request_lives_until_it_lapses_or_is_decided(store: ConsentStore) -> None:
    store.add_request(PUSHED, now=NOW)
    opened = store.open_request("key", client_id="portail-famille", now=NOW + 89, until=NOW + 1000)
    assert opened == replace(PUSHED, expires_at=NOW + 1000)
    again = store.open_request("key", client_id="portail-famille", now=NOW + 999, until=NOW + 9999)
    assert again == opened
    assert store.decide_request("key", now=NOW + 999)
    assert not store.decide_request("key", now=NOW + 999)
    assert store.open_request("key", client_id="portail-famille", now=NOW + 999, until=NOW + 9999) is None
    store.release_request("key")
    assert store.decide_request("key", now=NOW + 999)


def test_a_request_that_lapsed_or_is_anothers_does_not_open(store: ConsentStore) -> None:
    store.add_request(PUSHED, now=NOW)
    assert store.open_request("key", client_id="autre-portail", now=NOW, until=NOW + 1000) is None
    assert store.open_request("key", client_id="portail-famille", now=NOW + 90, until=NOW + 1000) is None
    assert not store.decide_request("key", now=NOW + 90)


def test_what_lapsed_is_forgotten(store: ConsentStore, engine: Engine) -> None:
    store.add_request(PUSHED, now=NOW)
    store.add_request(replace(PUSHED, key="key2", expires_at=NOW + 500), now=NOW + 90)
    assert rows(engine, RequestRow) == 1
    store.spend_assertion("a", expires_at=NOW + 60, now=NOW)
    store.spend_assertion("b", expires_at=NOW + 600, now=NOW + 60)
    assert rows(engine, AssertionRow) == 1
    store.add_grant(GRANT, CODE)
    grant, code = another(2)
    store.add_grant(replace(grant, given_at=CODE.expires_at + CODE_MEMORY), code)
    assert rows(engine, CodeRow) == 1


def test_an_assertion_is_spent_once(store: ConsentStore) -> None:
    assert store.spend_assertion("a", expires_at=NOW + 60, now=NOW)
    assert not store.spend_assertion("a", expires_at=NOW + 60, now=NOW)


def test_of_many_simultaneous_uses_one_succeeds(store: ConsentStore) -> None:
    store.add_grant(GRANT, CODE)
    store.add_request(PUSHED, now=NOW)
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: store.use_code("hash", now=NOW), range(8)))
        decisions = list(pool.map(lambda _: store.decide_request("key", now=NOW), range(8)))
        spent = list(pool.map(lambda _: store.spend_assertion("a", expires_at=NOW + 9, now=NOW), range(8)))
    assert [sum(codes), sum(decisions), sum(spent)] == [1, 1, 1]


def test_a_withdrawal_is_told_once_to_those_who_ask_for_changes(store: ConsentStore) -> None:
    store.add_grant(GRANT, CODE)
    store.add_grant(*another(2))
    assert store.last_change() == 0
    store.change("g1", "withdrawn", now=NOW + 5)
    store.change("g1", "withdrawn", now=NOW + 9)
    store.change("unknown", "withdrawn", now=NOW + 9)
    ended = store.grant("g1")
    assert ended == replace(GRANT, status="withdrawn", ended_at=NOW + 5)
    assert store.changes_since(0) == [(1, 7, WITHDRAWN)]
    store.change("g2", "withdrawn", now=NOW + 10)
    assert store.last_change() == 2
    assert store.changes_since(1) == [(2, 2, WITHDRAWN)]
    assert store.changes_since(2) == []


def test_withdrawals_at_the_same_moment_take_different_numbers(store: ConsentStore) -> None:
    for number in range(16):
        store.add_grant(*another(number))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.change(f"g{number}", "withdrawn", now=NOW), range(16)))
    changes = store.changes_since(0)
    assert [change for change, _, _ in changes] == list(range(1, 17))
    statuses = StatusList()
    for _, index, status in changes:
        statuses.set(index, status)
    assert {statuses.get(index) for index in range(16)} == {WITHDRAWN}


def test_a_grant_shows_nothing_of_the_citizen() -> None:
    assert "jeanne" not in repr(GRANT)
