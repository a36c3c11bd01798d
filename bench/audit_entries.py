"""Entries like those of a year of exchanges: 40 organisations, 60 applications, 6 datasets, 200,000 citizens."""

import os
import random
import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from audit.model import Append

RECIPIENTS = tuple(f"2199{number:010d}" for number in range(40))
CLIENTS = tuple(f"application-{number}" for number in range(60))
DATASETS = ("quotient_familial", "participation_familiale", "etudiant_boursier", "demandeur_emploi", "rsa", "impot")
PURPOSES = ("tarification_creche", "tarification_cantine", "aide_sociale", "transport_scolaire")
OUTCOMES = ("ok",) * 18 + ("grant_withdrawn", "holder_unavailable")
CITIZENS = 200_000

_random = random.Random(os.getpid())  # noqa: S311  # load, not secrets


def append_like_an_exchange(now: float | None = None) -> Append:
    """One access, refusal or failure, at ``now`` (Unix seconds)."""
    seconds = time.time() if now is None else now
    dataset, recipient = _random.choice(DATASETS), _random.randrange(len(RECIPIENTS))
    outcome = _random.choice(OUTCOMES)
    grant = f"{_random.getrandbits(122):031x}"
    access = Append(
        {
            "v": 1,
            "kind": {"ok": "access", "grant_withdrawn": "refusal"}.get(outcome, "failure"),
            "time": datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "request_id": str(UUID(int=_random.getrandbits(128), version=4)),
            "dataset": dataset,
            "fields": [f"{dataset}.{name}" for name in ("valeur", "mois", "annee")],
            "recipient": RECIPIENTS[recipient],
            "client": CLIENTS[recipient + _random.randrange(20)],
            "purpose": _random.choice(PURPOSES),
            "legal_basis": "consent",
            "provider": "api_particulier",
            "outcome": outcome,
        },
        {
            "citizen": f"{_random.randrange(CITIZENS) * 0x9E3779B97F4A7C15 % 2**256:064x}",
            "grant_id": grant,
            "acr": "eidas1",
            "duration_ms": 120,
            "habilitation": "h-1",
            "access": "recurring",
        },
        requires=(f"grant:{grant}",),
    )
    if outcome != "ok":
        return access
    return replace(access, spends=(f"dpop:{int(seconds) + 300}:{_random.getrandbits(256):064x}",))
