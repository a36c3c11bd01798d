"""What a hundred thousand grants cost the consent authority: ``python -m bench.consent``. CPU milliseconds.

A citizen's list page and the status list, on SQLite; the citizen has as many grants as anybody could (two hundred).
"""

import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from sqlalchemy import Engine, insert

from bench.world import CLIENT_ID, FIELDS, PURPOSE, RECIPIENT
from consent.config import ConsentConfig, FranceConnectConfig
from consent.keys import FixedKeys, SealingKeys, SigningKey, TokenKeys
from consent.model import Detail, Grant
from consent.pages.cards import Wording
from consent.status import LIST_SIZE
from consent.status_token import make_status_token
from consent.store import ConsentStore
from consent.tables import GrantRow
from exchange.bridge import ManifestCatalogue
from exchange.database import open_engine
from providers import registry as providers
from providers.config import HolderConfig

GRANTS = 100_000
HERS = 200
WITHDRAWN = 5_000
ROUNDS = 9


def main() -> None:
    """Fill a database, then measure."""
    with tempfile.TemporaryDirectory() as folder:
        engine = _filled(Path(folder))
        store = ConsentStore(engine)
        page = _median(lambda: _list_page(store))
        built = _median(lambda: _status_token(store))
        engine.dispose()
    print(f"{GRANTS:,} grants, of which {WITHDRAWN:,} withdrawn; medians of {ROUNDS}, CPU ms")
    print(f"  a citizen's list of {HERS} authorisations, read and put in words: {page:.1f}")
    print(f"  the status list, read and signed: {built:.1f}")


def _median(act: Callable[[], object]) -> float:
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        act()
        spent.append((time.process_time() - began) * 1000)
    return sorted(spent)[ROUNDS // 2]


def _filled(folder: Path) -> Engine:
    url = f"sqlite:///{folder / 'consent.sqlite'}"
    engine = open_engine(url)
    alembic = Config()
    alembic.set_main_option("script_location", "consent:migrations")
    alembic.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
    now = int(time.time())
    indexes = iter(secrets.SystemRandom().sample(range(LIST_SIZE), GRANTS))
    detail = Detail("quotient_familial", FIELDS, PURPOSE, RECIPIENT, "recurring", None, now + 86_400, "P90D").to_claim()
    rows = [
        {
            "grant_id": f"g{number}",
            "client_id": CLIENT_ID,
            "recipient": RECIPIENT,
            "citizen": f"{number % (GRANTS // HERS):064x}",
            "details": [detail],
            "identity": "x" * 400,
            "acr": "eidas1",
            "legal_basis": "consent",
            "notice_sha256": "0" * 64,
            "status_index": next(indexes),
            "given_at": now - number,
            "expires_at": now + 86_400,
            "status": "active",
        }
        for number in range(GRANTS)
    ]
    with engine.begin() as connection:
        connection.execute(insert(GrantRow), rows)
    store = ConsentStore(engine)
    for number in range(WITHDRAWN):
        store.change(f"g{number * 7}", "withdrawn", now=now)
    return engine


class _NoRegistry:
    def client(self, _client_id: str) -> None:
        return None

    def organisation_name(self, _siret: str) -> str:
        return "Commune de Valombre"


def _list_page(store: ConsentStore) -> list[object]:
    datasets = providers.load({"api_particulier": HolderConfig("http://localhost", "x")})
    wording = Wording(ManifestCatalogue(datasets), _NoRegistry(), "fr", int(time.time()))  # type: ignore[arg-type]
    grants: list[Grant] = list(store.grants_of(f"{3:064x}"))
    return [wording.grant(grant) for grant in grants]


def _status_token(store: ConsentStore) -> str:
    key = SigningKey("k", generate_private_key(SECP256R1()))
    config = ConsentConfig(
        issuer="https://accord.example.org",
        audience="https://accord.example.org",
        franceconnect=FranceConnectConfig("https://fc.example.org/api/v2", "bench", secrets.token_hex()),
        keys=FixedKeys(TokenKeys((key,)), SealingKeys({"s": bytes(32)}, current="s")),
        session_key=bytes(32),
        pseudonym_key=bytes(32),
    )
    return make_status_token(store.status_list(0) or b"", 0, config, now=int(time.time()))


if __name__ == "__main__":
    main()
