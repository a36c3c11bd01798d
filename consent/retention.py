"""Grants at the end of their retention: what still ties them to a person goes, the index in the status list stays.

A grant whose row is blanked keeps its status index for good: the list says of it that it was withdrawn, and the next
grant drawn at that index would be born so. Nothing else of it is left, nor of its tokens, codes and events.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from sqlalchemy import Engine, String, cast, delete, literal, update
from sqlmodel import Session, col, select

from consent.details import from_claims
from consent.tables import CodeRow, DeliveryRow, GrantRow, RefreshRow, RequestRow

PAGE = 500
"""Grants of one transaction."""

_BLANKED = "blanked-"


class EndedGrants:
    """Safe to share between threads. ``cut_off``: for a grant's datasets, the Unix second it must have ended before."""

    def __init__(self, engine: Engine, *, cut_off: Callable[[Sequence[str]], int]) -> None:
        self._engine = engine
        self._cut_off = cut_off

    def due(self, *, latest: int) -> Iterator[list[str]]:
        """The ids of those to be blanked, some at a time; none ended after ``latest``."""
        after = ""
        while True:
            ended = (col(GrantRow.ended_at) < latest, col(GrantRow.citizen) != "", col(GrantRow.grant_id) > after)
            with Session(self._engine) as session:
                rows = session.exec(select(GrantRow).where(*ended).order_by(col(GrantRow.grant_id)).limit(PAGE)).all()
            if not rows:
                return
            after = rows[-1].grant_id
            yield [row.grant_id for row in rows if self._is_due(row)]

    def lasting(self, grant_ids: Collection[str]) -> set[str]:
        """Those of these that are not due: tokens may still be made from them, or were not long ago."""
        with Session(self._engine) as session:
            rows = session.exec(select(GrantRow).where(col(GrantRow.grant_id).in_(grant_ids)))
            return {row.grant_id for row in rows if not self._is_due(row)}

    def blank(self, grant_ids: Sequence[str]) -> None:
        """Leave nothing of them but dates and status index; at most :data:`PAGE`."""
        with Session(self._engine) as session, session.begin():
            session.exec(delete(CodeRow).where(col(CodeRow.grant_id).in_(grant_ids)))
            session.exec(delete(RefreshRow).where(col(RefreshRow.grant_id).in_(grant_ids)))
            session.exec(delete(DeliveryRow).where(col(DeliveryRow.grant_id).in_(grant_ids)))
            session.exec(delete(RequestRow).where(col(RequestRow.grant_id).in_(grant_ids)))
            session.exec(update(GrantRow).where(col(GrantRow.supersedes).in_(grant_ids)).values(supersedes=None))
            session.exec(update(GrantRow).where(col(GrantRow.grant_id).in_(grant_ids)).values(**_BLANK))

    def _is_due(self, row: GrantRow) -> bool:
        if row.ended_at is None:
            return False
        return row.ended_at < self._cut_off([detail.dataset for detail in from_claims(row.details)])


_BLANK = {
    "grant_id": literal(_BLANKED) + cast(col(GrantRow.status_index), String),
    "client_id": "",
    "recipient": "",
    "citizen": "",
    "details": [],
    "identity": "",
    "acr": "",
    "legal_basis": "",
    "notice_sha256": "",
    "supersedes": None,
}
