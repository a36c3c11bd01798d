"""Which source a text names: a database's URL, an SQLite file, a folder, an archive, an address on the web."""

from pathlib import Path

from audit.sources.port import Source, SourceUnavailable


def database_source(database_url: str) -> Source:
    """The source of ``sqlite:///PATH`` or ``postgresql://...``. Connects when opened."""
    if database_url.startswith("sqlite:///"):
        from audit.sources.sqlite import SqliteSource  # noqa: PLC0415  # one driver is enough for one deployment

        return SqliteSource(database_url.removeprefix("sqlite:///"))
    from audit.sources.postgresql import PostgresqlSource  # noqa: PLC0415  # idem

    return PostgresqlSource(database_url)


def source_of(text: str, *, token: str | None = None, details: bool = True) -> Source:
    """The source that is meant. For the web ``token``: a bearer token; ``details``: whether they are to be there.

    Raises :class:`SourceUnavailable`.
    """
    if text.startswith(("sqlite:///", "postgresql://", "postgres://")):
        return database_source(text)
    if text.startswith(("http://", "https://")):
        from audit.sources.web import WebSource  # noqa: PLC0415  # nothing else needs an HTTP client

        return WebSource(text, token, details=details)
    path = Path(text)
    if path.suffix.lower() == ".zip" or (path / "manifest.xml").is_file():
        from audit.sources.package import log_of  # noqa: PLC0415  # as the others are

        return log_of(path)
    if path.is_dir():
        from audit.sources.folder import FolderSource  # noqa: PLC0415  # as the others are

        return FolderSource(path)
    if path.is_file():
        return database_source(f"sqlite:///{path}")
    raise SourceUnavailable(
        f"{text} is neither a database's URL, an SQLite file, a folder, an archive nor an address on the web"
    )
