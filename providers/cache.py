"""Answers kept for a short while, for the datasets whose manifest allows it (``cache_seconds``), in memory alone.

Sealed with AES-256-GCM under a key that is made at the start and never leaves the process, bound to what was asked, of
whom and for whom. Found by an HMAC, so that no identity is in memory in clear. Bounded in number, bytes and time. What
is kept about a citizen goes when one of the authorisations that it was served under ends.

An answer about a citizen is kept only under her authorisation: what nobody could empty is not kept.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from hmac import digest as hmac_digest
from typing import TypeAlias

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from providers.port import Answer, Query

MAX_ENTRIES = 4_096
MAX_BYTES = 16 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024
"""A larger answer is not kept: it would push hundreds of others out."""

_NONCE_BYTES = 12

Stands: TypeAlias = Callable[[int], bool]
"""Whether the authorisation with this status index stands, as far as this process knows."""
_Tree: TypeAlias = "Mapping[str, _Tree | None]"


@dataclass(slots=True)
class _Kept:
    person: bytes
    """HMAC of whom it is about."""
    fields: tuple[str, ...]
    grants: set[int]
    """Status indexes of the authorisations that it was served under."""
    until: float
    sealed: bytes


class Cache:
    """Shared by all datasets of a process: its event loop keeps and takes, the feed's thread empties, under a lock."""

    def __init__(
        self,
        *,
        stands: Stands = lambda _index: False,
        clock: Callable[[], float] = time.monotonic,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._stands = stands
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._aead = AESGCM(AESGCM.generate_key(256))
        self._names_key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._kept: dict[bytes, _Kept] = {}
        """Oldest first."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, query: Query) -> Answer | None:
        """The answer kept for this question, of no field but those asked for; its authorisation is noted on it."""
        if not _may_be_kept(query):
            return None
        name = self._name(query)
        with self._lock:
            kept = self._kept.get(name)
            if kept is None or not self._serves(kept, query):
                return None
            if query.status_index is not None:
                kept.grants.add(query.status_index)
            plain = self._open(name, kept)
        return None if plain is None else _answer(plain, query.fields)

    def keep(self, query: Query, answer: Answer, seconds: int) -> bool:
        """Keep an answer for ``seconds``, unless its authorisation ended meanwhile; whether it is kept."""
        if not _may_be_kept(query):
            return False
        name, plain = self._name(query), _plain(answer)
        if len(plain) > MAX_ANSWER_BYTES:
            return False
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._aead.encrypt(nonce, plain, _bound(name, query.fields))
        grants = set() if query.status_index is None else {query.status_index}
        kept = _Kept(self._person(query), query.fields, grants, self._clock() + seconds, sealed)
        with self._lock:
            # Under the lock that an end takes after it is known: either it is seen here, or it empties this.
            if not self._stands_for(query):
                return False
            self._drop(name)
            self._kept[name] = kept
            self._bytes += len(sealed)
            while len(self._kept) > self._max_entries or self._bytes > self._max_bytes:
                self._drop(next(iter(self._kept)))
            return True

    def forget(self, status_index: int) -> None:
        """An authorisation ended: whatever is kept about its citizen goes."""
        with self._lock:
            persons = {one.person for one in self._kept.values() if status_index in one.grants}
            if persons:
                self._drop_all([name for name, one in self._kept.items() if one.person in persons])

    def expire(self) -> None:
        """Drop what is over."""
        now = self._clock()
        with self._lock:
            self._drop_all([name for name, one in self._kept.items() if one.until <= now])

    def _serves(self, kept: _Kept, query: Query) -> bool:
        alive = kept.until > self._clock() and self._stands_for(query)
        return alive and set(query.fields) <= set(kept.fields)

    def _stands_for(self, query: Query) -> bool:
        return query.status_index is None or self._stands(query.status_index)

    def _drop_all(self, names: Iterable[bytes]) -> None:
        for name in names:
            self._drop(name)

    def _drop(self, name: bytes) -> None:
        if (kept := self._kept.pop(name, None)) is not None:
            self._bytes -= len(kept.sealed)

    def _open(self, name: bytes, kept: _Kept) -> bytes | None:
        nonce, sealed = kept.sealed[:_NONCE_BYTES], kept.sealed[_NONCE_BYTES:]
        try:
            return self._aead.decrypt(nonce, sealed, _bound(name, kept.fields))
        except InvalidTag:
            # Not the answer to this question: as good as none.
            self._drop(name)
            return None

    def _person(self, query: Query) -> bytes:
        return self._hmac(["person", _whom(query)])

    def _name(self, query: Query) -> bytes:
        why = [query.context, query.object]
        return self._hmac([query.dataset, query.recipient, _whom(query), sorted(query.parameters.items()), why])

    def _hmac(self, parts: object) -> bytes:
        return hmac_digest(self._names_key, orjson.dumps(parts), "sha256")


def _may_be_kept(query: Query) -> bool:
    # A FranceConnect token is the holder's to check, each time.
    if query.franceconnect_token is not None:
        return False
    # A citizen asked about by a number has no identity here and is no company.
    return query.company is not None or query.status_index is not None


def _whom(query: Query) -> object:
    return query.company if query.identity is None else sorted(query.identity.to_claims().items())


def _bound(name: bytes, fields: tuple[str, ...]) -> bytes:
    """What a sealed answer is bound to: the question's name says dataset, recipient and citizen."""
    return name + sha256(orjson.dumps(fields)).digest()


def _plain(answer: Answer) -> bytes:
    return orjson.dumps([answer.record, answer.retrieved_at, answer.links, answer.meta])


def _answer(plain: bytes, fields: tuple[str, ...]) -> Answer:
    record, retrieved_at, links, meta = orjson.loads(plain)
    return Answer(_reduced(_tree(fields), record), retrieved_at, links, meta, cached=True)


@lru_cache(maxsize=1024)
def _tree(fields: tuple[str, ...]) -> "_Tree":
    tree: dict[str, object] = {}
    for path in fields:
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})  # type: ignore[assignment]  # the recursive shape is built in place
        node[last] = None
    return tree  # type: ignore[return-value]  # idem


def _reduced(tree: "_Tree", record: Mapping[str, object]) -> dict[str, object]:
    return {key: _part(inner, record[key]) for key, inner in tree.items() if key in record}


def _part(tree: "_Tree | None", value: object) -> object:
    if tree is None:
        return value
    if isinstance(value, list):
        return [_part(tree, item) for item in value]
    return _reduced(tree, value) if isinstance(value, dict) else value
