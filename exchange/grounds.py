"""On what an access rests that no consent token opens, and for whom it is made. Pure; the default is refusal.

An application's token says who asks, and nothing about a citizen. A consent token and FranceConnect's own are grounds
by themselves; beside them a habilitation may allow an agent who says why, the application's own procedure, or, for
datasets about companies, itself with context and object.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from consent.model import Client
from exchange.model import Delegation, GroundKind, Habilitation, Registry
from openapi.fields import Siret
from openapi.problem import AccordError


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whom the data is for. ``delegation``: on which an application of another organisation asks."""

    siret: Siret
    delegation: Delegation | None = None


def receiver(
    recipient: Siret, delegation_id: str, *, client: Client, dataset: str, registry: Registry, now: float
) -> Receiver:
    """The application's own organisation, or one that delegates to it. Raises ``delegation_missing``."""
    if recipient == client.organisation and not delegation_id:
        return Receiver(recipient)
    for one in registry.delegations.values():
        if _covers(one, recipient, client, dataset, now) and delegation_id in ("", one.id):
            return Receiver(recipient, one)
    raise AccordError("delegation_missing")


def habilitation_on(
    kinds: Sequence[GroundKind], *, receiver: Receiver, client: Client, dataset: str, registry: Registry, now: float
) -> tuple[Habilitation, GroundKind]:
    """The habilitation in force that allows one of ``kinds``, the earlier the better, and which.

    Raises ``AccordError``: ``habilitation_*``, or ``ground_missing`` with the grounds that would do.
    """
    covering = [
        one
        for one in registry.habilitations.get((receiver.siret, dataset), ())
        if not one.clients or client.client_id in one.clients
    ]
    in_force = [one for one in covering if one.valid_from <= now < one.valid_until]
    if not in_force:
        raise AccordError(_why_not(covering, now))
    for kind in kinds:
        for one in in_force:
            if kind in one.grounds:
                return one, kind
    raise AccordError("ground_missing", grounds=tuple(sorted({kind for one in in_force for kind in one.grounds})))


def agent_of(agent_id: str, key: bytes) -> str:
    """An agent for the log: a keyed HMAC-SHA-256, which tells nothing to whoever has not the key."""
    digest = hmac.digest(key, b"accord agent v1\0" + agent_id.encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def identifier_of(name: str, value: str, key: bytes) -> str:
    """A citizen's number or account for the log: a keyed HMAC-SHA-256, the same in whatever case it was written."""
    digest = hmac.digest(key, f"accord identifier v1\0{name}\0{value.casefold()}".encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _covers(one: Delegation, recipient: Siret, client: Client, dataset: str, now: float) -> bool:
    return (
        (one.organisation, one.delegate) == (recipient, client.organisation)
        and (not one.datasets or dataset in one.datasets)
        and one.valid_from <= now < one.valid_until
    )


def _why_not(covering: Collection[Habilitation], now: float) -> str:
    if not covering:
        return "habilitation_missing"
    return "habilitation_not_started" if all(one.valid_from > now for one in covering) else "habilitation_expired"
