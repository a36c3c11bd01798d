"""The log asks its witnesses: what it sends, what it keeps, and what a witness that misbehaves can do to it."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from audit.checkpoint import Checkpoint, NoteSigner
from audit.cosignature import Cosigner
from audit.log import Log
from audit.model import Append
from audit.publication import Publication
from audit.store import open_store
from audit.witness import ADD_CHECKPOINT, SIZE_MEDIA_TYPE
from audit.witness_server import Witness
from audit.witness_state import WitnessState
from audit.witnessing import LONGEST_PAUSE, ConfiguredWitness, Post, WitnessAnswer, WitnessFailed, Witnessing
from tests.audit.conftest import ORIGIN

pytestmark = pytest.mark.enable_socket

NOW = 1_793_577_600
URL = "https://witness.example/w1"
# What a witness answers has nothing to do with the engine.
ON_ONE_ENGINE = pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)


class World:
    """A log, one witness beside it, and what the log's operator was told."""

    def __init__(self, database_url: str, key: NoteSigner, folder: Path) -> None:
        self.log = Log.open(open_store(database_url), key, origin=ORIGIN)
        self.store = open_store(database_url)
        self.publication = Publication(self.store)
        self.key = key
        self.cosigner = Cosigner.generate("witness.example/w1")
        self.told: list[str] = []
        self.now = 0.0
        self.asked = 0
        self._folder = folder
        self._states: list[WitnessState] = []
        self.witness = self.fresh_witness()

    def fresh_witness(self) -> Witness:
        file = self._folder / f"witness-{len(self._states)}.sqlite"
        WitnessState.create(file)
        self._states.append(WitnessState(file))
        return Witness(self.cosigner, state=self._states[-1], logs=[self.key.verifier()], clock=lambda: NOW)

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        assert url == URL + ADD_CHECKPOINT
        self.asked += 1
        answer = self.witness.add_checkpoint(body)
        return WitnessAnswer(answer.status, answer.media_type, answer.text.encode())

    def witnessing(self, post: Post | None = None, *, interval: float = 10.0) -> Witnessing:
        return Witnessing(
            self.store,
            [ConfiguredWitness(URL, self.cosigner.verifier())],
            post=post or self.post,
            tell=lambda word, name: self.told.append(f"{word} {name}"),
            interval=interval,
            clock=lambda: self.now,
        )

    def grow(self, count: int = 1) -> None:
        for number in range(count):
            skeleton = {"v": 1, "kind": "access", "time": "2026-11-24T00:00:00.000Z", "outcome": "ok"}
            self.log.append_blocking(Append({**skeleton, "request_id": str(number)}))

    def cosigned(self) -> list[tuple[int, str]]:
        with self.store.reading() as read:
            return [(row[0], row[1]) for row in read.rows("SELECT size, line FROM log_cosignatures ORDER BY size")]

    def close(self) -> None:
        self.log.close()
        self.store.close()
        for state in self._states:
            state.close()


@pytest.fixture
def world(database_url: str, key: NoteSigner, tmp_path: Path) -> Iterator[World]:
    world = World(database_url, key, tmp_path)
    yield world
    world.close()


def answers(status: int, body: bytes, media_type: str = "text/plain") -> Post:
    return lambda _url, _body: WitnessAnswer(status, media_type, body)


def test_an_empty_log_asks_nobody(world: World) -> None:
    assert world.witnessing().look() == 0
    assert (world.asked, world.told) == (0, [])


def test_a_log_that_grows_is_cosigned_as_it_grows_and_says_so_in_its_checkpoint(world: World) -> None:
    witnessing = world.witnessing()
    for size in (3, 8):
        world.grow(size - len(world.cosigned()) * 3)
        assert witnessing.look() == 1
        published = world.publication.checkpoint()
        assert published is not None
        assert published.size == size
        assert world.key.verifier().open(published.note).size == size
        assert world.cosigner.verifier().find(published.note)[1] == NOW
    # One request each: the size that was cosigned last is known.
    assert (world.asked, world.told) == (2, [])


def test_a_log_that_did_not_grow_asks_nothing(world: World) -> None:
    world.grow()
    witnessing = world.witnessing()
    assert (witnessing.look(), witnessing.look()) == (1, 0)
    assert world.asked == 1


def test_the_newest_cosigned_checkpoint_is_published_beside_the_newest(world: World) -> None:
    assert world.publication.cosigned_checkpoint() is None
    world.grow(2)
    world.witnessing().look()
    world.grow(2)
    newest, cosigned = world.publication.checkpoint(), world.publication.cosigned_checkpoint()
    assert newest is not None
    assert cosigned is not None
    assert (newest.size, cosigned.size) == (4, 2)
    assert world.cosigner.verifier().find(cosigned.note)[1] == NOW
    assert world.cosigner.name not in newest.note


def test_what_the_witness_cosigned_for_another_process_is_learned_from_its_answer(world: World) -> None:
    world.grow(3)
    before = world.publication.checkpoint()
    assert before is not None
    # Another process asked, and died before it kept the answer.
    assert world.post(URL + ADD_CHECKPOINT, b"old 0\n\n" + before.note.encode()).status == 200
    world.grow(4)
    assert world.witnessing().look() == 1
    assert (world.asked, world.told) == (3, [])
    assert [size for size, _ in world.cosigned()] == [7]


@pytest.mark.parametrize("other_is_first", [True, False])
def test_two_processes_that_ask_for_the_same_checkpoint_do_not_disturb_each_other(
    world: World, *, other_is_first: bool
) -> None:
    world.grow(3)
    other = world.witnessing()

    def meanwhile(url: str, body: bytes) -> WitnessAnswer:
        if other_is_first:
            other.look()
        answer = world.post(url, body)
        other.look()
        return answer

    assert world.witnessing(meanwhile).look() == (0 if other_is_first else 1)
    assert [size for size, _ in world.cosigned()] == [3]
    assert world.told == []


def test_a_witness_that_forgot_is_asked_again_and_the_operator_is_told(world: World) -> None:
    witnessing = world.witnessing()
    world.grow(3)
    witnessing.look()
    world.witness = world.fresh_witness()
    world.grow(3)
    assert witnessing.look() == 1
    assert world.told == ["forgot witness.example/w1"]


def test_a_witness_that_is_down_is_asked_after_growing_pauses(world: World) -> None:
    calls: list[float] = []

    def down(_url: str, _body: bytes) -> WitnessAnswer:
        calls.append(world.now)
        raise WitnessFailed("unreachable")

    world.grow()
    witnessing = world.witnessing(down)
    for second in range(8_000):
        world.now = float(second)
        witnessing.look()
    pauses = [round(after - before) for before, after in pairwise(calls)]
    assert pauses[:6] == [20, 40, 80, 160, 320, 600]
    assert max(pauses) == LONGEST_PAUSE
    assert set(world.told) == {"unreachable witness.example/w1"}
    assert world.cosigned() == []


def _of_another_body(world: World) -> bytes:
    return world.cosigner.sign(Checkpoint(ORIGIN, 1, bytes(32)).body(), now=NOW).encode() + b"\n"


def _by_another_key(world: World) -> bytes:
    note = world.publication.checkpoint()
    assert note is not None
    return Cosigner.generate(world.cosigner.name).sign(note.note.split("\n\n")[0] + "\n", now=NOW).encode() + b"\n"


@ON_ONE_ENGINE
@pytest.mark.parametrize(
    "lines", [_of_another_body, _by_another_key, lambda _: b"", lambda _: b"\xff\n", lambda _: b"no line\n"]
)
def test_a_cosignature_that_does_not_verify_is_not_kept(world: World, lines: Callable[[World], bytes]) -> None:
    world.grow()
    assert world.witnessing(answers(200, lines(world))).look() == 0
    assert world.told == ["invalid witness.example/w1"]
    assert world.cosigned() == []


@ON_ONE_ENGINE
@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (answers(404, b"unknown_log\n"), "refused"),
        (answers(500, b""), "refused"),
        (answers(302, b""), "refused"),
        (answers(409, b"0\n"), "refused"),
        (answers(409, b"0\n", SIZE_MEDIA_TYPE), "refused"),
        (answers(409, b"1\n", SIZE_MEDIA_TYPE), "refused"),
        (answers(409, b"01\n", SIZE_MEDIA_TYPE), "refused"),
        (answers(409, b"1", SIZE_MEDIA_TYPE), "refused"),
        (answers(409, b"\xff\n", SIZE_MEDIA_TYPE), "refused"),
        (answers(409, b"9\n", SIZE_MEDIA_TYPE), "ahead"),
        (answers(409, b"9223372036854775807\n", SIZE_MEDIA_TYPE), "ahead"),
    ],
)
def test_any_other_answer_is_told_by_one_word(world: World, answer: Post, word: str) -> None:
    world.grow()
    assert world.witnessing(answer).look() == 0
    assert world.told == [f"{word} witness.example/w1"]


def test_a_defect_ends_neither_the_thread_nor_the_others_turn(world: World) -> None:
    def broken(_url: str, _body: bytes) -> WitnessAnswer:
        raise ZeroDivisionError

    world.grow()
    second = Cosigner.generate("witness.example/w2")
    witnessing = Witnessing(
        world.store,
        [
            ConfiguredWitness("https://broken.example", second.verifier()),
            ConfiguredWitness(URL, world.cosigner.verifier()),
        ],
        post=lambda url, body: broken(url, body) if "broken" in url else world.post(url, body),
        tell=lambda word, name: world.told.append(f"{word} {name}"),
        interval=10,
    )
    assert witnessing.look() == 1
    assert world.told == ["failed witness.example/w2"]


def test_an_append_does_not_wait_for_a_witness_that_hangs(world: World) -> None:
    hanging, released = threading.Event(), threading.Event()

    def hangs(_url: str, _body: bytes) -> WitnessAnswer:
        hanging.set()
        released.wait(30)
        raise WitnessFailed("unreachable")

    world.grow()
    witnessing = world.witnessing(hangs, interval=0.01)
    witnessing.start()
    assert hanging.wait(10)
    began = time.monotonic()
    world.grow(5)
    assert time.monotonic() - began < 5
    released.set()
    witnessing.close()


def test_the_thread_asks_by_itself_and_stops_when_told(world: World) -> None:
    world.grow(2)
    witnessing = world.witnessing(interval=0.01)
    witnessing.start()
    deadline = time.monotonic() + 10
    while not world.cosigned() and time.monotonic() < deadline:
        time.sleep(0.01)
    witnessing.close()
    assert [size for size, _ in world.cosigned()] == [2]
