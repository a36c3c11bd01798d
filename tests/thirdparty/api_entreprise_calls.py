"""What an application written with PyPI's ``api-entreprise`` does, run apart from us: arguments in, JSON out.

Only the base URL and the token are another than they would be at the State's.
"""

import json
import sys
import time

from api_entreprise import ApiEntreprise, ApiError, Config, ContextInfo, Http429Error  # type: ignore[import-not-found]

base_url, token, recipient, siret, nobody, unhabilitated = sys.argv[1:7]


def client(token: str = token, recipient: str = recipient) -> ApiEntreprise:
    why = ContextInfo(context="Marché public", recipient=recipient, object="marché 2026-017")
    return ApiEntreprise(Config(base_url=base_url, token=token, default_context_info=why))


def refused(api: ApiEntreprise, siret: str) -> list[str]:
    try:
        api.donnees_etablissement(siret)
    except ApiError as error:
        return [one.code for one in error.errors]
    return []


def delay() -> tuple[int, float]:
    """Ask until the limit is reached: how long the library is told to wait, and when that was."""
    for _ in range(600):
        try:
            client(unhabilitated).donnees_etablissement(siret)
        except Http429Error as error:
            return int(error.delay), time.time()
        except ApiError:
            pass
    return 0, 0.0


found = client().donnees_etablissement(siret)
health = client().healthcheck_fournisseur("insee/sirene")
sys.stdout.write(
    json.dumps(
        {
            "siret": found.siret,
            "raison_sociale": found.unite_legale.personne_morale_attributs.raison_sociale,
            "naf": found.activite_principale.code,
            "adresse": found.adresse_postale_legere,
            "nobody": client().donnees_etablissement(nobody),
            "chiffres": [one.data.chiffre_affaires for one in client().chiffre_d_affaires(siret)],
            "no_turnover": client().chiffre_d_affaires(nobody),
            "health": [health.status, health.last_update.isoformat(), health.last_ok_status.isoformat()],
            "unknown_provider": client().raw_healthcheck_fournisseur("nobody"),
            "bad_token": refused(client("another"), siret),
            "bad_recipient": refused(client(recipient="12345678901234"), siret),
            "bad_siret": refused(client(), "123"),
            "not_habilitated": refused(client(unhabilitated), siret),
            "delay": delay(),
        }
    )
)
