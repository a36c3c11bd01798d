"""Whether a call about a citizen may go on, on what ground and with which fields. Pure; the default is refusal."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from audit.model import DetailValue
from consent.identity import pseudonym
from exchange import journal
from exchange.dropin.call import Call
from exchange.dropin.citizen_paths import Way
from exchange.dropin.door import Passage, Visitor
from exchange.dropin.identity import Told, differences
from exchange.dropin.scopes import opened
from exchange.grounds import agent_of, habilitation_on, identifier_of, receiver
from exchange.model import Asked, ConsentToken, GroundKind, Habilitation, Refusal, Registry
from exchange.policy import decide
from openapi.fields import PivotIdentity, Siret
from openapi.problem import AccordError
from providers.model import Manifest
from providers.port import Query

_IDENTITY = "_identite"
"""In the name of a scope that opens the holder's own idea of who she is: the State's API gives none of it to who has a
FranceConnect token, which told it already."""
AGENT_HEADER, REASON_HEADER = b"x-agent-id", b"x-agent-reason"
_REFERENCE = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9][A-Za-z0-9._/-]{0,39}", re.ASCII)
"""Of a file, with a digit in it: words of an agent's own would bring names into the log."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, well-formed, by whom it was recognised to be asked. ``repr`` shows nothing."""

    call: Call
    manifest: Manifest
    visitor: Visitor
    told: Told
    recipient: Siret
    request_id: str
    way: Way
    needs: Callable[[str], bool] = lambda _name: True
    """Whether a field has a place in the version that is asked for."""

    def __repr__(self) -> str:
        return f"Question({self.manifest.dataset})"


def consented(question: Question, token: ConsentToken, registry: Registry) -> Passage:
    """On the citizen's authorisation. The holder is asked about the person of the token, whom the parameters must fit.

    Asked by an identifier, it says whose that is: the answer is held against the person of the token, as in an exchange
    of ``gateway.py``, and where a manifest says nothing to hold against her, her agreement opens nothing.

    Raises ``AccordError``: the policy's refusals, ``delegation_missing``, ``identity_not_consented`` and
    ``ground_missing``.
    """
    call, manifest, told = question.call, question.manifest, question.told
    permit = decide(Asked(question.request_id, manifest.dataset), token, registry, now=int(call.began))
    if isinstance(permit, Refusal):
        raise AccordError(permit.slug, **permit.facts)
    if question.way.mode == "identifier" and not question.way.confirms:
        raise AccordError("ground_missing", grounds=("agent", "application"))
    if question.recipient != permit.detail.recipient or call.one("delegation_id"):
        raise AccordError("delegation_missing")
    fields = tuple(name for name in permit.fields if question.needs(name))
    if not fields:
        # Answers derived from fields have no place in the peers' envelope.
        raise AccordError("field_not_habilitated", fields=permit.detail.fields)
    if told.identity is not None and (unlike := differences(told.identity, token.identity, manifest)):
        raise AccordError("identity_not_consented", parameters=unlike)
    ground = journal.consented(token, permit, proof=next(iter(question.visitor.spends), None), now=call.began)
    query = _query(question, fields, token.identity)
    # What may be kept is kept with the authorisation alone, and not for who asks for a new answer.
    return Passage(ground, query if _wants_new(call) else replace(query, status_index=token.status_index))


def granted(question: Question, registry: Registry, key: bytes) -> Passage:
    """On any other ground that the habilitation allows. ``key``: of pseudonyms.

    Raises ``AccordError``: ``delegation_missing``, ``habilitation_*``, ``ground_missing``, ``field_not_habilitated``.
    """
    call, visitor, dataset = question.call, question.visitor, question.manifest.dataset
    identity = question.told.identity or visitor.franceconnect
    kinds, why = _offered(question, key)
    delegation_id, now = call.one("delegation_id"), call.began
    whom = receiver(
        question.recipient, delegation_id, client=visitor.client, dataset=dataset, registry=registry, now=now
    )
    habilitation, kind = habilitation_on(
        kinds, receiver=whom, client=visitor.client, dataset=dataset, registry=registry, now=now
    )
    fields = _fields(question, habilitation)
    ground = journal.granted(
        kind,
        visitor.client,
        habilitation,
        delegation=whom.delegation,
        sealed={**_citizen(identity, key), **_identifier(question, key), **why},
        spends=visitor.spends,
    )
    return Passage(ground, _query(question, fields, identity))


def _fields(question: Question, habilitation: Habilitation) -> tuple[str, ...]:
    """Those of the habilitation; with FranceConnect's token, those of them that its scopes open."""
    fields = habilitation.fields
    if question.visitor.franceconnect is not None:
        fields = opened(question.manifest, fields, [one for one in question.visitor.scopes if _IDENTITY not in one])
    needed = tuple(name for name in sorted(fields) if question.needs(name))
    if not needed:
        raise AccordError("field_not_habilitated", fields=tuple(sorted(habilitation.fields)))
    return needed


def _wants_new(call: Call) -> bool:
    """``Cache-Control: no-cache``, as the State's contract has it."""
    return any(name == b"cache-control" and b"no-cache" in value.lower() for name, value in call.scope["headers"])


def _query(question: Question, fields: tuple[str, ...], identity: PivotIdentity | None) -> Query:
    is_citizens = question.visitor.franceconnect is not None
    return Query(
        question.manifest.dataset,
        question.recipient,
        question.request_id,
        fields,
        identity=identity,
        parameters=question.told.parameters,
        identifier=question.way.identifier,
        franceconnect_token=question.call.token.decode("latin-1") if is_citizens else None,
    )


def _offered(question: Question, key: bytes) -> tuple[tuple[GroundKind, ...], dict[str, DetailValue]]:
    """The grounds that a call may rest on, the better first, and what is sealed: ``acr``, an agent and her reason."""
    agent, reason = question.call.header(AGENT_HEADER), question.call.header(REASON_HEADER)
    why: dict[str, DetailValue] = {}
    if question.visitor.acr:
        why["acr"] = question.visitor.acr
    if agent is not None:
        why["agent"] = agent_of(agent, key)
    if reason is not None:
        why["reason"] = _reference(reason)
    if question.visitor.franceconnect is not None:
        return ("franceconnect",), why
    return (("agent", "application") if agent is not None and reason is not None else ("application",)), why


def _reference(reason: str) -> str:
    if not _REFERENCE.fullmatch(reason):
        raise AccordError(
            "request_malformed",
            field=REASON_HEADER.decode(),
            expected="a file's reference: at most 40 letters, digits and ._/-, a digit among them, no name",
        )
    return reason


def _citizen(identity: PivotIdentity | None, key: bytes) -> dict[str, DetailValue]:
    """Her pseudonym, where the identity has all that FranceConnect's own has; else nobody could be found by it."""
    if identity is None or not all((identity.given_names, identity.gender, identity.birthdate)):
        return {}
    return {"citizen": pseudonym(identity, key)}


def _identifier(question: Question, key: bytes) -> dict[str, DetailValue]:
    """What she was asked about by, where it was not her identity: nobody can tell from it whose pseudonym is hers."""
    name = question.way.identifier
    return {} if name is None else {"identifier": identifier_of(name, question.told.parameters[name], key)}
