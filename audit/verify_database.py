"""The verification of a log in a database: what tests, the bench and the deployment's own command call."""

from audit.model import LogUnavailable
from audit.replay.run import Options, verify
from audit.sources.locate import database_source
from audit.sources.port import SourceUnavailable
from audit.verifier import Verdict


def verify_database(database_url: str, vkey: str, options: Options | None = None) -> Verdict:
    """Verify a database's log. Raises ``NoteInvalid`` for a wrong key, ``LogUnavailable`` when it cannot be read."""
    try:
        return verify(database_source(database_url), vkey, options or Options())
    except SourceUnavailable as error:
        raise LogUnavailable(f"the log cannot be read: {error}") from None
