"""From a pushed request to the citizen's decision: what may become a grant, and the way back. Pure.

A citizen may give less than was asked, never more: fewer fields, an earlier end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from consent.errors import OAuthError
from consent.model import Client, Detail
from consent.ports import Permit
from openapi.fields import InvalidValue
from openapi.problem import AccordError
from openapi.rules import check_together


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """A request that waits for the citizen. ``permits`` stand beside ``details``, one each."""

    request_uri: str
    client: Client
    details: tuple[Detail, ...]
    permits: tuple[Permit, ...]
    redirect_uri: str
    state: str | None
    code_challenge: str
    expires_at: int
    """When the request itself lapses, Unix seconds; not the grant's end."""
    dpop_jkt: str | None = None
    supersedes: str | None = None
    """The grant that this one replaces when the citizen agrees."""
    merges: bool = False

    @property
    def latest_end(self) -> int:
        """The last end a grant of it may have: what was asked, and no habilitation outlived."""
        asked = [detail.expires_at for detail in self.details if detail.expires_at is not None]
        return min([*asked, *(permit.valid_until for permit in self.permits)])

    @property
    def legal_basis(self) -> str:
        """The legal basis of the request; several are joined with commas."""
        return ",".join(sorted({permit.legal_basis for permit in self.permits}))


def narrowed(
    pending: PendingAuthorization, *, fields: Sequence[Sequence[str]], expires_at: int, now: int
) -> tuple[Detail, ...]:
    """What the citizen grants: of each detail the ``fields`` at its place, until ``expires_at``.

    Derived answers count among them, by the names of their rules. A detail without any is left out. Raises
    ``AccordError('request_malformed')`` for anything wider than what was asked, for nothing at all, and for an end that
    is past or too late.
    """
    if len(fields) != len(pending.details):
        raise _malformed("fields", "one list for each detail")
    if not now < expires_at <= pending.latest_end:
        raise _malformed("expires_at", "in the future, and no later than was asked")
    granted = tuple(
        replace(_kept(detail, chosen), expires_at=expires_at)
        for detail, chosen in zip(pending.details, fields, strict=True)
        if chosen
    )
    if not granted:
        raise _malformed("fields", "at least one field")
    return granted


def merged(earlier: Sequence[Detail], asked: Sequence[Detail]) -> tuple[Detail, ...]:
    """What is asked and, beside it, what was granted before: the citizen decides on the whole.

    Of two rules of one name, the one asked for now. Raises ``OAuthError('invalid_authorization_details')`` where one
    dataset would serve two purposes, or where rules would tell too much together.
    """
    before = {detail.dataset: detail for detail in earlier}
    whole = []
    for detail in asked:
        old = before.pop(detail.dataset, detail)
        if old.purpose != detail.purpose:
            raise OAuthError("invalid_authorization_details", "purpose: another than that of the grant to merge with")
        whole.append(_joined(detail, old))
    return (*whole, *before.values())


def response_url(redirect_uri: str, *, issuer: str, state: str | None, **parameters: str) -> str:
    """The way back to the application, with ``iss`` (RFC 9207) so that it cannot mistake who answers."""
    query = {**parameters, "iss": issuer} if state is None else {**parameters, "state": state, "iss": issuer}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(query)}"


def _joined(detail: Detail, old: Detail) -> Detail:
    fields = tuple(dict.fromkeys((*detail.fields, *old.fields)))
    by_name = {rule.name: rule for rule in (*old.rules, *detail.rules)}
    try:
        check_together(tuple(by_name.values()), fields)
    except InvalidValue as error:
        told = f"{error.field}: {error.expected}, with the grant to merge with"
        raise OAuthError("invalid_authorization_details", told) from None
    return replace(detail, fields=fields, rules=tuple(by_name.values()))


def _kept(detail: Detail, chosen: Sequence[str]) -> Detail:
    wanted = set(chosen)
    if not wanted <= set(detail.names):
        raise _malformed("fields", "only fields that were asked for")
    return replace(
        detail,
        fields=tuple(name for name in detail.fields if name in wanted),
        rules=tuple(rule for rule in detail.rules if rule.name in wanted),
    )


def _malformed(field: str, expected: str) -> AccordError:
    return AccordError("request_malformed", field=field, expected=expected)
