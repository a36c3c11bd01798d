"""Where the log is kept: SQLite or PostgreSQL, by their own drivers, the same statements in the same order."""

from audit.store.port import Head, Session, Store, StoreError

__all__ = ["Head", "Session", "Store", "StoreError", "open_store"]


def open_store(database_url: str) -> Store:
    """The store of ``sqlite:///PATH`` or ``postgresql://...``. Connects when first used."""
    if database_url.startswith("sqlite:///"):
        from audit.store.sqlite import SqliteStore  # noqa: PLC0415  # one driver is enough for one deployment

        return SqliteStore(database_url.removeprefix("sqlite:///"))
    from audit.store.postgresql import PostgresqlStore  # noqa: PLC0415  # idem

    return PostgresqlStore(database_url)
