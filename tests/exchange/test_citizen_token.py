"""The citizen's FranceConnect token beside her consent token: read with bounds, and never another person's."""

import asyncio
from dataclasses import replace

import pytest

from consent.checktoken import CheckedToken
from consent.model import Client
from exchange.asgi import Header
from exchange.citizen_token import HEADER, MAX_TOKEN_BYTES, citizens_token, confirm
from exchange.model import ConsentToken, Refusal
from exchange.settings import SettingsError, load_settings
from openapi.fields import FRANCE, PivotIdentity, Siret, cog_code
from openapi.problem import AccordError

MAELLE = PivotIdentity(
    "TILLEFONTAINE", "female", FRANCE, ("Maëlle", "Odette"), "1991-04-17", cog_code("44109", field="birthplace")
)
OTHER = replace(MAELLE, birthdate="1991-04-18")
CONSENT = ConsentToken("portail", "g1", "eidas1", 0, {}, "pseudonym", MAELLE)
CLIENT = Client(
    "portail",
    "Portail",
    Siret("21990001600011"),
    "Commune",
    (),
    {},
    "none",
    franceconnect_client_id="portail-at-franceconnect",
)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [b"two", b"tokens"],
        [b"two words"],
        [b"line\r\nhost: evil"],
        ["é".encode()],
        [b"x" * (MAX_TOKEN_BYTES + 1)],
    ],
)
def test_what_is_not_one_token_is_refused_without_being_repeated(values: list[bytes]) -> None:
    headers: list[Header] = [(HEADER, value) for value in values]
    refused = citizens_token([(b"accept", b"*/*"), *headers])
    assert isinstance(refused, Refusal)
    assert (refused.slug, refused.facts["field"]) == ("request_malformed", "X-FranceConnect-OAuth")
    assert "evil" not in str(refused.facts)


def test_one_token_is_read() -> None:
    assert citizens_token([(HEADER, b"abc.DEF-_~+/=")]) == "abc.DEF-_~+/="


class _FranceConnect:
    def __init__(self, identity: PivotIdentity, client_id: str = "portail-at-franceconnect") -> None:
        self._told = CheckedToken(identity, (), client_id, "eidas1", 2_000_000_000)

    async def check(self, token: bytes) -> CheckedToken:
        assert token == b"hers"
        return self._told


def _confirm(tokens: _FranceConnect | None, client: Client | None = CLIENT) -> str:
    try:
        asyncio.run(confirm("hers", tokens, consent=CONSENT, client=client))
    except AccordError as error:
        return error.slug
    return "ok"


def test_her_own_token_is_confirmed_however_her_name_is_spelt() -> None:
    assert _confirm(_FranceConnect(MAELLE)) == "ok"
    assert _confirm(_FranceConnect(replace(MAELLE, family_name="Tillefontaine", preferred_username="Autre"))) == "ok"


def test_the_token_of_another_person_is_refused() -> None:
    assert _confirm(_FranceConnect(OTHER)) == "identity_not_consented"
    assert _confirm(_FranceConnect(replace(MAELLE, given_names=("Maëlle",)))) == "identity_not_consented"


def test_a_token_that_franceconnect_gave_to_another_application_is_refused() -> None:
    assert _confirm(_FranceConnect(MAELLE, "another")) == "client_unknown"
    assert _confirm(_FranceConnect(MAELLE), replace(CLIENT, franceconnect_client_id=None)) == "client_unknown"
    assert _confirm(_FranceConnect(MAELLE), None) == "client_unknown"


def test_who_cannot_ask_confirms_nothing() -> None:
    assert _confirm(None) == "franceconnect_unreachable"


def test_a_holder_that_knows_citizens_by_their_tokens_is_not_offered_where_nobody_can_check_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    required = {
        "ISSUER": "http://localhost:8000",
        "KEYS_DIR": "/nowhere",
        "FRANCECONNECT__ISSUER": "http://localhost:8001/api/v2",
        "FRANCECONNECT__CLIENT_ID": "accord",
        "FRANCECONNECT__CLIENT_SECRET": "s",
        "HOLDERS__DGFIP__URL": "http://localhost:8002",
        "HOLDERS__DGFIP__TOKEN": "t",
    }
    for name, value in required.items():
        monkeypatch.setenv(f"ACCORD_{name}", value)
    with pytest.raises(SettingsError, match=r"dgfip.*franceconnect_data"):
        load_settings()
    for name in ("CLIENT_ID", "CLIENT_SECRET", "KEYS"):
        monkeypatch.setenv(f"ACCORD_FRANCECONNECT_DATA__{name}", "x")
    assert "dgfip" in load_settings().holders
