"""The only reader of the environment.

Every setting is ``ACCORD_...`` in the environment or in a ``.env`` file. A missing or wrong one refuses the start,
with all of them named in one message and no value repeated. There is no default secret.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from audit.cosignature import CosignatureVerifier
from audit.note import NoteInvalid
from openapi.fields import SIRET_DIGITS, siret
from providers.manifest import ManifestError, manifests

PREFIX = "ACCORD_"
_OUR_HEADERS = frozenset({"authorization", "connection", "content-length", "host", "te", "transfer-encoding"})
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SettingsError(Exception):
    """The environment is not fit to start with; the message names each setting and what it takes."""


def _web_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an https:// URL without query or fragment")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("an https:// URL (http:// is for localhost only)")
    return url.rstrip("/")


def _database_url(url: str) -> str:
    if not url.startswith(("sqlite:///", "postgresql://")):
        raise ValueError("sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    return url


def _bearer_token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token.get_secret_value()):
        raise ValueError("letters, digits and ._~+/-, as a bearer token is made of (RFC 6750)")
    return token


def _witness_key(vkey: str) -> str:
    try:
        CosignatureVerifier(vkey)
    except NoteInvalid:
        raise ValueError("a witness's verifier key: name+id+base64, of an Ed25519 cosigner (type 4)") from None
    return vkey


def _agency_id(identifier: str) -> str:
    if not re.fullmatch(r"[!-~]{1,200}", identifier):
        raise ValueError("1 to 200 visible ASCII characters, as the archives service knows it")
    if identifier.isdigit() and len(identifier) == SIRET_DIGITS:
        siret(identifier)
    return identifier


WebUrl = Annotated[str, AfterValidator(_web_url)]
AgencyId = Annotated[str, AfterValidator(_agency_id)]


class FranceConnectSettings(BaseModel):
    """Accord as a FranceConnect partner ('fournisseur de service')."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: WebUrl = Field(description="FranceConnect's issuer, such as https://oidc.franceconnect.gouv.fr/api/v2")
    client_id: str = Field(min_length=1, description="the client_id FranceConnect gave")
    client_secret: SecretStr = Field(min_length=1, description="the client_secret FranceConnect gave")


class FranceConnectDataSettings(BaseModel):
    """Accord as a FranceConnect data provider ('fournisseur de données'): who may ask whose a token is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: str = Field(
        min_length=1,
        description="the client_id FranceConnect gave to the data provider; without it /france_connect paths take "
        "consent tokens only",
    )
    client_secret: SecretStr = Field(min_length=1, description="the client_secret FranceConnect gave with it")
    keys: Path = Field(
        description="file of the private JWK Set to which FranceConnect encrypts: P-256, or RSA of 2048 bits or more"
    )


class ProConnectSettings(BaseModel):
    """Accord as a ProConnect partner: how auditors and operators log in. Without it their pages are not offered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: WebUrl = Field(
        description="ProConnect's issuer, such as https://auth.agentconnect.gouv.fr/api/v2; without ProConnect the "
        "auditors' pages are not offered"
    )
    client_id: str = Field(min_length=1, description="the client_id ProConnect gave")
    client_secret: SecretStr = Field(min_length=1, description="the client_secret ProConnect gave")


class HolderSettings(BaseModel):
    """How one data holder is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: WebUrl = Field(description="the holder's base URL")
    token: Annotated[SecretStr, AfterValidator(_bearer_token)] | None = Field(
        default=None, description="the access token the holder gave; or CLIENT_ID and CLIENT_SECRET"
    )
    client_id: str | None = Field(
        default=None,
        pattern=r"^[!-~]{1,200}$",
        description="by which we get tokens of the holder (RFC 6749 section 4.4)",
    )
    client_secret: SecretStr | None = Field(default=None, min_length=1, description="the secret that goes with it")
    scope: str = Field(default="", pattern=r"^[!-~ ]{0,500}$", description="what those tokens are asked for")
    oauth_path: str = Field(
        default="/token", pattern=r"^/[!-~]{0,200}$", description="where they are asked for, below the base URL"
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description='headers that go with every call, as a JSON object: {"ID_Teleservice": "..."}'
    )
    timeout: float = Field(default=10.0, gt=0, le=10, description="deadline of one call, in seconds")
    max_in_flight: int = Field(
        default=64, ge=1, le=1000, description="calls to the holder under way at once, in each worker process"
    )
    allowance: float = Field(
        default=1.0,
        gt=0,
        le=10_000,
        description="the limits in the holder's manifests are multiplied by it: 0.5 where two machines serve, 3 where "
        "the holder grants three times as much; this machine's workers divide the result",
    )

    @field_validator("headers")
    @classmethod
    def _headers_of_its_own(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or name.lower() in _OUR_HEADERS:
                raise ValueError("names of letters, digits, - and _, and none of those that HTTP itself needs")
            if not re.fullmatch(r"[!-~ ]{1,500}", value):
                raise ValueError("values of 1 to 500 visible ASCII characters")
        return headers

    @model_validator(mode="after")
    def _has_one_way_in(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("client_id and client_secret go together")
        if (self.token is None) == (self.client_id is None):
            raise ValueError("token, or client_id and client_secret: one of them")
        return self


class WitnessSettings(BaseModel):
    """A witness that is asked to cosign the log's checkpoints (C2SP tlog-witness)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: WebUrl = Field(description="the witness's submission prefix: what comes before /add-checkpoint")
    vkey: Annotated[str, AfterValidator(_witness_key)] = Field(description="its verifier key (C2SP vkey)")


class ArchiveSettings(BaseModel):
    """What was agreed with the archives service, for 'accord audit archive': who is who, and its rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archival_agency: AgencyId = Field(
        description="the archives service's identifier in SEDA transfers; without ACCORD_ARCHIVE__... there are none"
    )
    transferring_agency: AgencyId = Field(description="the SIRET, SIREN or other identifier of who transfers")
    originating_agency: AgencyId | None = Field(
        default=None, description="the identifier of who produced the log; without it, who transfers"
    )
    archival_agreement: AgencyId | None = Field(
        default=None, description="the agreement with the archives service ('contrat d'entrée'); VITAM requires it"
    )
    appraisal_rule: AgencyId | None = Field(
        default=None, description="the archives service's rule for how long the archive is of use ('DUA')"
    )
    final_action: Literal["Keep", "Destroy"] = Field(
        default="Keep", description="what becomes of the archive at the end of that rule"
    )
    access_rule: AgencyId | None = Field(
        default=None, description="the archives service's rule for when the archive may be communicated"
    )
    details_rule: AgencyId | None = Field(
        default=None,
        description="the archives service's rule at whose end it destroys sealed details; required by --with-details",
    )

    @property
    def producer(self) -> str:
        """The identifier of who produced the log."""
        return self.originating_agency or self.transferring_agency


class Settings(BaseSettings):
    """Everything an Accord process is told from outside."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    issuer: WebUrl = Field(description="public URL of this deployment; https except on localhost")
    keys_dir: Path = Field(description="directory of the keys made by 'accord keys init'")
    franceconnect: FranceConnectSettings = Field(description="Accord as a FranceConnect partner")
    franceconnect_data: FranceConnectDataSettings | None = Field(
        default=None,
        description="Accord as a FranceConnect data provider: /france_connect paths take FranceConnect's tokens then",
    )
    proconnect: ProConnectSettings | None = Field(
        default=None, description="Accord as a ProConnect partner; without it the auditors' pages are not offered"
    )
    holders: dict[str, HolderSettings] = Field(default_factory=dict, description="data holders by name")
    manifests_dir: Path | None = Field(
        default=None, description="folder of manifests of your own datasets, beside the catalogue's"
    )
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        default="sqlite:///accord.sqlite", description="sqlite:///PATH or postgresql://..."
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=1, le=65535, description="port to listen on")
    workers: int = Field(default=1, ge=1, le=64, description="worker processes")
    feed_interval: float = Field(
        default=0.5, gt=0, le=10, description="seconds between two readings of withdrawals and registry"
    )
    feed_max_age: float = Field(
        default=5.0, gt=0, le=60, description="age in seconds at which that knowledge is too old to exchange on"
    )
    log_timeout: float = Field(
        default=5.0, gt=0, le=30, description="seconds an exchange waits for its entry to be durable"
    )
    witnesses: list[WitnessSettings] = Field(
        default_factory=list,
        max_length=16,
        description='witnesses that cosign the log\'s checkpoints, as a JSON array of {"url": ..., "vkey": ...}',
    )
    witness_interval: float = Field(
        default=10.0, ge=1, le=3600, description="seconds between two requests to the witnesses while the log grows"
    )
    key_publish_seconds: float = Field(
        default=10.0,
        ge=3,
        le=900,
        description="seconds for which a new key is published before it is used; more where its file travels to others",
    )
    archive: ArchiveSettings | None = Field(
        default=None, description="what was agreed with the archives service, for 'accord audit archive'"
    )
    trusted_proxies: list[IPvAnyNetwork] = Field(
        default_factory=list, description="addresses whose Client-Cert header is believed, as a JSON array"
    )
    dpop_nonce_required: bool = Field(
        default=False, description="whether a DPoP proof must carry a nonce of this deployment (RFC 9449 section 8)"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="verbosity of logs")

    @model_validator(mode="after")
    def _feed_outlives_its_interval(self) -> Self:
        if self.feed_max_age < 2 * self.feed_interval:
            raise ValueError("feed_max_age must be at least twice feed_interval")
        return self

    @model_validator(mode="after")
    def _citizens_tokens_can_be_checked(self) -> Self:
        held = sorted(_holders_by_token(self.manifests_dir) & self.holders.keys())
        if held and self.franceconnect_data is None:
            raise ValueError(f"holders.{held[0]}: set franceconnect_data too, to ask whose a citizen's token is")
        return self

    @model_validator(mode="after")
    def _witnesses_differ(self) -> Self:
        names = {one.vkey.split("+", 1)[0] for one in self.witnesses}
        if len(names) < len(self.witnesses):
            raise ValueError("the witnesses must have different names")
        return self

    @property
    def log_origin(self) -> str:
        """The log's name in checkpoints (C2SP tlog-checkpoint): the issuer without its scheme."""
        return self.issuer.split("://", 1)[1] + "/log"


def _holders_by_token(folder: Path | None) -> frozenset[str]:
    """Those who know a citizen by her own FranceConnect token."""
    try:
        return frozenset(one.holder for one in manifests(folder).values() if one.franceconnect_token)
    except ManifestError:
        # Said with all its faults where the datasets are loaded.
        return frozenset()


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment and ``.env``. Raises :class:`SettingsError` naming every wrong one."""
    unknown = unknown_names(os.environ if environment is None else environment)
    try:
        settings = Settings()  # type: ignore[call-arg]  # the fields come from the environment
    except ValidationError as error:
        raise SettingsError(_explain(error, unknown)) from None
    except SourceError as error:
        raise SettingsError(_explain_source(error)) from None
    if unknown:
        raise SettingsError("\n".join(unknown))
    return settings


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """A line for each ``ACCORD_...`` name that no setting has: a misspelt setting must not pass silently."""
    known = {name.upper() for name in Settings.model_fields}
    given = (name.removeprefix(PREFIX) for name in sorted(environment) if name.startswith(PREFIX))
    return [
        f"{PREFIX}{name}: no such setting; see 'accord settings'"
        for name in given
        if name.split("__", 1)[0].upper() not in known and not name.startswith("SANDBOX_") and name != "REFERENCE"
    ]


def setting_lines() -> list[tuple[str, str, str]]:
    """(name, default or 'required', meaning) of every setting, as documentation shows them."""
    lines: list[tuple[str, str, str]] = []
    for name, field in Settings.model_fields.items():
        if name == "franceconnect":
            lines += _nested(f"{PREFIX}FRANCECONNECT__", FranceConnectSettings)
        elif name == "proconnect":
            lines += _nested(f"{PREFIX}PROCONNECT__", ProConnectSettings)
        elif name == "archive":
            lines += _nested(f"{PREFIX}ARCHIVE__", ArchiveSettings)
        elif name == "holders":
            lines += _nested(f"{PREFIX}HOLDERS__<NAME>__", HolderSettings)
        else:
            default = "required" if field.is_required() else str(field.get_default(call_default_factory=True))
            lines.append((PREFIX + name.upper(), default, field.description or ""))
    return lines


def _nested(prefix: str, model: type[BaseModel]) -> list[tuple[str, str, str]]:
    return [
        (prefix + name.upper(), "required" if field.is_required() else str(field.default), field.description or "")
        for name, field in model.model_fields.items()
    ]


def _explain_source(error: SourceError) -> str:
    """A setting that is no JSON where it has to be; pydantic names its field, and not its value."""
    lines = [(name, meaning) for name, _, meaning in setting_lines() if f'"{_field(name)}"' in str(error)]
    return "\n".join(f"{name}: not JSON ({meaning})" for name, meaning in lines) or str(error)


def _field(name: str) -> str:
    return name.removeprefix(PREFIX).lower()


def _explain(error: ValidationError, unknown: list[str]) -> str:
    meanings = {name: meaning for name, _, meaning in setting_lines()}
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        name = PREFIX + "__".join(str(part) for part in item["loc"]).upper() if item["loc"] else "settings"
        problem = "missing" if item["type"] == "missing" else item["msg"]
        meaning = meanings.get(name)
        lines.append(f"{name}: {problem}" + (f" ({meaning})" if meaning else ""))
    return "\n".join([*lines, *unknown])
