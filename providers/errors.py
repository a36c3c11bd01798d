"""How a holder can fail, in the words of the problem registry.

::

    ProviderError
     ├─ BadInput            the holder refuses the parameters          (holder_refused_input)
     ├─ NotIdentified       the holder cannot tell who the citizen is  (citizen_not_identified)
     ├─ CitizenTokenRefused  the holder refuses her FranceConnect token (franceconnect_token_inactive)
     ├─ UnknownCitizen      the holder has no file for her             (citizen_unknown_to_holder)
     ├─ UnknownCompany      the holder has nothing about the company   (company_unknown_to_holder)
     ├─ NotDisclosed        the law keeps the company's data closed    (company_not_disclosed)
     ├─ NotIssued           the holder does not issue the document     (document_not_issued)
     ├─ UnderReview         the holder's agents are looking at it      (document_under_review)
     ├─ NotComputable       a file exists, the value does not          (value_not_computable)
     ├─ HolderRefused       our credentials or rights are refused      (holder_refused_access)
     ├─ HolderBusy          the holder's limit, or ours for it         (holder_busy, retry_in)
     ├─ HolderInMaintenance  away, as its manifest announces           (holder_in_maintenance, retry_in)
     ├─ HolderUnreachable   refused, reset, TLS, DNS, or failing for some time (holder_unreachable, retry_in)
     │   └─ HolderCutOff    the wire itself: the matter of all its datasets
     ├─ HolderTimeout       no whole answer within the deadline        (holder_timeout, retry_in)
     ├─ HolderFailed        the holder says that it failed             (holder_failed, retry_in)
     └─ AnswerInvalid       not the announced form, or too large       (holder_answer_invalid)
"""

from openapi.problem import AccordError, Fact


class ProviderError(AccordError):
    """Base: one slug per class; ``provider`` and, where it helps, ``retry_in`` (seconds) are its facts."""

    code = "holder_failed"

    def __init__(self, provider: str, **facts: Fact) -> None:
        super().__init__(self.code, provider=provider, **facts)
        self.provider = provider


class BadInput(ProviderError):
    """The holder refuses the parameters."""

    code = "holder_refused_input"


class NotIdentified(ProviderError):
    """The holder cannot tell who the citizen is."""

    code = "citizen_not_identified"


class CitizenTokenRefused(ProviderError):
    """The holder refuses the citizen's FranceConnect token: ended, or not for it."""

    code = "franceconnect_token_inactive"


class UnknownCitizen(ProviderError):
    """The holder has no file for the citizen."""

    code = "citizen_unknown_to_holder"


class UnknownCompany(ProviderError):
    """The holder has nothing about the company: unknown, closed, or outside of what it looks after."""

    code = "company_unknown_to_holder"


class NotDisclosed(ProviderError):
    """The law keeps the company's data from everybody."""

    code = "company_not_disclosed"


class NotIssued(ProviderError):
    """The holder does not issue the document: the company's situation does not allow it, or it is not known there."""

    code = "document_not_issued"


class UnderReview(ProviderError):
    """The holder's agents are looking at the company's situation: hours or days."""

    code = "document_under_review"


class NotComputable(ProviderError):
    """A file exists, the value does not: never to be read as 0."""

    code = "value_not_computable"


class HolderRefused(ProviderError):
    """The holder refuses our credentials or rights."""

    code = "holder_refused_access"


class HolderBusy(ProviderError):
    """The holder's limit, or ours for it, is reached."""

    code = "holder_busy"


class HolderInMaintenance(ProviderError):
    """The holder is away, as its manifest announces."""

    code = "holder_in_maintenance"


class HolderUnreachable(ProviderError):
    """No connection; or a holder, or one of its datasets, that failed too often to be asked now."""

    code = "holder_unreachable"


class HolderCutOff(HolderUnreachable):
    """Refused, reset, TLS, DNS: nothing that one of the holder's datasets could do about."""


class HolderTimeout(ProviderError):
    """No whole answer within the deadline."""

    code = "holder_timeout"


class HolderFailed(ProviderError):
    """The holder says that it failed."""

    code = "holder_failed"


class AnswerInvalid(ProviderError):
    """The answer has not the announced form, or is too large."""

    code = "holder_answer_invalid"
