"""A log behind a web server: what is public is verified by anybody, the rest by whoever has a token."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from audit.auditors import Auditor
from audit.publication import Publication
from audit.replay.run import Options, verify
from audit.sources import fetch
from audit.sources.locate import source_of
from audit.sources.port import SourceUnavailable
from audit.store import open_store
from audit.tile_routes import router
from openapi.problem import AccordError, problem
from tests.audit.served import TOKEN, Public, serving
from tests.audit.verified_log import ERASED, SIZE, Sample

pytestmark = pytest.mark.enable_socket


def test_a_served_folder_verifies_like_the_folder(sample: Sample, folder: Path) -> None:
    with serving(partial(Public, directory=str(folder))) as url:
        verdict = verify(source_of(url + "/"), sample.vkey, Options(witnesses=(sample.witness,)))
    assert (verdict.ok, verdict.size, verdict.unchecked) == (True, SIZE, []), verdict.findings
    assert verdict.checked["details"] == SIZE - len(ERASED) - 2
    assert verdict.checked["checkpoints"] == len(sample.notes)


def test_without_a_token_the_public_tree_is_verified_and_the_verdict_says_so(sample: Sample, folder: Path) -> None:
    with serving(partial(Public, directory=str(folder), token=TOKEN)) as url:
        verdict = verify(source_of(url), sample.vkey)
    assert (verdict.ok, verdict.size, verdict.checked["entries"]) == (True, SIZE, 0), verdict.findings
    assert verdict.checked["checkpoints"] == len(sample.notes)
    assert verdict.unchecked == ["entries were not read: the tree of their hashes was verified against the checkpoint"]


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/002.p/92", "tile/1/000.p/2"])
def test_a_changed_public_tile_is_found_without_a_token(sample: Sample, tmp_path: Path, path: str) -> None:
    sample.write(tmp_path)
    content = bytearray((tmp_path / path).read_bytes())
    content[40] ^= 1
    (tmp_path / path).write_bytes(content)
    with serving(partial(Public, directory=str(tmp_path), token=TOKEN)) as url:
        assert not verify(source_of(url), sample.vkey).ok


def test_with_a_token_everything_is_verified(sample: Sample, folder: Path) -> None:
    with serving(partial(Public, directory=str(folder), token=TOKEN)) as url:
        verdict = verify(source_of(url, token=TOKEN), sample.vkey)
        assert (verdict.ok, verdict.checked["entries"]) == (True, SIZE), verdict.findings
        with pytest.raises(SourceUnavailable, match="whoever has this token"):
            verify(source_of(url, token="another"), sample.vkey)


def test_a_tile_that_became_full_since_is_read_in_its_place(sample: Sample, tmp_path: Path) -> None:
    size = 480
    sample.write(tmp_path / "then", size=size)
    for path in sample.write(tmp_path / "now"):
        if not path.endswith((".p/92", "checkpoint", "checkpoints.jsonl", "erased.jsonl")):
            (tmp_path / "then" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "then" / path).write_bytes((tmp_path / "now" / path).read_bytes())
    gone: list[str] = []
    for path in (tmp_path / "then").rglob("*.p"):
        if path.with_suffix("").exists():
            for partial_tile in path.iterdir():
                partial_tile.unlink()
                gone.append(partial_tile.relative_to(tmp_path / "then").as_posix())
    assert {"tile/0/001.p/224", "tile/entries/001.p/224"} <= set(gone)
    with serving(partial(Public, directory=str(tmp_path / "then"))) as url:
        # Its details are those of the log of now, of which entries that come later say what was erased.
        verdict = verify(source_of(url, details=False), sample.vkey)
    assert (verdict.ok, verdict.size, verdict.checked["entries"]) == (True, size, size), verdict.findings


def test_what_a_server_does_not_list_is_named_as_not_checked(sample: Sample, folder: Path) -> None:
    handler = partial(Public, directory=str(folder), hidden=("checkpoints.jsonl", "log.vkey"))
    with serving(handler) as url:
        verdict = verify(source_of(url), sample.vkey)
    assert verdict.ok
    assert verdict.unchecked == ["the earlier checkpoints are not there: the newest alone was verified"]


EVERYTHING = Auditor("subject-1", "auditor", None)
OPERATOR = Auditor("subject-2", "operator", None)
WHO = {f"Bearer {TOKEN}": EVERYTHING, "Bearer operator": OPERATOR}


@contextmanager
def accords_own(url: str) -> Iterator[str]:
    """Accord's routes over a database."""
    store, app = open_store(url), FastAPI()
    publication = Publication(store, most_checkpoints=5)
    auditor_of = lambda request: WHO.get(request.headers.get("Authorization", ""))  # noqa: E731  # who has which token
    app.include_router(router(publication, auditor_of=auditor_of, recorded=lambda _auditor, _facts: None))

    @app.exception_handler(AccordError)
    def _answer(_request: Request, error: AccordError) -> JSONResponse:
        return JSONResponse({"slug": error.slug}, problem(error.slug).status)

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/log"
    finally:
        server.should_exit = True
        thread.join(10)
        store.close()


def test_accords_own_server_is_verified_by_everybody_as_far_as_each_may_look(sample: Sample) -> None:
    with accords_own(sample.url) as url:
        anybody = verify(source_of(url), sample.vkey)
        operator = verify(source_of(url, token="operator", details=False), sample.vkey)
        with pytest.raises(SourceUnavailable, match="does not show details"):
            verify(source_of(url, token="operator"), sample.vkey)
        auditor = verify(source_of(url, token=TOKEN), sample.vkey, Options(witnesses=(sample.witness,)))
    for verdict in (anybody, operator, auditor):
        assert (verdict.ok, verdict.size, verdict.root) == (True, SIZE, anybody.root), verdict.findings
        assert verdict.checked["checkpoints"] == len(sample.notes)
    assert [verdict.checked["entries"] for verdict in (anybody, operator, auditor)] == [0, SIZE, SIZE]
    assert [verdict.checked["details"] for verdict in (anybody, operator, auditor)] == [0, 0, SIZE - len(ERASED) - 2]
    assert auditor.checked["cosignatures"] == 1
    assert auditor.checked["erased"] == len(ERASED) + 2
    assert not auditor.unchecked


ANSWERS: Mapping[str, tuple[int, bytes, float]] = {
    "endless": (200, b"x" * 70_000, 0.0),
    "redirect": (302, b"", 0.0),
    "broken": (500, b"", 0.0),
    "silent": (200, b"", 3.0),
}


class Wrong(BaseHTTPRequestHandler):
    """Answers everything with one answer."""

    def __init__(self, *given: Any, answer: tuple[int, bytes, float], stop: threading.Event, **named: Any) -> None:
        self.answer = answer
        self.stop = stop
        super().__init__(*given, **named)

    def do_GET(self) -> None:  # as the standard library calls it
        status, content, seconds = self.answer
        self.stop.wait(seconds)
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(content) or 9))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("name", ANSWERS)
def test_a_server_that_answers_wrongly_is_no_verdict(
    sample: Sample, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)
    stop = threading.Event()
    with serving(partial(Wrong, answer=ANSWERS[name], stop=stop)) as url:
        with pytest.raises(SourceUnavailable):
            verify(source_of(url), sample.vkey)
        stop.set()


@pytest.mark.parametrize(
    "url", ["http://accord.example/log", "https://u:p@accord.example/log", "http:///log", "https://a.example/log?x"]
)
def test_a_token_goes_nowhere_in_clear_and_an_address_is_one(url: str) -> None:
    with pytest.raises(SourceUnavailable):
        source_of(url, token=TOKEN).open()
    assert TOKEN not in repr(source_of(url, token=TOKEN))
