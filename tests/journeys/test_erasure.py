"""Erasing while everything runs: exchanges go on, the log verifies, and who it was about is gone from the database."""

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from audit.log import Log
from audit.model import Append
from audit.store import open_store
from audit.verifier import verify_proof_file
from exchange import journal
from exchange.retention import run_retention
from exchange.settings import Settings
from sandbox.app import people_of
from sandbox.browser import Browser
from sandbox.servers import run_accord
from sandbox.world import DATABASE_FILE
from tests.exchange.test_cli import SETTINGS, accord
from tests.journeys.citizen import authorize, log_in
from tests.journeys.deployment import Deployment, deployed
from tests.postgres import application_role, postgresql_database

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, pytest.mark.timeout(300)]

YEAR = 366 * 86_400
OLD = 4_500


def test_the_role_that_serves_does_everything_but_erase_and_the_owner_erases(tmp_path: Path) -> None:
    commands, folder = tmp_path / "commands", tmp_path / "world"
    commands.mkdir()
    with postgresql_database() as owner, application_role(owner) as application:
        migrating = SETTINGS | {"ACCORD_DATABASE_URL": owner}
        for command in (["migrate"], ["grant", urlsplit(application).username or ""]):
            assert accord(commands, "db", *command, settings=migrating).returncode == 0
        with deployed(folder, settings={"ACCORD_DATABASE_URL": application}) as deployment:
            token = authorize(deployment, person=0)
            answer = deployment.exchange(token)
            assert answer.status_code == 200
            export = _downloaded_and_withdrawn(deployment)
            assert deployment.exchange(token).status_code == 403
            kinds = [json.loads(one["entry"])["kind"] for one in export["entries"]]
            assert kinds == ["access", "grant.given"]
            for one in export["entries"]:
                verify_proof_file(json.dumps(one).encode(), deployment.keyring().log.vkey)
            detail = json.loads(export["entries"][0]["detail"])
            assert _mentions(owner, detail["citizen"], detail["grant_id"])
            refused = accord(folder, "audit", "retain", "--apply", settings={})
            assert (refused.returncode, "owner" in refused.stderr) == (2, True)
            report = run_retention(_settings(deployment, owner), erase=True, now=time.time() + 2 * YEAR)
            assert (sum(report.entries.values()), report.grants) == (4, 1)
            assert _mentions(owner, detail["citizen"], detail["grant_id"]) == []
            # Her name was never there in clear.
            assert _mentions(owner, people_of(deployment.world.sandbox.families)[0].identity.family_name) == []
            # It goes on, and what was handed out before is still proven.
            assert deployment.exchange(authorize(deployment, person=1)).status_code == 200
            verdict = deployment.verify()
            assert verdict.ok, verdict.findings


def _downloaded_and_withdrawn(deployment: Deployment) -> dict[str, list[dict[str, str]]]:
    with Browser() as browser:
        accesses = log_in(deployment, browser, browser.open(f"{deployment.url}/mes-acces"), person=0)
        export = json.loads(browser.open(accesses.link("/mes-acces/export$")).content)
        grant = export["authorisations"][0]["dct:identifier"]
        page = browser.open(f"{deployment.url}/mes-autorisations/{grant}/retrait")
        browser.press(page.button(action="/retrait"))
    found: dict[str, list[dict[str, str]]] = export
    return found


def _settings(deployment: Deployment, url: str) -> Settings:
    return Settings(_env_file=deployment.world.folder / ".env", database_url=url)  # type: ignore[call-arg]  # pydantic-settings' own


def _mentions(url: str, *canaries: str) -> list[str]:
    """The tables that name one of them."""
    with psycopg.connect(url) as connection:
        tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        rows = {name: connection.execute(f'SELECT t::text FROM "{name}" t').fetchall() for name in tables}  # type: ignore[arg-type]  # noqa: S608  # a table that is there
    written = [(canary, canary.encode().hex()) for canary in canaries]
    return [name for name, found in rows.items() if any(one in str(found) for pair in written for one in pair)]


def test_exchanges_go_on_while_thousands_are_erased(tmp_path: Path) -> None:
    with deployed(tmp_path) as deployment:
        _add_old_refusals(deployment)
        with _asking(deployment) as statuses:
            while len(statuses) < 5:
                time.sleep(0.01)
            said = run_accord(["audit", "retain", "--dry-run"], folder=tmp_path)
            before = len(statuses)
            done = run_accord(["audit", "retain", "--apply"], folder=tmp_path)
            during = len(statuses) - before
        assert set(statuses) == {200}
        assert during > 5
        for told in (said, done):
            assert re.search("quotient_familial +P1Y", told)
            assert str(OLD) in told
        with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
            leaves = connection.execute('SELECT leaf FROM log_entries WHERE "index" >= ?', (OLD,))
            assert sum(json.loads(leaf)["kind"] == "retention.applied" for (leaf,) in leaves) == 3
            assert connection.execute("SELECT count(*), count(DISTINCT by) FROM log_erased").fetchone() == (OLD, 3)
        verdict = deployment.verify()
        assert verdict.ok, verdict.findings
        assert "canary" not in (tmp_path / DATABASE_FILE).read_bytes().decode("latin-1")


def _add_old_refusals(deployment: Deployment) -> None:
    """By a second process of the same log, as it happens where there are several."""
    key = deployment.keyring().log
    with closing(Log.open(open_store(deployment.database_url), key, origin=key.name, timeout=30)) as log:
        threads = [threading.Thread(target=_add, args=(log, at)) for at in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _add(log: Log, lot: int) -> None:
    old = journal.rfc3339(time.time() - 2 * YEAR)
    for at in range(OLD // 50):
        skeleton = {"v": 1, "kind": "refusal", "time": old, "request_id": f"{lot} {at}", "dataset": "quotient_familial"}
        log.append_blocking(Append(skeleton | {"outcome": "grant_expired"}, {"citizen": f"canary-{at}"}))


@contextmanager
def _asking(deployment: Deployment) -> Iterator[list[int]]:
    """Asks without pause; the statuses received so far."""
    stop, statuses, token = threading.Event(), [], deployment.token()

    def ask() -> None:
        while not stop.is_set():
            statuses.append(deployment.exchange(token).status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
