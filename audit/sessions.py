"""Reading sessions whose failures are the log's own."""

from collections.abc import Iterator
from contextlib import contextmanager

from audit.model import LogUnavailable
from audit.store import Session, Store, StoreError


@contextmanager
def reading(store: Store) -> Iterator[Session]:
    """A session for the length of the block. Raises ``LogUnavailable`` where the database does not answer."""
    try:
        with store.reading() as session:
            yield session
    except StoreError as error:
        raise LogUnavailable(str(error)) from None
