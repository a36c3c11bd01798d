"""A retention run over whole lives of grants: whom it forgets, what it leaves, what it never makes possible again."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pytest_socket import enable_socket
from sqlalchemy import Engine, inspect, text

from audit.blocks import lookup_key
from audit.checkpoint import NoteVerifier
from audit.log import Log
from audit.merkle import leaf_hash
from audit.model import Append, Receipt
from audit.proof import TlogProof
from audit.query import Queries
from audit.retention import due
from audit.store import open_store
from audit.verifier import UNTIED
from audit.verify_database import verify_database
from consent.authorization.token import AuthorizationCode
from consent.model import Detail, Grant
from consent.ports import ConsentEvent
from consent.retention import EndedGrants
from consent.store import ConsentStore
from exchange import journal
from exchange.database import migrate, open_engine
from exchange.keyring import load_keyring, make_keyring
from exchange.model import Asked, ConsentToken, Habilitation, Permit
from exchange.retention import apply, look, run_retention, schedule_of
from exchange.settings import FranceConnectSettings, Settings
from openapi.fields import PivotIdentity, Siret
from providers.manifest import manifests
from tests.postgres import postgresql_database

pytestmark = pytest.mark.enable_socket

NOW = 1_800_000_000
DAY = 86_400
LONG_AGO, RECENTLY = NOW - 400 * DAY, NOW - 30 * DAY
TOWN = Siret("73282932000074")
FIELD = "quotient_familial.valeur"
IDENTITY = PivotIdentity.from_claims(
    {"family_name": "Canari", "gender": "female", "birthdate": "1980-01-01", "birthcountry": "99109"}
)
DETAIL = Detail("quotient_familial", (FIELD,), "tarification", TOWN, "recurring", expires_at=NOW + DAY)
ONCE, DAILY = replace(DETAIL, access="once"), replace(DETAIL, max_per_day=3)
HABILITATION = Habilitation(
    "h1", TOWN, frozenset(), "quotient_familial", frozenset({FIELD}), {}, "consent", 0, NOW + DAY
)
CANARY, HER_GRANT = "pseudonym-of-the-canary", "grant-of-the-canary"


@dataclass
class World:
    """A deployment's database and keys, with what happened in it."""

    settings: Settings
    engine: Engine
    log: Log
    store: ConsentStore
    receipts: list[Receipt] = field(default_factory=list)
    given: int = 0

    def give(
        self, grant_id: str, citizen: str, *, at: int, detail: Detail = DETAIL, more: tuple[Detail, ...] = ()
    ) -> Grant:
        grant = Grant(
            grant_id=grant_id,
            client_id="portail",
            recipient=TOWN,
            citizen=citizen,
            details=(detail, *more),
            identity=f"sealed identity of {citizen}",
            acr="eidas1",
            legal_basis="consent",
            notice_sha256="0" * 64,
            status_index=self.given,
            given_at=at,
            expires_at=NOW + DAY,
        )
        self.given += 1
        self.add(_event("grant.given", grant, at))
        code = AuthorizationCode(f"code of {grant_id}", grant_id, "portail", "https://portail.example", "c", at + 60)
        assert self.store.add_grant(grant, code)
        self.store.add_refresh_token(f"refresh of {grant_id}", grant_id=grant_id, client_id="portail", now=at)
        return grant

    def use(self, grant: Grant, *, at: int, proof: str | None = None) -> Receipt:
        detail = grant.details[0]
        permit = Permit((FIELD,), detail, HABILITATION)
        asked, token = Asked(f"request {at}", detail.dataset), self._token(grant)
        ground = journal.consented(token, permit, proof=proof, now=at)
        return self.add(journal.access(asked, ground, permit.fields, provider="api_particulier", now=at, began=at))

    def end(self, grant: Grant, *, at: int) -> None:
        self.add(_event("grant.withdrawn", grant, at))
        assert self.store.change(grant.grant_id, "withdrawn", now=at, push=True)

    def add(self, append: Append) -> Receipt:
        self.receipts.append(self.log.append_blocking(append))
        return self.receipts[-1]

    def run(self, *, now: int = NOW) -> tuple[int, int]:
        report = run_retention(self.settings, erase=True, now=now)
        self.check()
        return sum(report.entries.values()), report.grants

    def check(self) -> None:
        verdict = verify_database(self.settings.database_url, self.vkey)
        assert verdict.ok, verdict.findings

    @property
    def vkey(self) -> str:
        return load_keyring(self.settings.keys_dir).log.vkey

    def column(self, statement: str, **parameters: object) -> list[object]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), parameters).scalars())

    def tables_naming(self, index: int) -> set[str]:
        """The tables with a row of this entry."""
        inspector = inspect(self.engine)
        names = [
            one for one in inspector.get_table_names() if "index" in {c["name"] for c in inspector.get_columns(one)}
        ]
        statement = 'SELECT count(*) FROM {} WHERE "index" = :index'
        return {name for name in names if self.column(statement.format(name), index=index) != [0]}

    def everything(self) -> str:
        """Every value of every table; of SQLite, every byte of its files too."""
        said: list[str] = []
        with self.engine.connect() as connection:
            for table in inspect(connection).get_table_names():
                for row in connection.execute(text(f'SELECT * FROM "{table}"')):  # noqa: S608  # a table that is there
                    said += [_readable(value) for value in row]
        if self.engine.dialect.name == "sqlite":
            file = Path(self.settings.database_url.removeprefix("sqlite:///"))
            said += [part.read_bytes().decode("latin-1") for part in file.parent.glob(f"{file.name}*")]
        return "\n".join(said)

    @staticmethod
    def _token(grant: Grant) -> ConsentToken:
        details = {detail.dataset: detail for detail in grant.details}
        return ConsentToken("portail", grant.grant_id, "eidas1", 0, details, grant.citizen, IDENTITY)


def _event(kind: str, grant: Grant, at: int) -> Append:
    event = ConsentEvent(kind, grant.grant_id, grant.citizen, "portail", TOWN, grant.details, "consent", "eidas1")
    return journal.consent_event(event, request_id=f"{kind} at {at}", now=at)


def _readable(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        yield from _world(f"sqlite:///{tmp_path / 'accord.sqlite'}", tmp_path)
        return
    enable_socket()
    with postgresql_database() as url:
        yield from _world(url, tmp_path)


def _world(url: str, folder: Path) -> Iterator[World]:
    settings = Settings(
        issuer="http://localhost:8000",
        keys_dir=folder / "keys",
        database_url=url,
        franceconnect=FranceConnectSettings(issuer="http://localhost:1/fc", client_id="a", client_secret="b"),  # type: ignore[arg-type]  # pydantic makes it secret
    )
    migrate(url)
    make_keyring(settings.keys_dir, log_origin=settings.log_origin)
    engine = open_engine(url)
    with closing(Log.open(open_store(url), load_keyring(settings.keys_dir).log, origin=settings.log_origin)) as log:
        yield World(settings, engine, log, ConsentStore(engine))
    engine.dispose()


def test_after_retention_nobody_can_be_recovered(world: World) -> None:
    for number, detail in enumerate((ONCE, DAILY, DETAIL)):
        hers = world.give(f"{HER_GRANT}-{number}", CANARY, at=LONG_AGO, detail=detail)
        world.use(hers, at=LONG_AGO + 1, proof=f"dpop:1:{HER_GRANT}-{number}")
        assert (world.use(hers, at=LONG_AGO + 2).refused is None) == (detail is not ONCE)
        world.end(hers, at=LONG_AGO + 3)
        assert world.use(hers, at=LONG_AGO + 4).refused is not None
    others = world.give("another", "somebody", at=LONG_AGO)
    kept = world.use(others, at=RECENTLY, proof="dpop:9:x")
    assert all(canary in world.everything() for canary in (CANARY, HER_GRANT))
    assert world.run() == (16, 3)
    everything = world.everything()
    assert not any(canary in everything for canary in (CANARY, HER_GRANT))
    crcs = [lookup_key("citizen", CANARY), *(lookup_key("grant_id", f"{HER_GRANT}-{one}") for one in range(3))]
    assert not set(crcs) & set(world.column("SELECT key FROM log_lookups"))
    # What happened is still proven by what was handed out then; what is kept is as it was.
    store, verifier = open_store(world.settings.database_url), NoteVerifier(world.vkey)
    for receipt in world.receipts:
        entry = Queries(store).entry(receipt.index)
        assert entry is not None
        checkpoint = TlogProof.parse(receipt.proof).verify(leaf_hash(entry.leaf), verifier)
        assert checkpoint.size > receipt.index
        assert (entry.salt is None) == (entry.detail is None) == (receipt.index != kept.index)
    store.close()
    assert world.column("SELECT key FROM log_spent_keys") == ["dpop:9:x"]
    assert world.run() == (0, 0)


def test_a_dry_run_says_the_same_and_changes_nothing(world: World) -> None:
    for number in range(5):
        world.end(world.give(f"g{number}", f"c{number}", at=LONG_AGO), at=LONG_AGO + number * 20 * DAY)
    before = world.everything()
    said = run_retention(world.settings, erase=False, now=NOW)
    assert world.everything() == before
    done = run_retention(world.settings, erase=True, now=NOW)
    assert (said.entries, said.grants) == (done.entries, done.grants)
    counted = {rule.dataset: count for rule, count in said.entries.items()}
    assert counted.keys() == {*manifests(), ""}
    assert {dataset: count for dataset, count in counted.items() if count} == {"quotient_familial": 7}
    assert said.grants == 2


def test_a_single_use_stays_used_up_until_the_authorisation_is_long_over(world: World) -> None:
    grant = world.give("g", "c", at=LONG_AGO, detail=ONCE)
    world.use(grant, at=LONG_AGO + 1)
    assert world.run() == (2, 0)
    assert world.use(grant, at=NOW).refused == "grant_used_up"
    world.end(grant, at=NOW)
    assert world.run(now=NOW + 100 * DAY) == (0, 0)
    assert world.use(grant, at=NOW + 100 * DAY).refused == "grant_withdrawn"
    assert world.run(now=NOW + 500 * DAY) == (3, 1)
    assert world.column("SELECT key FROM log_spent_keys") == world.column("SELECT key FROM log_closed_keys") == []


def test_an_erased_single_use_leads_to_nobody_while_its_authorisation_lasts(world: World) -> None:
    """Open, open for another dataset, withdrawn not long ago: their rows with consent still name the citizen."""
    other = replace(DETAIL, dataset="etudiant_boursier")
    grants = [
        world.give(f"g{5 - one}", f"c{one}", at=LONG_AGO, detail=ONCE, more=(other,) * (one % 2)) for one in range(5)
    ]
    used = [world.use(grant, at=LONG_AGO + 1 + one).index for one, grant in enumerate(grants)]
    world.end(grants[0], at=RECENTLY)
    assert world.run() == (10, 0)
    assert set(world.column("SELECT citizen FROM consent_grants")) == {f"c{one}" for one in range(5)}
    assert all(world.tables_naming(index) == {"log_entries", "log_erased"} for index in used)
    place = "rowid" if world.engine.dialect.name == "sqlite" else "ctid"
    as_they_lie = world.column(f"SELECT key FROM log_spent_keys ORDER BY {place}")  # noqa: S608  # one of two words
    assert as_they_lie == [f"once:g{one}:quotient_familial" for one in range(1, 6)]
    assert [world.use(grant, at=NOW).refused for grant in grants] == ["grant_withdrawn"] + ["grant_used_up"] * 4
    world.check()


def test_no_moment_of_a_run_gives_a_single_use_back(world: World) -> None:
    """Another process asks for it again and again while its key is written anew."""
    grant = world.give("g", "c", at=LONG_AGO, detail=ONCE)
    world.use(grant, at=LONG_AGO + 1)
    refused, done = [], threading.Event()

    def ask() -> None:
        while not done.is_set():
            refused.append(world.use(grant, at=NOW).refused)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert world.run() == (2, 0)
    finally:
        done.set()
        asking.join()
    assert world.column('SELECT "index" FROM log_spent_keys') == [UNTIED]
    assert len(refused) > 1
    assert set(refused) == {"grant_used_up"}


def test_what_a_run_that_was_cut_short_left_tied_the_next_unties(world: World) -> None:
    """Cut after its last erasure, as runs of an earlier version all were."""
    grant = world.give("g", "c", at=LONG_AGO, detail=ONCE)
    used = world.use(grant, at=LONG_AGO + 1).index
    with closing(open_store(world.settings.database_url)) as store:
        found = list(due(store, schedule_of(manifests(), now=NOW)))
        world.add(journal.retention_applied(found[0].rule, found, releases=[], request_id="cut short", now=NOW))
    assert "log_spent_keys" in world.tables_naming(used)
    assert world.run() == (0, 0)
    assert world.tables_naming(used) == {"log_entries", "log_erased"}
    assert world.use(grant, at=NOW).refused == "grant_used_up"


def test_an_authorisation_that_consent_does_not_know_as_ended_stays_closed(world: World) -> None:
    """A crash between the log and the tables: the log's word must last as long as tokens can be made."""
    grant = world.give("g", "c", at=LONG_AGO)
    world.add(_event("grant.withdrawn", grant, LONG_AGO))
    assert world.run() == (2, 0)
    assert world.use(grant, at=NOW).refused == "grant_withdrawn"


def test_the_index_of_a_forgotten_authorisation_is_never_given_again(world: World) -> None:
    grant = world.give("g", "c", at=LONG_AGO)
    later = world.give("later", "c", at=RECENTLY)
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE consent_grants SET supersedes = 'g' WHERE grant_id = 'later'"))
    world.end(grant, at=LONG_AGO)
    listed = world.store.status_list(0)
    assert world.run() == (2, 1)
    code = AuthorizationCode("k", "new", "portail", "https://portail.example", "c", NOW)
    assert not world.store.add_grant(replace(grant, grant_id="new"), code)
    assert world.store.status_list(0) == listed
    assert [one.grant_id for one in world.store.grants_of("c")] == [later.grant_id]
    assert world.store.grants_of("c")[0].supersedes is None
    assert world.store.grant("g") is None
    tables = ("codes", "refresh_tokens", "deliveries")
    assert [world.column(f"SELECT count(*) FROM consent_{table} WHERE grant_id = 'g'") for table in tables] == [[0]] * 3  # noqa: S608  # ours


def test_a_run_that_is_cut_short_leaves_a_sound_log_and_is_run_again(world: World) -> None:
    """Cut between two commits: those of two rules."""
    world.end(world.give("g", "c", at=LONG_AGO), at=LONG_AGO)
    world.add(
        Append(
            {"v": 1, "kind": "refusal", "time": journal.rfc3339(LONG_AGO), "request_id": "r", "outcome": "x"},
            {"duration_ms": 1},
        )
    )
    store, key = open_store(world.settings.database_url), load_keyring(world.settings.keys_dir).log
    moments = iter([float(NOW)])
    with pytest.raises(StopIteration):
        apply(store, key, world.engine, schedule_of(manifests(), now=NOW), clock=lambda: next(moments))
    world.check()
    left = look(store, world.engine, schedule_of(manifests(), now=NOW))
    assert (sum(left.entries.values()), left.grants) == (1, 1)
    assert world.run() == (1, 1)
    store.close()


def test_a_great_many_grants_are_gone_through_page_by_page(world: World) -> None:
    with world.engine.begin() as connection:
        statement = text(
            "INSERT INTO consent_grants (grant_id, client_id, recipient, citizen, details, identity, acr, legal_basis, "
            "notice_sha256, status_index, given_at, expires_at, status, ended_at) VALUES (:id, 'c', 'r', :id, "
            "'[]', '', '', '', '', :index, 0, 0, 'expired', :ended)"
        )
        rows = [{"id": f"g{one:04}", "index": one, "ended": LONG_AGO if one % 3 else NOW} for one in range(1_500)]
        connection.execute(statement, rows)
    ended = EndedGrants(world.engine, cut_off=lambda _datasets: NOW - DAY)
    assert [len(some) for some in ended.due(latest=NOW - DAY)] == [500, 500]
    assert world.run()[1] == 1_000
    assert world.column("SELECT count(*) FROM consent_grants WHERE citizen = ''") == [1_000]
