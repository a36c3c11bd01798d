"""Grants, pushed requests, codes and used assertions in the database. One method, one transaction.

Where something may happen only once (a decision, the use of a code, of an assertion) the database decides it with one
conditional statement, so that two requests at the same moment, on any replica, cannot both succeed.
"""

from collections.abc import Sequence
from secrets import token_urlsafe
from typing import Any, cast

from sqlalchemy import CursorResult, Engine, ScalarResult, delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from consent.authorization.par import AuthorizationRequest, PushedRequest
from consent.authorization.token import AuthorizationCode
from consent.details import from_claims, to_claims
from consent.events.store import delivery_row
from consent.events.token import OF_STATUS, RENEWAL_DUE, Delivery
from consent.model import BEFORE, RENEWAL_SHARE, Grant, GrantStatus
from consent.records import KeptNotice
from consent.status import LIST_SIZE, OF_GRANTS, StatusList
from consent.tables import (
    AssertionRow,
    ChangeRow,
    CodeRow,
    DeliveryRow,
    GrantRow,
    LastChangeRow,
    NoticeRow,
    RefreshRow,
    RequestRow,
)
from openapi.fields import Siret
from openapi.problem import Language

MOST_GRANTS = 500
"""Grants of one citizen that are read at once, newest first."""
_JTI_BYTES = 16
CODE_MEMORY = 86_400
"""Seconds for which a used code is remembered, so that its second use is recognised."""


class ConsentStore:
    """Safe to share between threads: it holds an engine and nothing else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Pushed requests

    def add_request(self, pushed: PushedRequest, *, now: int) -> None:
        """Keep a request until it lapses, and forget those that lapsed."""
        asked = pushed.request
        row = RequestRow(
            key=pushed.key,
            client_id=pushed.client_id,
            details=to_claims(asked.details),
            redirect_uri=asked.redirect_uri,
            state=asked.state,
            code_challenge=asked.code_challenge,
            expires_at=pushed.expires_at,
            dpop_jkt=asked.dpop_jkt,
            grant_action=None if asked.supersedes is None else "merge" if asked.merges else "replace",
            grant_id=asked.supersedes,
        )
        with Session(self._engine) as session, session.begin():
            session.exec(delete(RequestRow).where(col(RequestRow.expires_at) <= now))
            session.add(row)

    def open_request(self, key: str, *, client_id: str, now: int, until: int) -> PushedRequest | None:
        """The application's request, if it waits for a decision. Its first opening makes it last until ``until``."""
        waiting = (*_waiting(key, now), col(RequestRow.client_id) == client_id)
        with Session(self._engine) as session, session.begin():
            session.exec(
                update(RequestRow)
                .where(*waiting, col(RequestRow.opened).is_(False))
                .values(opened=True, expires_at=until)
            )
            row = session.exec(select(RequestRow).where(*waiting)).one_or_none()
            return None if row is None else _request(row)

    def decide_request(self, key: str, *, now: int) -> bool:
        """Take the request for a decision; false when it lapsed or was taken before."""
        with Session(self._engine) as session, session.begin():
            statement = update(RequestRow).where(*_waiting(key, now)).values(decided=True)
            return _touched_one(session.exec(statement))

    def release_request(self, key: str) -> None:
        """Let a request wait again whose decision could not be recorded."""
        with Session(self._engine) as session, session.begin():
            session.exec(update(RequestRow).where(col(RequestRow.key) == key).values(decided=False))

    # Client assertions

    def spend_assertion(self, key: str, *, expires_at: int, now: int) -> bool:
        """Remember that an assertion was used; false when it was before."""
        try:
            with Session(self._engine) as session, session.begin():
                session.exec(delete(AssertionRow).where(col(AssertionRow.expires_at) <= now))
                session.add(AssertionRow(key=key, expires_at=expires_at))
        except IntegrityError:
            return False
        return True

    # Grants and codes

    def add_grant(self, grant: Grant, code: AuthorizationCode) -> bool:
        """Store a grant with the code that stands for it; false when its status index is taken."""
        try:
            with Session(self._engine) as session, session.begin():
                session.exec(delete(CodeRow).where(col(CodeRow.expires_at) <= grant.given_at - CODE_MEMORY))
                session.add(_grant_row(grant))
                session.flush()
                session.add(CodeRow(**{name: getattr(code, name) for name in AuthorizationCode.__slots__}))
        except IntegrityError:
            return False
        return True

    def code(self, key: str) -> AuthorizationCode | None:
        """A code, used or not."""
        with Session(self._engine) as session:
            row = session.get(CodeRow, key)
            return None if row is None else AuthorizationCode(**row.model_dump())

    def use_code(self, key: str, *, now: int) -> bool:
        """Use a code; false when it was used before."""
        with Session(self._engine) as session, session.begin():
            unused = (col(CodeRow.key) == key, col(CodeRow.used_at).is_(None))
            return _touched_one(session.exec(update(CodeRow).where(*unused).values(used_at=now)))

    def add_refresh_token(self, key: str, *, grant_id: str, client_id: str, now: int) -> None:
        """Keep a refresh token, by its hash."""
        with Session(self._engine) as session, session.begin():
            session.add(RefreshRow(key=key, grant_id=grant_id, client_id=client_id, created_at=now))

    def refreshed_grant(self, key: str, *, client_id: str) -> Grant | None:
        """The grant of an application's refresh token."""
        with Session(self._engine) as session:
            token = session.get(RefreshRow, key)
            if token is None or token.client_id != client_id:
                return None
            row = session.get(GrantRow, token.grant_id)
            return None if row is None else _grant(row)

    def grant(self, grant_id: str) -> Grant | None:
        """A grant, active or not."""
        with Session(self._engine) as session:
            row = session.get(GrantRow, grant_id)
            return None if row is None else _grant(row)

    def grants_of(self, citizen: str) -> Sequence[Grant]:
        """A citizen's grants, newest first."""
        with Session(self._engine) as session:
            newest = select(GrantRow).where(GrantRow.citizen == citizen).order_by(col(GrantRow.given_at).desc())
            return [_grant(row) for row in session.exec(newest.limit(MOST_GRANTS))]

    def change(self, grant_id: str, status: GrantStatus, *, now: int, push: bool = False) -> bool:
        """Give a grant another status and tell the feeds and its application; false when it may not take it.

        ``push``: whether the application is told by a push, rather than asking.
        """
        ended_at = now if status in ("withdrawn", "expired") else None
        with Session(self._engine) as session, session.begin():
            fitting = (col(GrantRow.grant_id) == grant_id, col(GrantRow.status).in_(BEFORE[status]))
            if not _touched_one(
                session.exec(update(GrantRow).where(*fitting).values(status=status, ended_at=ended_at))
            ):
                return False
            row = session.exec(select(GrantRow).where(GrantRow.grant_id == grant_id)).one()
            number, code = _next_change(session), OF_GRANTS[status]
            session.add(ChangeRow(change=number, status_index=row.status_index, status=code, changed_at=now))
            session.add(_told(row, OF_STATUS[status], now=now, push=push))
            return True

    def renewals_due(self, *, now: int, limit: int) -> Sequence[Grant]:
        """Active grants near their end whose applications were not told."""
        with Session(self._engine) as session:
            life = col(GrantRow.expires_at) - col(GrantRow.given_at)
            due = select(GrantRow).where(
                GrantRow.status == "active",
                col(GrantRow.reminded_at).is_(None),
                col(GrantRow.expires_at) > now,
                (now - col(GrantRow.given_at)) * 10 >= life * int(RENEWAL_SHARE * 10),
            )
            return [_grant(row) for row in session.exec(due.limit(limit))]

    def remind(self, grant_id: str, *, now: int, push: bool) -> bool:
        """Tell the application of a grant's coming end; false when it was told before."""
        with Session(self._engine) as session, session.begin():
            untold = (col(GrantRow.grant_id) == grant_id, col(GrantRow.reminded_at).is_(None))
            if not _touched_one(session.exec(update(GrantRow).where(*untold).values(reminded_at=now))):
                return False
            row = session.exec(select(GrantRow).where(GrantRow.grant_id == grant_id)).one()
            session.add(_told(row, RENEWAL_DUE, now=now, push=push))
            return True

    def ended(self, *, now: int, limit: int) -> Sequence[Grant]:
        """Grants whose end has passed and that nobody has marked so yet."""
        with Session(self._engine) as session:
            late = select(GrantRow).where(col(GrantRow.status).in_(BEFORE["expired"]), col(GrantRow.expires_at) <= now)
            return [_grant(row) for row in session.exec(late.order_by(col(GrantRow.expires_at)).limit(limit))]

    # Notices

    def keep_notice(self, notice: KeptNotice, *, now: int) -> None:
        """Keep a text that was shown; one that is kept already stays as it was."""
        try:
            with Session(self._engine) as session, session.begin():
                if session.get(NoticeRow, notice.sha256) is None:
                    session.add(
                        NoticeRow(
                            sha256=notice.sha256,
                            language=notice.language,
                            content=notice.content,
                            first_shown_at=now,
                        )
                    )
        except IntegrityError:
            # Another process kept it at the same moment.
            return

    def notice(self, sha256: str) -> KeptNotice | None:
        """The text with this hash."""
        with Session(self._engine) as session:
            row = session.get(NoticeRow, sha256)
            return None if row is None else KeptNotice(row.sha256, cast("Language", row.language), row.content)

    # The status list

    def status_list(self, number: int, *, at: int | None = None) -> bytes | None:
        """The bytes of a status list, now or as they were at ``at``; ``None`` for one not yet opened then."""
        first, after = number * LIST_SIZE, (number + 1) * LIST_SIZE
        indexes = (col(GrantRow.status_index) >= first, col(GrantRow.status_index) < after)
        began = True if at is None else col(GrantRow.given_at) <= at
        with Session(self._engine) as session:
            if number and session.exec(select(GrantRow.grant_id).where(*indexes, began).limit(1)).first() is None:
                return None
            changes = select(ChangeRow.status_index, ChangeRow.status).where(
                ChangeRow.status_index >= first, ChangeRow.status_index < after
            )
            if at is not None:
                changes = changes.where(ChangeRow.changed_at <= at)
            statuses = StatusList()
            for index, status in session.exec(changes.order_by(col(ChangeRow.change))):
                statuses.set(index - first, status)
        return statuses.of(0)

    def newest_list(self) -> int:
        """The number of the newest status list."""
        with Session(self._engine) as session:
            highest = session.exec(select(func.max(GrantRow.status_index))).one()
        return (highest or 0) // LIST_SIZE

    # The gateways' feed

    def last_change(self) -> int:
        """The number of the newest change; 0 before the first."""
        with Session(self._engine) as session:
            return session.exec(select(LastChangeRow.change)).one()

    def changes_since(self, change: int) -> Sequence[tuple[int, int, int]]:
        """``(change, status index, status)`` of every change after ``change``, oldest first; 0 for all of them."""
        with Session(self._engine) as session:
            newer = select(ChangeRow).where(ChangeRow.change > change).order_by(col(ChangeRow.change))
            return [(row.change, row.status_index, row.status) for row in session.exec(newer)]


def _told(row: GrantRow, event: str, *, now: int, push: bool) -> DeliveryRow:
    return delivery_row(Delivery(token_urlsafe(_JTI_BYTES), row.client_id, row.grant_id, event, now), push=push)


def _waiting(key: str, now: int) -> tuple[Any, ...]:  # SQLAlchemy's conditions
    return (
        col(RequestRow.key) == key,
        col(RequestRow.decided).is_(False),
        col(RequestRow.expires_at) > now,
    )


def _touched_one(result: CursorResult[Any] | ScalarResult[Any]) -> bool:
    return cast("CursorResult[Any]", result).rowcount == 1


def _next_change(session: Session) -> int:
    """The next number, given out under the lock of one row that is held until the commit.

    A sequence would let a later number become visible before an earlier one, and a feed that had read the later
    would never see the earlier.
    """
    session.exec(update(LastChangeRow).values(change=LastChangeRow.change + 1))
    return session.exec(select(LastChangeRow.change)).one()


def _request(row: RequestRow) -> PushedRequest:
    asked = AuthorizationRequest(
        from_claims(row.details),
        row.redirect_uri,
        row.state,
        row.code_challenge,
        row.dpop_jkt,
        row.grant_id,
        row.grant_action == "merge",
    )
    return PushedRequest(row.key, row.client_id, asked, row.expires_at)


def _grant_row(grant: Grant) -> GrantRow:
    plain = {name: getattr(grant, name) for name in Grant.__slots__ if name != "details"}
    return GrantRow(**plain, details=to_claims(grant.details))


def _grant(row: GrantRow) -> Grant:
    return Grant(
        grant_id=row.grant_id,
        client_id=row.client_id,
        recipient=Siret(row.recipient),
        citizen=row.citizen,
        details=from_claims(row.details),
        identity=row.identity,
        acr=row.acr,
        legal_basis=row.legal_basis,
        notice_sha256=row.notice_sha256,
        status_index=row.status_index,
        given_at=row.given_at,
        expires_at=row.expires_at,
        status=cast("GrantStatus", row.status),
        ended_at=row.ended_at,
        supersedes=row.supersedes,
    )
