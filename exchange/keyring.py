"""Keys on disk: made once by ``accord keys init``, read at start, never printed.

==================  ============================================================================
``tokens.json``     private JWK Set: ES256 keys that sign consent tokens, newest first
``identity.json``   private JWK Set: AES keys that seal identities, newest first; gateways only
``log.key``         Ed25519 signing key of the log, in the form of C2SP signed notes
``session.key``     32 bytes, base64url: citizens' session cookies
``pseudonym.key``   32 bytes, base64url: the log's pseudonyms; losing it orphans citizens' histories
==================  ============================================================================
"""

import json
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from joserfc.jwk import ECKey, OctKey

from audit.checkpoint import NoteSigner
from consent.keys import SealingKeys, SigningKey, TokenKeys

TOKENS, IDENTITY, LOG, SESSION, PSEUDONYM = "tokens.json", "identity.json", "log.key", "session.key", "pseudonym.key"
FILES = (TOKENS, IDENTITY, LOG, SESSION, PSEUDONYM)

_SECRET_BYTES = 32


class KeyringError(Exception):
    """Keys are missing or unreadable; the message says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every key of a deployment."""

    tokens: TokenKeys = field(repr=False)
    sealing: SealingKeys = field(repr=False)
    log: NoteSigner = field(repr=False)
    session: bytes = field(repr=False)
    pseudonym: bytes = field(repr=False)


def make_keyring(folder: Path, *, log_origin: str) -> list[str]:
    """Make every key that is missing; return the names of the files made. An existing key is never replaced."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    makers = {
        TOKENS: lambda: _jwks(ECKey.generate_key("P-256").as_dict(private=True)),
        IDENTITY: lambda: _jwks(OctKey.generate_key(256).as_dict(private=True)),
        LOG: lambda: NoteSigner.generate(log_origin).private_text(),
        SESSION: _secret,
        PSEUDONYM: _secret,
    }
    made = []
    for name, make in makers.items():
        if not (folder / name).exists():
            _write_private(folder / name, make())
            made.append(name)
    return made


def load_keyring(folder: Path) -> Keyring:
    """Read every key. Raises :class:`KeyringError` naming each missing or unreadable file."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise KeyringError(f"no keys at {folder}: {', '.join(missing)} missing; make them with 'accord keys init'")
    return Keyring(
        tokens=_read(folder / TOKENS, _token_keys),
        sealing=_read(folder / IDENTITY, _sealing_keys),
        log=_read(folder / LOG, lambda text: NoteSigner.parse(text.strip())),
        session=_read(folder / SESSION, _parse_secret),
        pseudonym=_read(folder / PSEUDONYM, _parse_secret),
    )


def _read(path: Path, parse: Any) -> Any:  # a parser of text to any kind of key
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, OSError) as error:
        # The parser's message could quote the key.
        raise KeyringError(f"{path} cannot be read as a key ({type(error).__name__})") from None


def _token_keys(text: str) -> TokenKeys:
    return TokenKeys(tuple(_signing_key(jwk) for jwk in json.loads(text)["keys"]))


def _signing_key(jwk: dict[str, Any]) -> SigningKey:
    private = ECKey.import_key(jwk).private_key
    if not isinstance(private, EllipticCurvePrivateKey):
        raise ValueError("not a private EC key")  # noqa: TRY004  # a wrong value in a file, not a wrong type in code
    return SigningKey(jwk["kid"], private)


def _sealing_keys(text: str) -> SealingKeys:
    jwks = json.loads(text)["keys"]
    return SealingKeys({jwk["kid"]: _unpadded(jwk["k"]) for jwk in jwks}, current=jwks[0]["kid"])


def _jwks(jwk: dict[str, Any]) -> str:
    thumbprint = (ECKey if jwk["kty"] == "EC" else OctKey).import_key(jwk).thumbprint()
    # A symmetric key's RFC 7638 thumbprint is a hash of the secret: its kid is random instead.
    kid = thumbprint if jwk["kty"] == "EC" else secrets.token_urlsafe(12)
    return json.dumps({"keys": [{**jwk, "kid": kid}]}, indent=2) + "\n"


def _secret() -> str:
    return urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).decode() + "\n"


def _parse_secret(text: str) -> bytes:
    secret = _unpadded(text.strip())
    if len(secret) != _SECRET_BYTES:
        raise ValueError(f"expected {_SECRET_BYTES} bytes")
    return secret


def _unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
