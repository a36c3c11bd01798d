"""The outbox: deliveries until they are received. One method, one transaction; several processes may share it."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Engine, update
from sqlmodel import Session, col, select

from consent.events.token import Delivery
from consent.tables import DeliveryRow

CLAIM_SECONDS = 60
"""For which a process that took a delivery has it to itself; after a crash it is due again."""


def delivery_row(delivery: Delivery, *, push: bool) -> DeliveryRow:
    """A new delivery, due at once when it is to be pushed, else waiting to be polled."""
    return DeliveryRow(
        jti=delivery.jti,
        client_id=delivery.client_id,
        grant_id=delivery.grant_id,
        event=delivery.event,
        created_at=delivery.created_at,
        next_attempt_at=delivery.created_at if push else None,
    )


class Outbox:
    """Safe to share between threads: it holds an engine and nothing else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, *, now: int, limit: int) -> Sequence[Delivery]:
        """Take what is due: what another process takes at the same moment is not among it."""
        due = (col(DeliveryRow.next_attempt_at) <= now, col(DeliveryRow.delivered_at).is_(None))
        with Session(self._engine) as session:
            rows = session.exec(select(DeliveryRow).where(*due).order_by(col(DeliveryRow.next_attempt_at)).limit(limit))
            found = [_delivery(row) for row in rows]
        return [one for one in found if self._take(one, due, now)]

    def retry(self, delivery: Delivery, *, at: int | None) -> None:
        """Push again at ``at``, or never: it is left to be polled."""
        self._set(delivery.jti, next_attempt_at=at, attempts=delivery.attempts + 1)

    def delivered(self, jti: str, *, now: int) -> None:
        """It was received."""
        self._set(jti, next_attempt_at=None, delivered_at=now)

    def acknowledge(self, client_id: str, jtis: Sequence[str], *, now: int) -> None:
        """An application received these; of others' nothing changes."""
        mine = (col(DeliveryRow.client_id) == client_id, col(DeliveryRow.jti).in_(jtis))
        with Session(self._engine) as session, session.begin():
            session.exec(update(DeliveryRow).where(*mine).values(next_attempt_at=None, delivered_at=now))

    def waiting(self, client_id: str, *, limit: int) -> Sequence[Delivery]:
        """What an application has not received, oldest first."""
        mine = (col(DeliveryRow.client_id) == client_id, col(DeliveryRow.delivered_at).is_(None))
        with Session(self._engine) as session:
            oldest = select(DeliveryRow).where(*mine).order_by(col(DeliveryRow.created_at), col(DeliveryRow.jti))
            return [_delivery(row) for row in session.exec(oldest.limit(limit))]

    def _take(self, one: Delivery, due: tuple[Any, ...], now: int) -> bool:
        with Session(self._engine) as session, session.begin():
            statement = update(DeliveryRow).where(col(DeliveryRow.jti) == one.jti, *due)
            taken = session.exec(statement.values(next_attempt_at=now + CLAIM_SECONDS))
            return cast("CursorResult[Any]", taken).rowcount == 1

    def _set(self, jti: str, **values: int | None) -> None:
        with Session(self._engine) as session, session.begin():
            session.exec(update(DeliveryRow).where(col(DeliveryRow.jti) == jti).values(**values))


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(row.jti, row.client_id, row.grant_id, row.event, row.created_at, row.attempts)
