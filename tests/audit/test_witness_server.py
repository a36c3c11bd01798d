"""A witness that serves: what it remembers, in which order, and what it answers."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from audit.checkpoint import NoteSigner
from audit.cosignature import Cosigner
from audit.witness import MAX_REQUEST_BYTES, SIZE_MEDIA_TYPE, write_request
from audit.witness_server import Witness, create_witness
from audit.witness_state import StateUnavailable, WitnessState
from tests.audit.test_witness import KEY, note, path

WITNESS = Cosigner.generate("witness.example/w1")
NOW = 1_793_577_600
HASH = sha256(KEY.name.encode()).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    WitnessState.create(tmp_path / "witness.sqlite")
    return tmp_path / "witness.sqlite"


@pytest.fixture
def client(file: Path) -> Iterator[TestClient]:
    state = WitnessState(file)
    witness = Witness(WITNESS, state=state, logs=[KEY.verifier()], clock=lambda: NOW)
    with TestClient(create_witness(witness), raise_server_exceptions=False) as client:
        yield client
    state.close()


def request(old: int, size: int, *, root: bytes | None = None) -> bytes:
    return write_request(old, path(old, size), note(size, root=root))


def ask(client: TestClient, content: bytes) -> tuple[int, str]:
    answer = client.post("/add-checkpoint", content=content)
    return answer.status_code, answer.text


def test_a_growing_log_is_cosigned_step_by_step(client: TestClient) -> None:
    for old, size in ((0, 0), (0, 3), (3, 3), (3, 256), (256, 300)):
        status, line = ask(client, request(old, size))
        assert status == 200
        assert WITNESS.verifier().find(note(size) + line)[1] == NOW


def test_every_refusal_has_the_specifications_status(client: TestClient) -> None:
    assert ask(client, request(0, 9))[0] == 200
    assert ask(client, b"old 9\n")[0] == 400
    assert ask(client, write_request(10, [], note(9)))[0] == 400
    other = NoteSigner.generate("other.example/log")
    assert ask(client, write_request(9, [], note(9, key=other)))[0] == 404
    assert ask(client, write_request(9, [], note(9, key=NoteSigner.generate(KEY.name))))[0] == 403
    assert ask(client, write_request(9, [], note(12)))[0] == 422
    assert ask(client, request(9, 9, root=bytes(32)))[0] == 422
    assert client.get("/add-checkpoint").status_code == 405


def test_another_size_is_named_in_the_answer(client: TestClient) -> None:
    ask(client, request(0, 9))
    answer = client.post("/add-checkpoint", content=request(0, 12))
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (409, SIZE_MEDIA_TYPE, "9\n")
    assert ask(client, request(9, 12))[0] == 200


def test_the_newest_cosigned_checkpoint_is_served_with_both_signatures(client: TestClient) -> None:
    assert client.get(f"/{HASH}/checkpoint").status_code == 404
    # Lines of others are not handed on.
    with_another = note(5) + WITNESS.sign("another body\n", now=1) + "\n"
    _, line = ask(client, write_request(0, [], with_another))
    answer = client.get(f"/{HASH}/checkpoint")
    assert answer.text == note(5) + line
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert KEY.verifier().open(answer.text).size == 5
    assert WITNESS.verifier().find(answer.text)[1] == NOW


def test_a_body_is_bounded_in_size(client: TestClient) -> None:
    assert ask(client, b"x" * (MAX_REQUEST_BYTES + 1))[0] == 400


def test_a_body_that_does_not_arrive_is_not_waited_for(file: Path) -> None:
    state = WitnessState(file)
    app = create_witness(Witness(WITNESS, state=state, logs=[KEY.verifier()], clock=lambda: NOW), body_seconds=0.05)
    scope = {"type": "http", "method": "POST", "path": "/add-checkpoint", "headers": [], "query_string": b""}
    sent: list[int] = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: "dict[str, object]") -> None:
        sent.append(message.get("status", 0))  # type: ignore[arg-type]  # a status

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]  # ASGI by its bare types
    state.close()
    assert sent[0] == 400


def test_what_was_cosigned_is_known_after_a_restart(file: Path) -> None:
    for old, size, expected in ((0, 9, 200), (0, 12, 409), (9, 12, 200)):
        state = WitnessState(file)
        witness = Witness(WITNESS, state=state, logs=[KEY.verifier()], clock=lambda: NOW)
        assert witness.add_checkpoint(request(old, size)).status == expected
        state.close()


def test_nothing_is_signed_before_it_is_remembered(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON cosigned BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    state = WitnessState(file)
    witness = Witness(WITNESS, state=state, logs=[KEY.verifier()], clock=lambda: NOW)
    with pytest.raises(StateUnavailable):
        witness.add_checkpoint(request(0, 9))
    with TestClient(create_witness(witness)) as client:
        answer = client.post("/add-checkpoint", content=request(0, 9))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert client.get(f"/{HASH}/checkpoint").status_code == 404
    state.close()


def test_a_state_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable):
        WitnessState(tmp_path / "gone.sqlite")
    assert not list(tmp_path.iterdir())
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(StateUnavailable):
        WitnessState(tmp_path / "empty.sqlite")
    with pytest.raises(FileExistsError):
        WitnessState.create(tmp_path / "empty.sqlite")


def test_of_two_requests_at_once_one_is_cosigned_and_none_goes_back(file: Path) -> None:
    # Two processes' worth of connections, many threads, one log that grows by itself.
    states = [WitnessState(file) for _ in range(2)]
    witnesses = [Witness(WITNESS, state=state, logs=[KEY.verifier()], clock=lambda: NOW) for state in states]
    cosigned: list[tuple[int, int]] = []

    def grow(mine: int) -> None:
        for _ in range(12):
            with states[mine % 2].turn() as turn:
                old = turn.seen(KEY.name).size
            size = min(old + 1 + mine, 300)
            if witnesses[mine % 2].add_checkpoint(request(old, size)).status == 200:
                cosigned.append((old, size))

    threads = [threading.Thread(target=grow, args=(mine,)) for mine in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    for state in states:
        state.close()
    steps = [step for step in cosigned if step[0] != step[1]]
    assert len({old for old, _ in steps}) == len(steps), "two trees were cosigned on top of one"
    chain, at = dict(steps), 0
    while at in chain:
        at = chain.pop(at)
    assert not chain, "a cosigned tree is on no path from the first"


def test_a_split_view_is_refused_and_kept(client: TestClient, file: Path) -> None:
    ask(client, request(0, 9))
    assert ask(client, request(9, 9, root=bytes(32)))[0] == 422
    assert ask(client, write_request(9, [bytes(32)], note(12, root=bytes(range(32)))))[0] == 422
    # With another old size it is answered 409, and is no less of a proof.
    assert ask(client, request(0, 9, root=bytes([7] * 32)))[0] == 409
    for _ in range(3):
        ask(client, request(9, 9, root=bytes(32)))
    with closing(sqlite3.connect(file)) as connection:
        kept = connection.execute("SELECT size, root, note, received_at FROM refused ORDER BY size, root").fetchall()
    assert [(size, root) for size, root, _, _ in kept] == [
        (9, bytes(32)),
        (9, bytes([7] * 32)),
        (12, bytes(range(32))),
    ]
    for size, root, text, at in kept:
        # Signed by the log: nobody else could have made it.
        assert (KEY.verifier().open(text).size, KEY.verifier().open(text).root, at) == (size, root, NOW)
    assert ask(client, request(9, 12))[0] == 200


def test_what_is_kept_of_refused_checkpoints_is_bounded(file: Path) -> None:
    state = WitnessState(file, most_kept=2)
    witness = Witness(WITNESS, state=state, logs=[KEY.verifier()], clock=lambda: NOW)
    witness.add_checkpoint(request(0, 9))
    for size in range(10, 15):
        assert witness.add_checkpoint(write_request(9, [bytes(32)], note(size))).status == 422
    witness.add_checkpoint(request(9, 9, root=bytes(32)))
    state.close()
    with closing(sqlite3.connect(file)) as connection:
        assert [row[0] for row in connection.execute("SELECT size FROM refused ORDER BY size")] == [9, 10, 11]


def test_the_files_of_a_witness_are_its_owners(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
