"""The log over HTTP: what anybody may read, what auditors may read, and that nothing else is served."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from audit.auditors import Auditor
from audit.checkpoint import NoteSigner
from audit.entry import seal
from audit.layout import WIDTH, TilePath, entries_of, tiles_of
from audit.log import Log
from audit.merkle import HASH_BYTES, leaf_hash
from audit.model import Append
from audit.publication import Publication
from audit.sources.files import details_path
from audit.store import Store, open_store
from audit.tile_routes import router
from audit.verification import root_of_leaves
from openapi.problem import AccordError, problem
from tests.audit.conftest import ORIGIN

pytestmark = pytest.mark.enable_socket

SIZE = 700
EVERYTHING = Auditor("subject-1", "auditor", None)
ONE_TOWN = Auditor("subject-2", "auditor", "21350238800019")
OPERATOR = Auditor("subject-3", "operator", None)
PAGE = 20
ON_ONE_ENGINE = pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass
class World:
    """The routes over a store, who asks, and what was recorded before she was answered."""

    client: TestClient
    store: Store
    asks: Auditor | None = None
    recorded: list[tuple[str, str]] = field(default_factory=list)
    fails: bool = False

    def get(self, path: str, *, status: int = 200) -> bytes:
        answer = self.client.get(f"/log/{path}")
        assert answer.status_code == status, (path, answer.text)
        return answer.content


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    store, app = open_store(database_url), FastAPI()

    def record(auditor: Auditor, facts: Mapping[str, str]) -> None:
        if world.fails:
            raise AccordError("log_unavailable", retry_in=5)
        world.recorded.append((auditor.subject, facts["path"]))

    publication = Publication(store, most_checkpoints=PAGE)
    app.include_router(router(publication, auditor_of=lambda _request: world.asks, recorded=record))

    @app.exception_handler(AccordError)
    def _answer(_request: Request, error: AccordError) -> JSONResponse:
        return JSONResponse({"slug": error.slug}, problem(error.slug).status)

    with TestClient(app) as client:
        world = World(client, store)
        yield world
    store.close()


def fill(database_url: str, key: NoteSigner, count: int, *, max_batch: int = 512) -> None:
    log = Log.open(open_store(database_url), key, origin=ORIGIN, max_queue=100_000, max_batch=max_batch, timeout=60)

    async def all_of_them() -> None:
        await asyncio.gather(*(log.append(entry(number)) for number in range(count)))

    asyncio.run(all_of_them())
    log.close()


def entry(number: int) -> Append:
    skeleton = {"v": 1, "kind": "access", "time": "2026-11-24T00:00:00.000Z", "outcome": "ok"}
    return Append({**skeleton, "request_id": str(number)}, {"citizen": f"c{number}"})


def test_before_the_first_entry_nothing_is_published(world: World) -> None:
    for path in ("checkpoint", "checkpoint/cosigned", "tile/0/000", "tile/0/000.p/1", "tile/1/000.p/1"):
        world.get(path, status=404)
    assert world.get("checkpoints") == b""
    world.asks = EVERYTHING
    for path in ("tile/entries/000.p/1", "details/000.p/1"):
        world.get(path, status=404)
    assert world.recorded == []


def test_from_the_tiles_anybody_makes_the_signed_root_again(world: World, database_url: str, key: NoteSigner) -> None:
    fill(database_url, key, SIZE)
    checkpoint = key.verifier().open(world.get("checkpoint").decode())
    assert checkpoint.size == SIZE
    levels: dict[int, list[bytes]] = {}
    for path in tiles_of(SIZE):
        if path.level != "entries":
            content = world.get(str(path))
            assert len(content) == path.width * HASH_BYTES
            hashes = [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
            levels.setdefault(int(path.level), []).extend(hashes)
    assert root_of_leaves(levels[0]) == checkpoint.root
    assert levels[1] == [root_of_leaves(levels[0][at : at + WIDTH]) for at in (0, WIDTH)]


def test_a_tile_is_served_at_every_width_up_to_the_present_one_and_no_further(
    world: World, database_url: str, key: NoteSigner
) -> None:
    fill(database_url, key, SIZE)
    full, edge = world.get("tile/0/000"), world.get("tile/0/002.p/188")
    for width in (1, 100, 255):
        assert world.get(f"tile/0/000.p/{width}") == full[: width * HASH_BYTES]
    for width in (1, 187):
        assert world.get(f"tile/0/002.p/{width}") == edge[: width * HASH_BYTES]
    for beyond in ("0/002.p/189", "0/002", "0/003", "0/003.p/1", "1/000.p/3", "1/000", "1/001.p/1", "2/000.p/1"):
        world.get(f"tile/{beyond}", status=404)


@ON_ONE_ENGINE
@pytest.mark.parametrize("path", ["0/x999/x999/999", "7/x999/x999/x999/x999/x999/x999/999", "63/000", "0/x000/001"])
def test_a_tile_that_no_log_has_is_not_found(world: World, path: str) -> None:
    world.get(f"tile/{path}", status=404)


@ON_ONE_ENGINE
@pytest.mark.parametrize("path", ["64/000", "-1/000", "00/000", "a/000", "0/1", "0/000.p/0", "0/000.p/256", "0/000/"])
def test_what_is_no_path_of_a_tile_is_refused(world: World, path: str) -> None:
    assert world.client.get(f"/log/tile/{path}").status_code in {404, 422}


@ON_ONE_ENGINE
def test_what_never_changes_is_kept_by_caches_and_what_does_is_not(
    world: World, database_url: str, key: NoteSigner
) -> None:
    fill(database_url, key, 300)
    world.asks = EVERYTHING
    kept = {
        "tile/0/000": (FOR_EVER, "application/octet-stream"),
        "tile/0/001.p/44": ("public, max-age=60", "application/octet-stream"),
        "checkpoint": ("no-cache", "text/plain; charset=utf-8"),
        "checkpoints": ("no-cache", "application/x-ndjson"),
        "tile/entries/000": ("private, no-store", "application/octet-stream"),
        "details/000": ("private, no-store", "application/x-ndjson"),
    }
    for path, expected in kept.items():
        headers = world.client.get(f"/log/{path}").headers
        assert (headers["cache-control"], headers["content-type"]) == expected, path
        assert ("access-control-allow-origin" in headers) == ("private" not in expected[0]), path


def test_every_checkpoint_is_listed_in_order_page_after_page(world: World, database_url: str, key: NoteSigner) -> None:
    fill(database_url, key, PAGE + 5, max_batch=1)
    sizes: list[int] = []
    while page := [
        json.loads(line) for line in world.get(f"checkpoints?after={sizes[-1] if sizes else 0}").splitlines()
    ]:
        assert len(page) <= PAGE
        sizes += [one["size"] for one in page]
        assert all(key.verifier().open(one["note"]).size == one["size"] for one in (page[0], page[-1]))
    assert sizes == list(range(1, PAGE + 6))
    assert world.get(f"checkpoints?after={2**63 - 1}") == b""


@ON_ONE_ENGINE
@pytest.mark.parametrize("path", ["tile/entries/000", "details/000.p/3"])
def test_entries_are_for_auditors_of_everything_alone(
    world: World, database_url: str, key: NoteSigner, path: str
) -> None:
    fill(database_url, key, 300)
    assert json.loads(world.get(path, status=401)) == {"slug": "auditor_login_required"}
    world.asks = ONE_TOWN
    assert json.loads(world.get(path, status=403)) == {"slug": "auditor_not_allowed"}
    assert world.recorded == []


@ON_ONE_ENGINE
def test_an_operator_reads_entries_and_no_details(world: World, database_url: str, key: NoteSigner) -> None:
    fill(database_url, key, 300)
    world.asks = OPERATOR
    world.get("tile/entries/000")
    world.get("details/000", status=403)
    assert world.recorded == [(OPERATOR.subject, "tile/entries/000")]


def test_bundles_hash_to_the_tiles_beside_them_and_open_with_their_details(
    world: World, database_url: str, key: NoteSigner
) -> None:
    fill(database_url, key, 300)
    world.asks = EVERYTHING
    for path in (TilePath("entries", 0), TilePath("entries", 1, 44), TilePath("entries", 0, 7)):
        entries = entries_of(world.get(str(path)), width=path.width)
        tile = world.get(str(TilePath(0, path.number, path.width)))
        assert b"".join(map(leaf_hash, entries)) == tile
        details = [json.loads(line) for line in world.get(details_path(path.number, path.width)).splitlines()]
        assert [one["index"] for one in details] == list(range(path.first, path.first + path.width))
        for leaf, one in zip(entries, details, strict=True):
            assert json.loads(leaf)["sealed"] == seal(bytes.fromhex(one["salt"]), one["detail"].encode())
    for beyond in ("tile/entries/001", "tile/entries/001.p/45", "details/001.p/45", "tile/entries/002.p/1"):
        world.get(beyond, status=404)


def test_an_erased_detail_is_absent_from_what_is_served(world: World, database_url: str, key: NoteSigner) -> None:
    fill(database_url, key, 5)
    log = Log.open(open_store(database_url), key, origin=ORIGIN)
    log.append_blocking(Append({"v": 1, "kind": "retention.applied", "time": "t", "outcome": "ok"}, erases=(1, 3)))
    log.close()
    world.asks = EVERYTHING
    assert [json.loads(line)["index"] for line in world.get("details/000.p/6").splitlines()] == [0, 2, 4, 5]
    assert len(entries_of(world.get("tile/entries/000.p/6"), width=6)) == 6
    erased = [json.loads(line) for line in world.get("erased.jsonl").splitlines()]
    assert erased == [{"index": 1, "by": 5}, {"index": 3, "by": 5}]


@ON_ONE_ENGINE
def test_nothing_leaves_before_the_reading_is_recorded(world: World, database_url: str, key: NoteSigner) -> None:
    fill(database_url, key, 300)
    world.asks, world.fails = EVERYTHING, True
    for path in ("tile/entries/000", "details/000", "erased.jsonl"):
        assert json.loads(world.get(path, status=503)) == {"slug": "log_unavailable"}
    world.fails = False
    world.get("tile/entries/001.p/44")
    world.get("details/001.p/44")
    assert world.recorded == [(EVERYTHING.subject, "tile/entries/001.p/44"), (EVERYTHING.subject, "details/001.p/44")]


def test_a_full_tile_is_one_row_and_nothing_else_is_asked(database_url: str, key: NoteSigner) -> None:
    fill(database_url, key, 300)
    counting = _Counting(open_store(database_url))
    assert Publication(counting).tile(TilePath(0, 0)) is not None  # type: ignore[arg-type]  # what reading needs of a store
    assert len(counting.statements) == 1
    counting.close()


class _Counting:
    """A store whose readers' statements are noted."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.statements: list[str] = []

    def reading(self) -> "_Counting":
        return self

    def __enter__(self) -> Self:
        self._session = self._inner.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def rows(self, statement: str, parameters: "tuple[object, ...]" = ()) -> list[object]:
        self.statements.append(statement)
        return list(self._session.rows(statement, parameters))

    def close(self) -> None:
        self._inner.close()


def test_a_log_that_cannot_be_read_says_so() -> None:
    app = FastAPI()
    nowhere = open_store("sqlite:////nowhere/at/all.sqlite")
    app.include_router(router(Publication(nowhere), auditor_of=lambda _: None, recorded=lambda _a, _b: None))

    @app.exception_handler(AccordError)
    def _answer(_request: Request, error: AccordError) -> JSONResponse:
        return JSONResponse({"slug": error.slug}, problem(error.slug).status)

    with TestClient(app) as client:
        answer = client.get("/log/checkpoint")
    assert (answer.status_code, answer.json()) == (503, {"slug": "log_unavailable"})
