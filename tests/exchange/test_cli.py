"""The command: what it refuses, in sentences, with its exit codes."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from audit.checkpoint import NoteSigner
from audit.log import Log
from audit.model import Append
from audit.query import Queries
from audit.store import open_store
from exchange.bridge import LogAccesses
from exchange.database import migrate

SETTINGS = {
    "ACCORD_ISSUER": "http://localhost:8000",
    "ACCORD_KEYS_DIR": "keys",
    "ACCORD_FRANCECONNECT__ISSUER": "http://localhost:8001/api/v2",
    "ACCORD_FRANCECONNECT__CLIENT_ID": "accord",
    "ACCORD_FRANCECONNECT__CLIENT_SECRET": "hidden-in-tests",
    "ACCORD_HOLDERS__API_PARTICULIER__URL": "http://localhost:8001",
    "ACCORD_HOLDERS__API_PARTICULIER__TOKEN": "hidden-in-tests",
}


def accord(folder: Path, *arguments: str, settings: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    done = subprocess.run(
        [sys.executable, "-m", "exchange", *arguments],
        cwd=folder,
        env=inherited | (SETTINGS if settings is None else settings) | {"NO_COLOR": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "hidden-in-tests" not in done.stdout + done.stderr
    return done


def test_help_reads_like_a_manual_page(tmp_path: Path) -> None:
    shown = accord(tmp_path, "--help", settings={}).stdout
    for command in ("serve", "demo", "registry", "keys", "db", "openapi", "audit", "settings"):
        assert command in shown


def test_serve_refuses_to_start_without_settings_and_names_them(tmp_path: Path) -> None:
    done = accord(tmp_path, "serve", settings={})
    assert done.returncode == 2
    assert "ACCORD_ISSUER: missing" in done.stderr


def test_serve_refuses_to_start_without_keys(tmp_path: Path) -> None:
    done = accord(tmp_path, "serve")
    assert done.returncode == 2
    assert "accord keys init" in done.stderr


def test_serve_refuses_to_start_on_tables_that_are_not_up_to_date(tmp_path: Path) -> None:
    accord(tmp_path, "keys", "init")
    done = accord(tmp_path, "serve")
    assert done.returncode == 2
    assert "accord db migrate" in done.stderr


def test_keys_are_made_once_and_their_private_halves_never_shown(tmp_path: Path) -> None:
    assert "made" in accord(tmp_path, "keys", "init").stdout
    before = {file.name: file.read_bytes() for file in (tmp_path / "keys").iterdir()}
    assert "every key was there" in accord(tmp_path, "keys", "init").stdout
    assert {file.name: file.read_bytes() for file in (tmp_path / "keys").iterdir()} == before
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "keys").iterdir())
    assert "PRIVATE" not in accord(tmp_path, "keys", "show").stdout


def test_keys_are_not_rotated_without_the_log_and_with_it_the_entry_names_them(tmp_path: Path) -> None:
    accord(tmp_path, "keys", "init")
    before = (tmp_path / "keys" / "tokens.json").read_bytes()
    refused = accord(tmp_path, "keys", "rotate")
    assert (refused.returncode, "accord db migrate" in refused.stderr) == (2, True)
    assert (tmp_path / "keys" / "tokens.json").read_bytes() == before
    accord(tmp_path, "db", "migrate")
    done = accord(tmp_path, "keys", "rotate")
    assert (done.returncode, done.stdout.count("in 10 seconds")) == (0, 2)
    only = accord(tmp_path, "keys", "rotate", "--tokens").stdout
    assert only.startswith("tokens")
    assert "identity" not in only
    for kid in [line.split()[1] for line in (done.stdout + only).splitlines()]:
        assert kid in accord(tmp_path, "keys", "show").stdout
    jwks = json.loads((tmp_path / "keys" / "tokens.json").read_text())["keys"]
    jwks += json.loads((tmp_path / "keys" / "identity.json").read_text())["keys"]
    assert not any(jwk.get(secret, "?") in done.stdout + only for jwk in jwks for secret in ("d", "k"))
    verified = accord(tmp_path, "audit", "verify")
    assert (verified.returncode, "2 entries" in verified.stdout) == (0, True)


def test_migrating_twice_is_migrating_once_and_an_empty_log_verifies(tmp_path: Path) -> None:
    accord(tmp_path, "keys", "init")
    for _ in range(2):
        assert accord(tmp_path, "db", "migrate").returncode == 0
    done = accord(tmp_path, "audit", "verify")
    assert (done.returncode, "0 entries" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("content", "named"), [("[[client]]\nname = x", "line 2"), ("[[organisation]]\nsiret = 'x'", "siret")]
)
def test_a_wrong_registry_is_refused_by_line_or_key(tmp_path: Path, content: str, named: str) -> None:
    accord(tmp_path, "db", "migrate")
    (tmp_path / "registry.toml").write_text(content)
    done = accord(tmp_path, "registry", "load", "registry.toml")
    assert done.returncode == 1
    assert named in done.stderr


def test_a_proof_is_checked_offline_with_the_logs_key_alone(tmp_path: Path) -> None:
    origin = "accord.example/log"
    key = NoteSigner.generate(origin)
    database = f"sqlite:///{tmp_path / 'accord.sqlite'}"
    migrate(database)
    with closing(Log.open(open_store(database), key, origin=origin)) as log:
        skeleton = {"v": 1, "kind": "access", "time": "t", "request_id": "r", "outcome": "ok", "fields": ["a", "b"]}
        log.append_blocking(Append(skeleton, {"citizen": "c"}))
    proof = LogAccesses(Queries(open_store(database))).proof("c", 0)
    assert proof is not None
    file = tmp_path / "proof.json"
    file.write_bytes(proof)
    done = accord(tmp_path, "audit", "verify-proof", str(file), "--key", key.vkey, settings={})
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"The proof verifies: entry 0 of {origin}.")
    assert "fields: a, b" in done.stdout
    file.write_bytes(proof.replace(b"access", b"excess"))
    changed = accord(tmp_path, "audit", "verify-proof", str(file), "--key", key.vkey, settings={})
    assert changed.returncode == 1
    other = NoteSigner.generate(origin).vkey
    assert accord(tmp_path, "audit", "verify-proof", str(file), "--key", other, settings={}).returncode == 1
