"""Exports: everything that a search finds, with its manifest, streamed; who may have what of it."""

import asyncio
import contextlib
import gc
import io
import json
import re
from collections.abc import Iterator
from zipfile import ZipFile

import pytest
from starlette.requests import ClientDisconnect

from audit.exports import archive
from audit.exports.parquet import ParquetUnavailable
from audit.exports.response import ExportResponse
from audit.exports.verification import verify_export
from tests.audit.pages.scene import CITIZEN, DEPARTMENT, TOWN, Scene


@pytest.mark.parametrize("made", ["csv", "jsonl", "parquet"])
def test_an_export_is_whole_and_says_what_was_asked_for(scene: Scene, made: str) -> None:
    reply = scene.browser("claire").get(f"/audit/export?format={made}&organisation={DEPARTMENT}&kind=access")
    assert reply.status_code == 200
    assert reply.headers["content-disposition"] == f'attachment; filename="accord-export-{made}.zip"'
    assert reply.headers["cache-control"] == "no-store"
    manifest = verify_export(io.BytesIO(reply.content), scene.key.vkey)
    assert (manifest.count, manifest.format) == (36, made)
    assert dict(manifest.filter) == {"organisation": DEPARTMENT, "kind": "access"}


def test_the_search_offers_the_export_of_what_it_finds(scene: Scene) -> None:
    page = scene.browser("claire").get("/audit?kind=refusal&before=90").text
    links = re.findall(r'href="(/audit/export\?[^"]*)"', page)
    assert links == [f"/audit/export?kind=refusal&amp;format={made}" for made in ("csv", "jsonl", "parquet")]
    assert "manifeste" in page


def test_an_operators_export_has_no_detail(scene: Scene) -> None:
    reply = scene.browser("nadia").get("/audit/export?format=jsonl")
    with ZipFile(io.BytesIO(reply.content)) as opened:
        content = opened.read("accesses.jsonl").decode()
    assert CITIZEN not in content
    assert "detail" not in json.loads(content.splitlines()[0])


def test_an_export_of_one_organisation_holds_no_other(scene: Scene) -> None:
    reply = scene.browser("marc").get("/audit/export?format=jsonl")
    with ZipFile(io.BytesIO(reply.content)) as opened:
        entries = [json.loads(line)["entry"] for line in opened.read("accesses.jsonl").splitlines()]
    assert {entry["recipient"] for entry in entries} == {TOWN}


@pytest.mark.parametrize("asked", ["", "format=xlsx", "format=csv&since=x", "format=csv&citizen=abc", "format="])
def test_an_export_that_is_not_understood_is_a_page_and_no_entry(scene: Scene, asked: str) -> None:
    size = scene.size()
    reply = scene.browser("claire").get(f"/audit/export?{asked}")
    assert reply.status_code == 400
    assert "Adresse incomprise" in reply.text
    assert scene.size() == size


def test_without_pyarrow_parquet_is_refused_in_words(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ParquetUnavailable

    # The library is there in tests; its absence is what is played.
    monkeypatch.setitem(archive._WRITERS, "parquet", absent)  # type: ignore[arg-type]  # a mapping that is a dict
    reply = scene.browser("claire").get("/audit/export?format=parquet")
    assert reply.status_code == 400
    assert "est pas proposé ici" in reply.text


def test_a_third_heavy_reading_at_once_is_asked_to_wait(scene: Scene) -> None:
    browser = scene.browser("claire")
    held = [scene.room._heavily() for _ in range(2)]
    for one in held:
        one.__enter__()
    reply = browser.get("/audit/chronologie")
    for one in held:
        one.__exit__(None, None, None)
    assert reply.status_code == 503
    assert "Trop de lectures à la fois" in reply.text
    assert browser.get("/audit/chronologie").status_code == 200


class _Leaving:
    """A browser that is gone after some chunks: told by a message (ASGI 2.3) or by a send that fails (2.4)."""

    def __init__(self, version: str) -> None:
        self.scope = {"type": "http", "asgi": {"spec_version": version}}
        self._sent = 0
        self._gone = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: object) -> None:
        self._sent += 1
        if self._sent > 3:
            self._gone.set()
            if self.scope["asgi"] == {"spec_version": "2.4"}:
                raise OSError


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is freed by the collector."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_who_leaves_gives_her_place_back_at_once(scene: Scene, uncollected: None, version: str) -> None:
    def chunks() -> Iterator[bytes]:
        with scene.room._heavily():
            while True:
                yield b"x" * 65_536

    async def download() -> None:
        browser = _Leaving(version)
        with contextlib.suppress(ClientDisconnect):
            await ExportResponse(chunks(), headers={})(browser.scope, browser.receive, browser.send)

    # There are two places.
    for _ in range(3):
        asyncio.run(download())
