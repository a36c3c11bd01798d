"""FranceConnect is asked off the event loop, so many at once and no more; keys that cannot serve stop the start."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, KeySet, RSAKey
from pydantic import SecretStr

from consent.checktoken import CheckedToken
from exchange.dropin.franceconnect import THREADS, WAITING, FranceConnectTokens, franceconnect_tokens
from exchange.settings import FranceConnectDataSettings, FranceConnectSettings, Settings, SettingsError
from openapi.fields import FRANCE, PivotIdentity
from openapi.problem import AccordError

CHECKED = CheckedToken(PivotIdentity("CANARI", "female", FRANCE), (), "portail", "eidas1", 9)


class Slow:
    """A FranceConnect that answers when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.at_once = 0
        self.most = 0
        self._lock = threading.Lock()

    def check(self, _token: str) -> CheckedToken:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.let.wait(10)
        with self._lock:
            self.at_once -= 1
        return CHECKED

    def close(self) -> None:
        self.let.set()


def test_a_slow_franceconnect_holds_up_nobody_else_and_what_waits_for_it_is_bounded() -> None:
    async def run() -> list[Any]:
        slow = Slow()
        tokens = FranceConnectTokens(slow, jwks={})
        asking = [asyncio.create_task(tokens.check(b"t")) for _ in range(WAITING + 3)]
        # The loop goes on meanwhile.
        await asyncio.sleep(0.05)
        assert slow.most <= THREADS
        slow.let.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        tokens.close()
        return answers

    answers = asyncio.run(run())
    assert answers[:WAITING] == [CHECKED] * WAITING
    assert [one.slug for one in answers[WAITING:] if isinstance(one, AccordError)] == ["overloaded"] * 3


def settings(keys: Path | None) -> Settings:
    asking = SecretStr("not-to-be-shown")
    franceconnect = FranceConnectSettings(issuer="https://fc.example/api/v2", client_id="a", client_secret=asking)
    data = None if keys is None else FranceConnectDataSettings(client_id="fd", client_secret=asking, keys=keys)
    return Settings(
        issuer="https://accord.example",
        keys_dir=Path("keys"),
        franceconnect=franceconnect,
        franceconnect_data=data,
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own argument
    )


def test_private_keys_serve_and_only_their_public_halves_are_told(tmp_path: Path) -> None:
    keys = KeySet([ECKey.generate_key("P-256"), RSAKey.generate_key(2048)])
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(keys.as_dict(private=True)))
    tokens = franceconnect_tokens(settings(file), clock=lambda: 0)
    assert tokens is not None
    tokens.close()
    assert len(tokens.jwks["keys"]) == 2  # type: ignore[arg-type]  # a list
    assert '"d"' not in json.dumps(tokens.jwks)
    assert franceconnect_tokens(settings(None), clock=lambda: 0) is None


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0LWNhbmFyaS1zZWNyZXQtY2FuYXJp"}]}',
        json.dumps(KeySet([ECKey.generate_key("P-256")]).as_dict(private=False)),
        json.dumps(KeySet([ECKey.generate_key("P-384")]).as_dict(private=True)),
    ],
)
def test_keys_that_cannot_serve_are_refused_by_the_settings_name_alone(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        franceconnect_tokens(settings(file), clock=lambda: 0)
    assert str(caught.value).startswith("ACCORD_FRANCECONNECT_DATA__KEYS")
    assert "canari" not in str(caught.value)
    assert "c2Vj" not in str(caught.value)
