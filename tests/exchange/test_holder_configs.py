"""What the settings say of a holder reaches it, divided among the processes."""

from pathlib import Path

import pytest

from exchange.holders import holder_configs
from exchange.settings import SettingsError, load_settings

_NAME = "ACCORD_HOLDERS__API_PARTICULIER__"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "ACCORD_ISSUER": "https://accord.example",
        "ACCORD_KEYS_DIR": "keys",
        "ACCORD_FRANCECONNECT__ISSUER": "https://fc.example/api/v2",
        "ACCORD_FRANCECONNECT__CLIENT_ID": "accord",
        "ACCORD_FRANCECONNECT__CLIENT_SECRET": "x",
        f"{_NAME}URL": "https://holder.example",
        f"{_NAME}TOKEN": "token",
    }.items():
        monkeypatch.setenv(name, value)


def test_a_machines_part_of_a_holders_limits_is_divided_among_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert holder_configs(load_settings())["api_particulier"].allowance == 1
    monkeypatch.setenv("ACCORD_WORKERS", "4")
    monkeypatch.setenv(f"{_NAME}ALLOWANCE", "0.5")
    monkeypatch.setenv(f"{_NAME}MAX_IN_FLIGHT", "8")
    config = holder_configs(load_settings())["api_particulier"]
    assert (config.allowance, config.max_in_flight) == (0.125, 8)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALLOWANCE", "0"), ("ALLOWANCE", "-1"), ("ALLOWANCE", "nan"), ("MAX_IN_FLIGHT", "0"), ("TIMEOUT", "11")],
)
def test_a_bound_that_is_none_refuses_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(_NAME + name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()
