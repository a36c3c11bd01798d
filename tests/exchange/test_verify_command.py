"""``accord audit verify`` and ``verify-proof``: what they say, to people and to machines, and their exit codes."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from audit.checkpoint import NoteSigner
from audit.query import Queries
from audit.sources import fetch
from audit.store import open_store
from exchange.cli import app
from tests.audit.conftest import migrate
from tests.audit.test_verify_hiding_server import Changing
from tests.audit.test_verify_web import TOKEN, Public, serving
from tests.audit.verified_log import ERASED, SIZE, Sample, make_sample
from tests.postgres import postgresql_database


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    url = f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite'}"
    migrate(url)
    return make_sample(url, NoteSigner.generate("accord.example/log"))


@pytest.fixture(scope="module")
def folder(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    sample.write(folder)
    return folder


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[Sample]:
    with postgresql_database() as url:
        migrate(url)
        yield make_sample(url, NoteSigner.generate("accord.example/log"))


def accord(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"NO_COLOR": "1", "COLUMNS": "200"})


@pytest.mark.parametrize("kind", ["url", "file", "folder"])
def test_a_sound_log_verifies_wherever_it_is(sample: Sample, folder: Path, kind: str) -> None:
    where = {"url": sample.url, "file": sample.url.removeprefix("sqlite:///"), "folder": folder}[kind]
    done = accord("verify", "--from", where, "--key", sample.vkey, "--witness", sample.witness)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"The log verifies: {SIZE} entries, root ")


@pytest.mark.enable_socket
def test_a_log_on_postgresql_is_verified_by_its_url(on_postgresql: Sample) -> None:
    log = on_postgresql
    done = accord("verify", "--from", log.url, "--key", log.vkey, "--witness", log.witness)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"The log verifies: {SIZE} entries, root ")
    done = accord("verify", "--from", log.url.replace("/accord_", "/no_accord_"), "--key", log.vkey)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the log's database cannot be read" in done.stderr


@pytest.mark.enable_socket
def test_a_log_on_the_web_is_verified_with_the_token_of_a_file(sample: Sample, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with serving(partial(Public, directory=str(folder), token=TOKEN)) as url:
        command = ("verify", "--from", url, "--key", sample.vkey, "--json")
        everything = accord(*command, "--token-file", tmp_path / "token")
        public = accord(*command)
        (tmp_path / "token").write_text("another\n")
        refused = accord(*command, "--token-file", tmp_path / "token")
    verdict = json.loads(everything.stdout)
    assert (everything.exit_code, verdict["size"], verdict["unchecked"]) == (0, SIZE, [])
    assert verdict["checked"]["details"] == SIZE - len(ERASED) - 2
    verdict = json.loads(public.stdout)
    assert (public.exit_code, "entries" in verdict["checked"], len(verdict["unchecked"])) == (0, False, 1)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "another" not in refused.stderr


@pytest.mark.enable_socket
def test_details_that_a_token_does_not_open_are_left_out_when_that_is_said(
    sample: Sample, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with serving(partial(Changing, directory=str(folder), statuses={"/details": 403, "/erased": 403})) as url:
        command = ("verify", "--from", url, "--key", sample.vkey, "--token-file", tmp_path / "token")
        refused = accord(*command)
        done = accord(*command, "--without-details")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "the server does not show details to whoever has this token" in refused.stderr
    assert (done.exit_code, "Not checked: details are not there" in done.stderr) == (0, True)


@pytest.mark.enable_socket
def test_a_server_that_fails_to_show_details_is_exit_code_2(
    sample: Sample, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)
    (tmp_path / "token").write_text(TOKEN)
    with serving(partial(Changing, directory=str(folder), statuses={"/details": 500})) as url:
        done = accord("verify", "--from", url, "--key", sample.vkey, "--token-file", tmp_path / "token")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the server answered with status 500" in done.stderr


@pytest.mark.enable_socket
def test_a_server_that_is_not_there_is_exit_code_2(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        port = nobody.getsockname()[1]
    done = accord("verify", "--from", f"http://127.0.0.1:{port}/log", "--key", sample.vkey)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no answer (ConnectError)" in done.stderr


def test_whoever_looks_at_it_sees_the_count_reach_the_end(sample: Sample) -> None:
    """On a terminal, for which a pseudo-terminal stands; the verdict stays on the standard output."""
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "exchange", "audit", "verify", "--from", sample.url, "--key", sample.vkey]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, env=environment, text=True) as running:
        os.close(terminal)
        shown = b""
        # A terminal whose other side was closed by all is read with an error.
        with closing(os.fdopen(screen, "rb", buffering=0)) as looked_at, suppress(OSError):
            while more := looked_at.read(65_536):
                shown += more
        verdict, _ = running.communicate(timeout=60)
    counts = [int(done) for done in re.findall(rf"(\d+)/{SIZE}", shown.decode())]
    assert (counts == sorted(counts), counts[-1]) == (True, SIZE)
    assert (running.returncode, verdict.startswith(f"The log verifies: {SIZE} entries")) == (0, True)


def test_the_verdict_for_a_machine_is_json(sample: Sample, folder: Path) -> None:
    done = accord("verify", "--from", folder, "--key", sample.vkey, "--json")
    verdict = json.loads(done.stdout)
    assert (done.exit_code, verdict["ok"], verdict["size"], verdict["findings"]) == (0, True, SIZE, [])
    assert verdict["checkpoint"].startswith(sample.notes[SIZE])
    assert verdict["checked"]["entries"] == SIZE


def test_a_log_that_does_not_verify_is_exit_code_1_with_each_place_named(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path)
    (tmp_path / "tile/0/001").write_bytes(bytes(8192))
    done = accord("verify", "--from", tmp_path, "--key", sample.vkey)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "tile 0/1: its hashes are not those of the entries" in done.stderr
    assert "The log does not verify: 1 finding." in done.stderr
    machine = json.loads(accord("verify", "--from", tmp_path, "--key", sample.vkey, "--json").stdout)
    assert (machine["ok"], machine["findings"][0]["place"]) == (False, "tile 0/1")


def test_what_cannot_be_checked_is_said(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path, first=300)
    done = accord("verify", "--from", tmp_path, "--key", sample.vkey)
    assert done.exit_code == 0
    assert "Not checked: entries before 256 are not there; their hashes are in the root." in done.stderr


def test_an_earlier_checkpoint_is_where_it_begins(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "then").write_text(sample.notes[513])
    done = accord("verify", "--from", sample.url, "--key", sample.vkey, "--since", tmp_path / "then")
    assert (done.exit_code, f"{SIZE} entries, from entry 512" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--from", "/nowhere/log.sqlite"),
        ("--key", "not a key"),
        ("--witness", "not a key"),
        ("--since", __file__),
        ("--from", "http://accord.example/log", "--token-file", __file__),
    ],
    ids=" ".join,
)
def test_what_cannot_be_verified_at_all_is_exit_code_2(sample: Sample, wrong: tuple[str, ...]) -> None:
    done = accord("verify", "--from", sample.url, "--key", sample.vkey, *wrong)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr


def test_a_receipt_is_checked_with_its_entry_beside_it(sample: Sample, tmp_path: Path) -> None:
    store = open_store(sample.url)
    with closing(store):
        proof, entry = Queries(store).proof(7), Queries(store).entry(7)
    assert entry is not None
    (tmp_path / "receipt").write_text(proof)
    (tmp_path / "entry").write_bytes(entry.leaf)
    done = accord("verify-proof", tmp_path / "receipt", "--entry", tmp_path / "entry", "--key", sample.vkey)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "The proof verifies: entry 7 of accord.example/log.")
    (tmp_path / "entry").write_bytes(entry.leaf + b" ")
    assert (
        accord("verify-proof", tmp_path / "receipt", "--entry", tmp_path / "entry", "--key", sample.vkey).exit_code == 1
    )
    alone = accord("verify-proof", tmp_path / "receipt", "--key", sample.vkey)
    assert (alone.exit_code, "--entry" in alone.stderr) == (1, True)
