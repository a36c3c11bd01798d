"""``accord audit archive``: a transfer with its entry in the log, or a sentence that says what is missing."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import Result
from typer.testing import CliRunner

from audit.log import Log
from audit.model import Append
from audit.query import Queries, Wanted
from audit.replay.run import verify
from audit.seda import Agreement, Archived
from audit.sources.locate import source_of
from audit.standalone import main as standalone
from audit.store import open_store
from exchange import journal
from exchange.archiving import agreement_of
from exchange.cli import app
from exchange.database import migrate
from exchange.keyring import load_keyring, make_keyring
from exchange.settings import ArchiveSettings, SettingsError, load_settings

SETTINGS = {
    "ACCORD_ISSUER": "https://accord.example",
    "ACCORD_KEYS_DIR": "keys",
    "ACCORD_DATABASE_URL": "sqlite:///log.sqlite",
    "ACCORD_FRANCECONNECT__ISSUER": "https://fc.example/api/v2",
    "ACCORD_FRANCECONNECT__CLIENT_ID": "accord",
    "ACCORD_FRANCECONNECT__CLIENT_SECRET": "not-to-be-shown",
}
ARCHIVE = {
    "ACCORD_ARCHIVE__ARCHIVAL_AGENCY": "FRAD033",
    "ACCORD_ARCHIVE__TRANSFERRING_AGENCY": "21330063500017",
}
CANARY = "pseudonym-of-the-canary"


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Settings, keys, and a log with 40 entries of October 2025."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**SETTINGS, **ARCHIVE}.items():
        monkeypatch.setenv(name, value)
    make_keyring(tmp_path / "keys", log_origin="accord.example/log")
    migrate("sqlite:///log.sqlite")
    with closing(_log()) as log:
        for number in range(40):
            skeleton = {"v": 1, "kind": "refusal", "time": f"2025-10-{1 + number % 28:02}T00:00:00.000Z"}
            log.append_blocking(Append({**skeleton, "request_id": str(number), "outcome": "ok"}, {"citizen": CANARY}))
    yield tmp_path
    verdict = verify(source_of("sqlite:///log.sqlite"), load_keyring(tmp_path / "keys").log.vkey)
    assert verdict.ok, verdict.findings


def _log() -> Log:
    return Log.open(open_store("sqlite:///log.sqlite"), load_keyring(Path("keys")).log, origin="accord.example/log")


def _accord(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", "archive", *arguments])


def _made() -> list[dict[str, object]]:
    store = open_store("sqlite:///log.sqlite")
    found = Queries(store).find(Wanted(kinds=("archive.made",)), limit=10)
    store.close()
    return [dict(record.skeleton) | {"index": record.index} for record in found.records]


def test_a_month_is_archived_and_the_log_says_so(deployment: Path) -> None:
    done = _accord("--period", "2025-10")
    assert done.exit_code == 0, done.output
    with ZipFile("accord-2025-10.zip") as archive:
        manifest = archive.read("manifest.xml")
        files = len(archive.namelist()) - 1
        everything = b"".join(map(archive.read, archive.namelist()))
    digest = sha256(manifest).hexdigest()
    assert f"accord-2025-10.zip: {files} files and their manifest, verified." in done.output
    assert "Entries 0 to 39 (40) of 2025-10, without details, proven by the checkpoint of 40 entries" in done.output
    assert f"SHA-256 of the manifest: {digest}" in done.output
    assert CANARY.encode() not in everything
    (entry,) = _made()
    facts = {"period": "2025-10", "first": 0, "last": 39, "size": 40, "files": files, "manifest_sha256": digest}
    assert entry.items() >= {**facts, "details": False, "outcome": "ok", "index": 40}.items()
    assert standalone(["accord-2025-10.zip", "--key", load_keyring(deployment / "keys").log.vkey]) == 0


def test_a_year_goes_to_a_folder_and_details_with_their_rule(deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_ARCHIVE__DETAILS_RULE", "APP-00002")
    done = _accord("--period", "2025", "--to", "out", "--with-details")
    assert done.exit_code == 0, done.output
    assert "with details" in done.output
    assert CANARY in (deployment / "out" / "content" / "details" / "000.p" / "40").read_text()
    assert "APP-00002" in (deployment / "out" / "manifest.xml").read_text()
    assert _made()[0]["details"] is True


def test_details_without_their_rule_are_refused_by_the_settings_name(deployment: Path) -> None:
    done = _accord("--period", "2025-10", "--with-details")
    assert done.exit_code == 2
    assert "set ACCORD_ARCHIVE__DETAILS_RULE" in done.output
    assert not list(deployment.glob("*.zip"))


def test_without_an_agreement_the_settings_are_named(deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ARCHIVE:
        monkeypatch.delenv(name)
    done = _accord("--period", "2025-10")
    assert done.exit_code == 2
    for name in ARCHIVE:
        assert name in done.output
    monkeypatch.setenv("ACCORD_ARCHIVE__ARCHIVAL_AGENCY", "FRAD033")
    done = _accord("--period", "2025-10")
    assert done.exit_code == 2
    assert "ACCORD_ARCHIVE__TRANSFERRING_AGENCY: missing" in done.output


@pytest.mark.parametrize(
    ("period", "sentence"),
    [
        ("2025-11", "2025-11: the log has no entry of that period"),
        ("2999-01", "2999-01 is not complete: it can be archived from 2999-02-01 01:00 UTC on"),
        ("octobre", "a period is a month such as 2026-10 or a year such as 2026"),
        ("../../x", "a period is a month such as 2026-10 or a year such as 2026"),
    ],
)
def test_what_cannot_be_archived_is_refused_with_a_sentence(deployment: Path, period: str, sentence: str) -> None:
    done = _accord("--period", period)
    assert (done.exit_code, done.output) == (2, f"{sentence}\n")
    assert not list(deployment.glob("*.zip*"))
    assert not _made()


def test_an_archive_is_not_made_twice_under_one_name(deployment: Path) -> None:
    assert _accord("--period", "2025-10", "--to", "a.zip").exit_code == 0
    done = _accord("--period", "2025-10", "--to", "a.zip")
    assert (done.exit_code, done.output) == (
        2,
        "a.zip: it exists already, and is not replaced; no archive was made\n",
    )
    assert len(_made()) == 1


def test_without_keys_or_tables_it_says_which(deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_DATABASE_URL", "sqlite:///other.sqlite")
    done = _accord("--period", "2025-10")
    assert done.exit_code == 2
    assert "accord db migrate" in done.output
    (deployment / "none.sqlite").write_text("not a database" * 100)
    monkeypatch.setenv("ACCORD_DATABASE_URL", "sqlite:///none.sqlite")
    done = _accord("--period", "2025-10")
    assert (done.exit_code, done.output) == (2, "the database cannot be read: DatabaseError; no archive was made\n")
    (deployment / "keys" / "log.key").rename(deployment / "log.key")
    done = _accord("--period", "2025-10")
    assert done.exit_code == 2
    assert "log.key missing" in done.output
    (deployment / "log.key").rename(deployment / "keys" / "log.key")


def test_what_does_not_verify_is_not_kept_and_its_findings_are_shown(deployment: Path) -> None:
    with closing(sqlite3.connect("log.sqlite")) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        change = 'UPDATE log_entries SET leaf = CAST(replace(leaf, ?, ?) AS BLOB) WHERE "index" = 7'
        database.execute(change, ("refusal", "failure"))
        database.commit()
        done = _accord("--period", "2025-10")
        assert done.exit_code == 1
        assert "What was written does not verify, and was not kept:" in done.output
        assert "something was changed among entries 7 to 7" in done.output
        assert not list(deployment.glob("*.zip*"))
        assert not _made()
        database.execute(change, ("failure", "refusal"))
        database.commit()


def test_a_log_that_another_key_signed_is_not_archived(deployment: Path) -> None:
    other = deployment / "other"
    make_keyring(other, log_origin="accord.example/log")
    (deployment / "keys" / "log.key").rename(deployment / "log.key")
    (other / "log.key").rename(deployment / "keys" / "log.key")
    done = _accord("--period", "2025-10")
    assert done.exit_code == 2
    assert "was not signed by this deployment's key" in done.output
    assert not list(deployment.glob("*.zip*"))
    (deployment / "log.key").replace(deployment / "keys" / "log.key")


def test_the_entry_has_no_detail_and_names_nobody() -> None:
    archived = Archived("2025-10", first=3, last=9, size=12, details=True, files=20, manifest_sha256="ab" * 32)
    append = journal.archive_made(archived, request_id="r", now=1_760_000_000)
    assert not append.detail
    assert json.dumps(append.skeleton, sort_keys=True) == json.dumps(
        {
            "v": 1,
            "kind": "archive.made",
            "time": "2025-10-09T08:53:20.000Z",
            "request_id": "r",
            "outcome": "ok",
            "period": "2025-10",
            "first": 3,
            "last": 9,
            "size": 12,
            "details": True,
            "files": 20,
            "manifest_sha256": "ab" * 32,
        },
        sort_keys=True,
    )


def test_who_transfers_is_who_produced_unless_said_otherwise() -> None:
    settings = ArchiveSettings(archival_agency="FRAD033", transferring_agency="21330063500017")
    agreement = agreement_of(settings)
    assert agreement == Agreement("FRAD033", "21330063500017", "21330063500017")
    other = agreement_of(settings.model_copy(update={"originating_agency": "MAIRIE"}))
    assert other == replace(agreement, originating_agency="MAIRIE")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TRANSFERRING_AGENCY", "21330063500018", "a SIRET with a valid key"),
        ("ARCHIVAL_AGENCY", "Archives de Gironde", "visible ASCII"),
        ("FINAL_ACTION", "Burn", "'Keep' or 'Destroy'"),
        ("DUA", "5", "ARCHIVE__DUA"),
    ],
)
def test_a_wrong_identifier_is_named(
    deployment: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"ACCORD_ARCHIVE__{name}", value)
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        load_settings()
    assert value not in str(caught.value)
