"""Who may read the log, and how much of it. Pure.

Three roles: an auditor of everything, an auditor of one organisation, and an operator, who sees what happens but no
sealed detail.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["auditor", "operator"]


@dataclass(frozen=True, slots=True)
class Auditor:
    """Someone who was let in. ``subject`` is a keyed pseudonym, the one that entries about her queries hold."""

    subject: str
    role: Role
    organisation: str | None
    """The SIRET whose accesses alone she sees; ``None``: every organisation's."""

    @property
    def sees_details(self) -> bool:
        """Whether sealed details (citizen's pseudonym, grant, durations) are opened for her."""
        return self.role == "auditor"

    @property
    def sees_everything(self) -> bool:
        """Whether whole entry bundles may be read: every organisation's entries together."""
        return self.organisation is None
