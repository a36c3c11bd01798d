"""Settings: a wrong one refuses the start by its name, with what it takes, and without its value."""

import json
from pathlib import Path

import pytest

from audit.checkpoint import NoteSigner
from audit.cosignature import Cosigner
from exchange.settings import Settings, SettingsError, load_settings, setting_lines

_RIGHT = {
    "ACCORD_ISSUER": "https://accord.example",
    "ACCORD_KEYS_DIR": "keys",
    "ACCORD_FRANCECONNECT__ISSUER": "https://fc.example/api/v2",
    "ACCORD_FRANCECONNECT__CLIENT_ID": "accord",
    "ACCORD_FRANCECONNECT__CLIENT_SECRET": "not-to-be-shown",
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in _RIGHT.items():
        monkeypatch.setenv(name, value)


def test_the_environment_is_enough() -> None:
    settings = load_settings()
    assert settings.issuer == "https://accord.example"
    assert settings.log_origin == "accord.example/log"


def test_a_dotenv_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ACCORD_PORT=9000\n")
    assert load_settings().port == 9000


def test_every_missing_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _RIGHT:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    for name in ("ACCORD_ISSUER", "ACCORD_KEYS_DIR", "ACCORD_FRANCECONNECT"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ACCORD_PORT", "70000", "65535"),
        ("ACCORD_LOG_LEVEL", "loud", "'info'"),
        ("ACCORD_DATABASE_URL", "mysql://x", "sqlite:///PATH"),
        ("ACCORD_ISSUER", "http://accord.example", "https://"),
        ("ACCORD_FRANCECONNECT__CLIENT_SECRET", "", "FRANCECONNECT__CLIENT_SECRET"),
        ("ACCORD_FEED_MAX_AGE", "0.6", "twice feed_interval"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert allowed in str(caught.value)
    assert "not-to-be-shown" not in str(caught.value)


def test_proconnect_is_optional_and_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().proconnect is None
    monkeypatch.setenv("ACCORD_PROCONNECT__ISSUER", "https://proconnect.example/api/v2/")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "ACCORD_PROCONNECT__CLIENT_ID: missing" in str(caught.value)
    assert "ACCORD_PROCONNECT__CLIENT_SECRET: missing" in str(caught.value)
    monkeypatch.setenv("ACCORD_PROCONNECT__CLIENT_ID", "accord")
    monkeypatch.setenv("ACCORD_PROCONNECT__CLIENT_SECRET", "not-to-be-shown")
    settings = load_settings()
    assert settings.proconnect is not None
    assert settings.proconnect.issuer == "https://proconnect.example/api/v2"
    assert "not-to-be-shown" not in repr(settings)


_WITNESS = Cosigner.generate("witness.example/w1").vkey
_OTHER = Cosigner.generate("witness.example/w2").vkey
_LOG = NoteSigner.generate("accord.example/log").vkey


def test_witnesses_are_a_list_of_addresses_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (load_settings().witnesses, load_settings().witness_interval) == ([], 10.0)
    given = [{"url": "https://witness.example/w1/", "vkey": _WITNESS}, {"url": "http://localhost:8100", "vkey": _OTHER}]
    monkeypatch.setenv("ACCORD_WITNESSES", json.dumps(given))
    found = load_settings().witnesses
    assert [(one.url, one.vkey) for one in found] == [
        ("https://witness.example/w1", _WITNESS),
        ("http://localhost:8100", _OTHER),
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("witness.example", "ACCORD_WITNESSES: not JSON (witnesses that cosign"),
        ("{}", "ACCORD_WITNESSES: Input should be a valid list"),
        (json.dumps([{"url": "http://witness.example", "vkey": _WITNESS}]), "ACCORD_WITNESSES__0__URL: "),
        (json.dumps([{"url": "https://witness.example"}]), "ACCORD_WITNESSES__0__VKEY: missing"),
        (json.dumps([{"url": "https://witness.example", "vkey": "x"}]), "a witness's verifier key"),
        (json.dumps([{"url": "https://witness.example", "vkey": _LOG}]), "a witness's verifier key"),
        (json.dumps([{"url": "https://a.example", "vkey": _WITNESS}] * 2), "different names"),
        (json.dumps([{"url": "https://a.example", "vkey": _WITNESS, "key": 1}]), "ACCORD_WITNESSES__0__KEY"),
    ],
)
def test_a_witness_that_cannot_be_asked_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("ACCORD_WITNESSES", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert said in str(caught.value)
    assert _LOG not in str(caught.value)


def test_a_list_that_is_not_given_is_shown_empty() -> None:
    shown = {name: default for name, default, _ in setting_lines()}
    assert shown["ACCORD_WITNESSES"] == shown["ACCORD_TRUSTED_PROXIES"] == "[]"


def test_the_auditors_login_is_among_the_settings_shown() -> None:
    shown = {name: meaning for name, _, meaning in setting_lines()}
    assert "auditors" in shown["ACCORD_PROCONNECT__ISSUER"]
    assert {"ACCORD_PROCONNECT__CLIENT_ID", "ACCORD_PROCONNECT__CLIENT_SECRET"} < shown.keys()


def test_a_misspelt_setting_does_not_pass_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_DATABSE_URL", "sqlite:///x")
    with pytest.raises(SettingsError, match="ACCORD_DATABSE_URL"):
        load_settings()


def test_secrets_do_not_show_themselves() -> None:
    assert "not-to-be-shown" not in repr(load_settings())


def test_every_setting_says_what_it_means() -> None:
    for name, _, meaning in setting_lines():
        assert meaning, name


def test_no_secret_has_a_default() -> None:
    for name, default, _ in setting_lines():
        if any(word in name for word in ("SECRET", "TOKEN", "KEYS_DIR")):
            assert default in {"required", "None"}, name


def test_unsafe_switches_are_off() -> None:
    unsafe = {name: field.default for name, field in Settings.model_fields.items() if name.startswith("unsafe_")}
    assert not any(unsafe.values())
