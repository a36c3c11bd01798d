"""Processes that meet at a file: each opens the log of a new one, and waits while another mends it after a crash."""

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from audit.store import open_store
from audit.store.sqlite import take_write_lock

AT_ONCE = 8


def test_a_file_that_many_open_at_once_for_the_first_time_is_opened_by_all(tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for number in range(30):
            path = tmp_path / f"{number}.sqlite"
            with closing(sqlite3.connect(path)) as made:
                made.execute("CREATE TABLE one (two)")
            barrier = Barrier(AT_ONCE)

            def opened(path: Path = path, barrier: Barrier = barrier) -> list[tuple[object, ...]]:
                barrier.wait(10)
                with closing(open_store(f"sqlite:///{path}").connect()) as session:
                    return session.rows("PRAGMA journal_mode")

            found = [one.result() for one in [threads.submit(opened) for _ in range(AT_ONCE)]]
            assert found == [[("wal",)]] * AT_ONCE


MENDING = """
import fcntl, sys
index = open(sys.argv[1] + "-shm", "r+b", buffering=0)
index.write(bytes(136))
for lock in (120, 122):
    fcntl.lockf(index, fcntl.LOCK_EX, 1, lock)
print("mending", flush=True)
sys.stdin.readline()
"""
"""What SQLite does that recovers a file's journal (its documentation, "WAL-mode File Format", 2.3): the header of the
index is not valid, and the locks of writing and of recovery are held."""


def test_a_writer_waits_for_a_process_that_mends_the_file_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE one (two)")
        command = [sys.executable, "-c", MENDING, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            assert other.stdout.readline() == "mending\n"
            with pytest.raises(sqlite3.OperationalError) as refused:
                writer.execute("BEGIN IMMEDIATE")
            assert refused.value.sqlite_errorcode == sqlite3.SQLITE_BUSY_RECOVERY
            threading.Timer(0.2, other.stdin.close).start()
            take_write_lock(writer)
        writer.execute("INSERT INTO one VALUES (3)")
        writer.execute("COMMIT")
        assert writer.execute("SELECT two FROM one").fetchall() == [(3,)]
