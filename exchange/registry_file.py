"""Reading the registry file: TOML in, a checked registry out, or every error named by line or key at once. Pure.

The file is the whole truth about who may ask for what, and who may read the log: what it no longer names is gone after
the next load.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, ValidationError, model_validator

from audit.auditors import Role
from exchange.model import GroundKind
from openapi.fields import siret
from providers.model import Manifest
from providers.registry import Datasets

MAX_FILE_BYTES = 10_000_000
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_PRIVATE_JWK_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


class RegistryFileError(Exception):
    """The file cannot be loaded; ``errors`` has one line for each fault, each naming its line or key."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


def _redirect_uri(uri: str) -> str:
    parts = urlsplit(uri)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not secure or not parts.hostname or parts.fragment or "*" in uri:
        raise ValueError("an exact https:// URL without fragment (http:// for localhost only)")
    return uri


def _public_jwks(jwks: dict[str, Any]) -> dict[str, Any]:
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) and "kty" in key for key in keys):
        raise ValueError("a JWK Set: {keys = [...]} with at least one public key")
    if any(key.keys() & _PRIVATE_JWK_MEMBERS for key in keys):
        raise ValueError("public keys only: this one holds a private or symmetric key, which must now be replaced")
    return jwks


def _thumbprint(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        raise ValueError("the SHA-256 of the certificate in base64url, 43 characters (x5t#S256 of RFC 8705)")
    return text


Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Label = Annotated[str, Field(min_length=1, max_length=200)]
SiretText = Annotated[str, AfterValidator(lambda value: str(siret(value)))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Organisation(_Strict):
    """``[[organisation]]``."""

    siret: SiretText
    name: Label


class Application(_Strict):
    """``[[client]]``. How its tokens are bound must be said: there is no silent default."""

    client_id: Identifier
    name: Label
    organisation: SiretText
    redirect_uris: list[Annotated[str, AfterValidator(_redirect_uri)]] = Field(default=[], max_length=20)
    jwks: Annotated[dict[str, Any], AfterValidator(_public_jwks)] = {}
    sender_constraint: Literal["dpop", "mtls", "none"]
    certificates: list[Annotated[str, AfterValidator(_thumbprint)]] = Field(default=[], max_length=10)
    events_url: Annotated[str, AfterValidator(_redirect_uri)] | None = None

    token_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    token_until: date | None = None
    token_jkt: Annotated[str, AfterValidator(_thumbprint)] | None = None
    allowed_ips: list[IPvAnyNetwork] = Field(default=[], max_length=50)
    franceconnect_client_id: str | None = Field(default=None, pattern=r"^[\x21-\x7e]{1,200}$")

    @model_validator(mode="after")
    def _can_authenticate(self) -> Self:
        if not self.jwks and not self.certificates and self.token_sha256 is None:
            raise ValueError(
                "jwks, certificates or token_sha256: one of them, or the application cannot prove who it is"
            )
        if (self.jwks or self.certificates) and not self.redirect_uris:
            raise ValueError("redirect_uris: at least one, for an application that asks for authorisations")
        if (self.token_sha256 is None) != (self.token_until is None):
            raise ValueError("token_sha256 and token_until go together: a token has an end")
        return self

    def token_ends(self) -> int | None:
        """First second after the last day of its token, UTC."""
        return None if self.token_until is None else _midnight(self.token_until + timedelta(days=1))


class Purpose(_Strict):
    """A purpose in the words a citizen reads."""

    code: Identifier
    fr: Label
    en: Label


class HabilitationEntry(_Strict):
    """``[[habilitation]]``. ``valid_until`` is its last day.

    Over ``fields`` answers may be derived too; of those under ``derived_only`` nothing but answers ever leaves.
    """

    id: Identifier
    organisation: SiretText
    clients: list[Identifier] = []
    dataset: Identifier
    fields: list[str] = Field(default=[], max_length=200)
    derived_only: list[str] = Field(default=[], max_length=200)
    purposes: list[Purpose] = Field(min_length=1, max_length=50)
    legal_basis: Literal["consent", "public_task", "legal_obligation"]
    valid_from: date
    valid_until: date
    datapass: str | None = Field(default=None, max_length=64)
    grounds: list[GroundKind] = Field(default=["consent"], min_length=1)

    @model_validator(mode="after")
    def _opens_something(self) -> Self:
        if not self.fields and not self.derived_only:
            raise ValueError("fields or derived_only: at least one field")
        if both := sorted({*self.fields} & {*self.derived_only}):
            raise ValueError(f"derived_only: {both[0]} is among the fields, which leave as they are")
        return self

    def starts(self) -> int:
        """First second of its first day, UTC."""
        return _midnight(self.valid_from)

    def ends(self) -> int:
        """First second after its last day, UTC."""
        return _midnight(self.valid_until + timedelta(days=1))


class DelegationEntry(_Strict):
    """``[[delegation]]``: ``organisation`` lets the applications of ``delegate`` ask for it."""

    id: Identifier
    organisation: SiretText
    delegate: SiretText
    datasets: list[Identifier] = []
    valid_from: date
    valid_until: date

    def starts(self) -> int:
        """First second of its first day, UTC."""
        return _midnight(self.valid_from)

    def ends(self) -> int:
        """First second after its last day, UTC."""
        return _midnight(self.valid_until + timedelta(days=1))


class AuditorEntry(_Strict):
    """``[[auditor]]``: who may read the log, under the reference that her first login shows her.

    Without ``organisation``, every organisation's entries. ``label`` is for whoever reads the file, and stays in it.
    With ``token_sha256`` it is a program (a SIEM), which logs in with the token that 'accord registry auditor-token'
    made.
    """

    subject: str = Field(pattern=r"^a_[0-9a-f]{64}$")
    role: Role
    organisation: SiretText | None = None
    label: str | None = Field(default=None, min_length=1, max_length=100)
    token_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class RegistryFile(_Strict):
    """The whole file."""

    organisation: list[Organisation] = []
    client: list[Application] = []
    habilitation: list[HabilitationEntry] = []
    auditor: list[AuditorEntry] = []
    delegation: list[DelegationEntry] = []


@dataclass(frozen=True, slots=True)
class _Known:
    organisations: frozenset[str]
    clients: Mapping[str, str]
    datasets: Datasets


def parse_registry(content: bytes, datasets: Datasets) -> RegistryFile:
    """The checked file. Raises :class:`RegistryFileError` with every fault."""
    if len(content) > MAX_FILE_BYTES:
        raise RegistryFileError([f"the file is larger than {MAX_FILE_BYTES} bytes"])
    try:
        parsed = RegistryFile.model_validate(tomllib.loads(content.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise RegistryFileError([f"byte {error.start}: not UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise RegistryFileError([str(error)]) from None
    except ValidationError as error:
        raise RegistryFileError(_explain(error)) from None
    if faults := list(_cross_check(parsed, datasets)):
        raise RegistryFileError(faults)
    return parsed


def _explain(error: ValidationError) -> list[str]:
    return [
        f"{_key(item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _key(location: tuple[int | str, ...]) -> str:
    """``("client", 0, "jwks")`` -> ``client[1].jwks``: entries count from one, as a reader does."""
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _cross_check(file: RegistryFile, datasets: Datasets) -> Iterable[str]:
    known = _Known(
        frozenset(one.siret for one in file.organisation),
        {one.client_id: one.organisation for one in file.client},
        datasets,
    )
    yield from _all_doubles(file)
    yield from _check_owners(file, known)
    for number, delegation in enumerate(file.delegation, 1):
        for fault in _check_delegation(delegation, known):
            yield f"delegation[{number}].{fault}"
    for number, habilitation in enumerate(file.habilitation, 1):
        for fault in _check_habilitation(habilitation, known):
            yield f"habilitation[{number}].{fault}"


def _all_doubles(file: RegistryFile) -> Iterable[str]:
    yield from _doubles("organisation", "siret", [one.siret for one in file.organisation])
    yield from _doubles("client", "client_id", [one.client_id for one in file.client])
    yield from _doubles("habilitation", "id", [one.id for one in file.habilitation])
    yield from _doubles("auditor", "subject", [one.subject for one in file.auditor])
    yield from _doubles("auditor", "token_sha256", [one.token_sha256 for one in file.auditor if one.token_sha256])
    yield from _doubles("delegation", "id", [one.id for one in file.delegation])
    yield from _doubles("client", "token_sha256", [one.token_sha256 for one in file.client if one.token_sha256])


def _check_owners(file: RegistryFile, known: _Known) -> Iterable[str]:
    for number, client in enumerate(file.client, 1):
        if client.organisation not in known.organisations:
            yield f"client[{number}].organisation: no [[organisation]] has this siret"
    for number, auditor in enumerate(file.auditor, 1):
        if auditor.organisation not in {None, *known.organisations}:
            yield f"auditor[{number}].organisation: no [[organisation]] has this siret"


def _check_habilitation(habilitation: HabilitationEntry, known: _Known) -> Iterable[str]:
    if habilitation.organisation not in known.organisations:
        yield "organisation: no [[organisation]] has this siret"
    if habilitation.valid_until < habilitation.valid_from:
        yield "valid_until: before valid_from"
    for number, client in enumerate(habilitation.clients, 1):
        if known.clients.get(client) != habilitation.organisation:
            yield f"clients[{number}]: no [[client]] of this organisation has this client_id"
    dataset = known.datasets.get(habilitation.dataset)
    if dataset is None:
        yield f"dataset: unknown; one of {', '.join(known.datasets.ids())}"
        return
    for key in ("fields", "derived_only"):
        yield from _unknown_fields(key, getattr(habilitation, key), dataset.manifest)
    yield from _check_ground(habilitation, about_company=dataset.manifest.subject == "company")


def _check_ground(habilitation: HabilitationEntry, *, about_company: bool) -> Iterable[str]:
    if about_company and set(habilitation.grounds) != {"company"}:
        yield 'grounds: ["company"] for a dataset about companies, which no citizen agrees to'
    if about_company and habilitation.legal_basis == "consent":
        yield "legal_basis: public_task or legal_obligation for a dataset about companies"
    if not about_company and "company" in habilitation.grounds:
        yield "grounds: 'company' is for datasets about companies"


def _unknown_fields(key: str, fields: Iterable[str], manifest: Manifest) -> Iterable[str]:
    for number, field in enumerate(fields, 1):
        if field not in manifest.fields:
            yield f"{key}[{number}]: {manifest.dataset} has no field {field!r}"


def _check_delegation(delegation: DelegationEntry, known: _Known) -> Iterable[str]:
    for key in ("organisation", "delegate"):
        if getattr(delegation, key) not in known.organisations:
            yield f"{key}: no [[organisation]] has this siret"
    if delegation.organisation == delegation.delegate:
        yield "delegate: an organisation needs no delegation for itself"
    if delegation.valid_until < delegation.valid_from:
        yield "valid_until: before valid_from"
    for number, dataset in enumerate(delegation.datasets, 1):
        if known.datasets.get(dataset) is None:
            yield f"datasets[{number}]: unknown; one of {', '.join(known.datasets.ids())}"


def _doubles(table: str, key: str, values: list[str]) -> Iterable[str]:
    first: dict[str, int] = {}
    for number, value in enumerate(values, 1):
        if value in first:
            yield f"{table}[{number}].{key}: already used by {table}[{first[value]}]"
        first.setdefault(value, number)


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
