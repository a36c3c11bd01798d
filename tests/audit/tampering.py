"""Changing a log as whoever owns its database can."""

import sqlite3
from contextlib import closing

import psycopg


def tamper(url: str, statement: str, parameters: tuple[object, ...]) -> None:
    """Run one statement, past the triggers; parameters are written ``?``."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(statement, parameters)
            connection.commit()
        return
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement.replace("?", "%s"), parameters)
