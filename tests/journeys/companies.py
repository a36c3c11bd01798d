"""A deployment whose town may ask about companies, with API Entreprise over the State's fixtures as the holder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from exchange.application import new_token
from sandbox.servers import sandbox_running
from sandbox.world import TOWN_SIRET, World
from tests.journeys.deployment import Deployment, deployed, free_ports, load_registry
from tests.journeys.dropin import KEY
from tests.state_companies import Companies

HOLDER_TOKEN = "the-holders-token-of-this-test"
EDITOR_SIRET = "73282932000074"
OTHER_TOWN_SIRET = "21630113500010"
NARROW = ("siret", "activite_principale_naf_rev2.code", "unite_legale.personne_morale_attributs.raison_sociale")
"""All that the other town may have, and of establishments alone."""
WHY = {"context": "Marché public", "object": "marché 2026-017"}


@dataclass(frozen=True, slots=True)
class CompanyWorld:
    """``others``: the token of the other town's application; ``editors``: of one to which the town delegates."""

    deployment: Deployment
    companies: Companies
    others: str
    editors: str
    ended: str
    """A token of yesterday."""
    elsewhere: str
    """A token that is good from one address alone, which is not ours."""
    bound: str
    """A token that is bound to the key of :mod:`tests.journeys.dropin`."""
    http: httpx.Client

    @property
    def token(self) -> str:
        """Of the town's own application."""
        return self.deployment.world.buyers_token

    def get(
        self, path: str, *, token: str | None = None, leave_out: str = "", proof: str = "", **parameters: str
    ) -> httpx.Response:
        """One call, as an application written for API Entreprise makes it."""
        asked = {"recipient": TOWN_SIRET, **WHY, **parameters}
        asked.pop(leave_out, None)
        shown = self.token if token is None else token
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        if proof:
            headers["DPoP"] = proof
        return self.http.get(self.deployment.url + path, params=asked, headers=headers)


@contextmanager
def asking_about_companies(
    folder: Path, reference: Path, *, settings: Mapping[str, str] | None = None
) -> Iterator[CompanyWorld]:
    (port,) = free_ports(1)
    companies = Companies(reference / "api-entreprise" / "fixtures", token=HOLDER_TOKEN)
    made = [new_token() for _ in range(5)]
    others, editors, ended, elsewhere, bound = (token for token, _ in made)

    def add_to_registry(world: World) -> None:
        added = _registry(*(digest for _, digest in made))
        world.registry.write_text(world.registry.read_text() + added, encoding="utf-8")
        load_registry(world)

    given = {
        "ACCORD_HOLDERS__API_ENTREPRISE__URL": f"http://localhost:{port}",
        "ACCORD_HOLDERS__API_ENTREPRISE__TOKEN": HOLDER_TOKEN,
        **(settings or {}),
    }
    with (
        sandbox_running(companies.app, port=port),
        deployed(folder, settings=given, before=add_to_registry) as running,
        httpx.Client(timeout=20, trust_env=False) as http,
    ):
        yield CompanyWorld(running, companies, others, editors, ended, elsewhere, bound, http)


def _registry(others: str, editors: str, ended: str, elsewhere: str, bound: str) -> str:
    today = datetime.now(UTC).date()
    begins, ends = today - timedelta(days=2), today + timedelta(days=300)
    return f"""
[[organisation]]
siret = "{EDITOR_SIRET}"
name = "Éditeur"

[[organisation]]
siret = "{OTHER_TOWN_SIRET}"
name = "Autre commune"

[[client]]
client_id = "autre-achats"
name = "Achats de l'autre commune"
organisation = "{OTHER_TOWN_SIRET}"
sender_constraint = "none"
token_sha256 = "{others}"
token_until = {ends}

[[client]]
client_id = "editeur"
name = "Logiciel de l'éditeur"
organisation = "{EDITOR_SIRET}"
sender_constraint = "none"
token_sha256 = "{editors}"
token_until = {ends}

[[client]]
client_id = "ancien"
name = "Application dont le jeton a expiré"
organisation = "{TOWN_SIRET}"
sender_constraint = "none"
token_sha256 = "{ended}"
token_until = {begins}

[[client]]
client_id = "ailleurs"
name = "Application d'une seule adresse"
organisation = "{TOWN_SIRET}"
sender_constraint = "none"
token_sha256 = "{elsewhere}"
token_until = {ends}
allowed_ips = ["192.0.2.7"]

[[client]]
client_id = "lie"
name = "Application liée à une clé"
organisation = "{OTHER_TOWN_SIRET}"
sender_constraint = "none"
token_sha256 = "{bound}"
token_until = {ends}
token_jkt = "{KEY.thumbprint()}"

[[delegation]]
id = "valombre-editeur"
organisation = "{TOWN_SIRET}"
delegate = "{EDITOR_SIRET}"
datasets = ["attestation_fiscale"]
valid_from = {begins}
valid_until = {ends}

[[habilitation]]
id = "autre-etablissement"
organisation = "{OTHER_TOWN_SIRET}"
dataset = "etablissement"
fields = {list(NARROW)}
purposes = [{{ code = "marche_public", fr = "Vérifier les candidatures", en = "Check the bids" }}]
legal_basis = "public_task"
grounds = ["company"]
valid_from = {begins}
valid_until = {ends}
"""
