"""The three public agents of the demo: an auditor of everything, an auditor of one organisation, an operator."""

from dataclasses import dataclass, field

from openapi.fields import siret

AUTHORITY_SIRET = siret("13990001300018")
OPERATOR_SIRET = siret("20990001800018")
"""Valid by their keys and nobody's."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A fictional public agent. ``key`` names her in the form; ``sub`` is the same for every partner and every run."""

    key: str
    label: str
    sub: str
    given_name: str = field(repr=False)
    usual_name: str = field(repr=False)
    siret: str


def agents_of(town: str) -> tuple[Agent, ...]:
    """Those of the login page; one of them works for ``town``."""
    return (
        Agent(
            "claire",
            "Claire Fontaine - auditrice de tous les accès",
            "5c0b2b9e-6c0e-4f6a-9d0e-0c1a3e5f7a11",
            "Claire",
            "Fontaine",
            AUTHORITY_SIRET,
        ),
        Agent(
            "marc",
            "Marc Olivier - auditeur d'une seule commune",
            "8a4d1f3c-2b7e-4c59-8e61-9f2d4b6c8a22",
            "Marc",
            "Olivier",
            town,
        ),
        Agent(
            "nadia",
            "Nadia Perrin - exploitante de la passerelle",
            "e17f5a90-3d4c-4b28-a7f3-6b8c0d2e4f33",
            "Nadia",
            "Perrin",
            OPERATOR_SIRET,
        ),
    )
