"""Processes that begin at once on a database that is new: each opens the log."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

from audit.store import open_store

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
