"""A server that never ends, in whatever way: the verification waits so long and holds so much, and not more."""

import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from audit.replay.run import verify
from audit.sources import fetch, web
from audit.sources.bundles import PartReader
from audit.sources.locate import source_of
from audit.sources.port import SourceUnavailable
from tests.audit.served import TOKEN, Public, serving
from tests.audit.verified_log import SIZE, Sample

pytestmark = pytest.mark.enable_socket

PACE = 0.02
"""Seconds between two pieces: any wait for one of them alone is short."""
BOUND = 0.5
"""Seconds that are waited for a file, or for a list."""
ENOUGH = 10.0
"""Seconds after which nobody waits any more."""


class Trickling(BaseHTTPRequestHandler):
    """Answers everything piece by piece, without end."""

    def __init__(self, *given: Any, pieces: tuple[bytes, ...], stop: threading.Event, **named: Any) -> None:
        self.pieces = pieces
        self.stop = stop
        super().__init__(*given, **named)

    def do_GET(self) -> None:  # as the standard library calls it
        first, again = (*self.pieces, b"x")[:2]
        self.wfile.write(first)
        while not self.stop.wait(PACE):
            self.wfile.write(again)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


OK = b"HTTP/1.1 200 OK\r\n"
TRICKLES = {
    "a status": (b"HTTP/1.1 200 ",),
    "a header": (OK + b"X-Long: ",),
    "headers": (OK, b"X-Another: x\r\n"),
    "content": (OK + b"Content-Length: 90000\r\n\r\n",),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a chunk's extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;",),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fetch, "WHOLE_SECONDS", BOUND)
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(web, "LIST_SECONDS", BOUND)
    began = time.monotonic()
    yield
    assert time.monotonic() - began < ENOUGH


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", TRICKLES)
def test_an_answer_that_comes_byte_by_byte_is_waited_for_so_long_and_not_longer(sample: Sample, name: str) -> None:
    stop = threading.Event()
    with serving(partial(Trickling, pieces=TRICKLES[name], stop=stop)) as url:
        with pytest.raises(SourceUnavailable, match=r"did not come within|no answer"):
            verify(source_of(url), sample.vkey)
        stop.set()


class Paging(Public):
    """Has no list of checkpoints; gives one to a page, and never comes to an end."""

    def do_GET(self) -> None:  # noqa: N802  # as the standard library calls it
        asked = urlsplit(self.path)
        if asked.path == "/checkpoints.jsonl":
            self.send_error(404)
        elif asked.path == "/checkpoints":
            size = int(parse_qs(asked.query)["after"][0]) + 1
            line = json.dumps({"note": "", "size": size}, separators=(",", ":")).encode() + b"\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(line)))
            self.end_headers()
            self.wfile.write(line)
        else:
            super().do_GET()


@pytest.mark.usefixtures("impatient")
def test_a_list_that_comes_line_by_line_is_waited_for_so_long_and_not_longer(sample: Sample, folder: Path) -> None:
    with (
        serving(partial(Paging, directory=str(folder))) as url,
        pytest.raises(SourceUnavailable, match="the checkpoints did not come within"),
    ):
        verify(source_of(url), sample.vkey)


def test_files_that_are_read_together_have_a_bound_together(
    sample: Sample, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = sum(path.stat().st_size for path in (folder / "tile" / "entries").rglob("*") if path.is_file())
    details = sum(path.stat().st_size for path in (folder / "details").rglob("*") if path.is_file())
    with serving(partial(Public, directory=str(folder))) as url:
        monkeypatch.setattr(fetch, "MAX_TOGETHER_BYTES", max(bundles, details))
        assert verify(source_of(url, token=TOKEN), sample.vkey).checked["entries"] == SIZE
        monkeypatch.setattr(fetch, "MAX_TOGETHER_BYTES", max(bundles, details) - 1)
        with pytest.raises(SourceUnavailable, match="with the files beside it, has more than the"):
            verify(source_of(url, token=TOKEN), sample.vkey)


def test_what_was_taken_of_an_answer_that_broke_off_is_not_counted_twice(
    sample: Sample, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)
    whole = {path: (folder / path).stat().st_size for path in ("details/000", "details/001")}
    monkeypatch.setattr(fetch, "MAX_TOGETHER_BYTES", sum(whole.values()))
    with serving(partial(Breaking, directory=str(folder), times=count())) as url:
        fetcher = fetch.Fetcher(url, None)
        answers = fetcher.get_all(whole)
        fetcher.close()
    assert {path: len(content) for path, (_, content) in answers.items()} == whole


class Breaking(Public):
    """The first of its answers break off."""

    def __init__(self, *given: Any, times: Iterator[int], **named: Any) -> None:
        self.times = times
        super().__init__(*given, **named)

    def do_GET(self) -> None:  # noqa: N802  # as the standard library calls it
        if next(self.times) >= 2:  # once for each file
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "90000")
        self.end_headers()
        self.wfile.write(b"x" * 9_000)


def test_a_file_of_more_details_than_there_are_entries_is_not_read_line_by_line() -> None:
    lines = b'{"detail":"","index":0,"salt":""}\n' * 257
    part = PartReader(lambda paths: {path: lines if path.startswith("details") else None for path in paths}, 0, 256)
    findings = part.part(entries=False, details=True).findings
    assert [str(one) for one in findings if one.place.startswith("details")] == [
        "details from 0: it has more than 256 lines"
    ]
