"""``aics-tlog`` and ``aics-witness``, which are not ours, accept our log, our proofs and our witness; and we theirs.

The packages are the ones on PyPI, by their hashes, unmodified. They declare Python 3.12 and run on 3.11.
"""

import asyncio
import importlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from pytest_socket import enable_socket

from audit.auditors import Auditor
from audit.checkpoint import NoteInvalid, NoteSigner, NoteVerifier
from audit.consistency import path_between
from audit.cosignature import CosignatureVerifier, Cosigner
from audit.log import Log
from audit.merkle import leaf_hash
from audit.model import Append, Receipt
from audit.proof import TlogProof
from audit.publication import Publication
from audit.query import Queries
from audit.store import Store, open_store
from audit.tile_routes import router
from audit.tiles import StoredNodes
from audit.witness_server import Witness, create_witness
from audit.witness_state import WitnessState
from audit.witnessing import ConfiguredWitness, Witnessing
from exchange.witnesses import WitnessCalls
from sandbox.servers import sandbox_running
from tests.audit.conftest import migrate
from tests.conftest import skip_unless_ci
from tests.journeys.deployment import free_ports
from tests.postgres import postgresql_database

pytestmark = pytest.mark.enable_socket

PACKAGES = """\
aics-tlog==0.2.1 --hash=sha256:e8cd2be003001576353bbd1a139b68252baf85df8e5d356c5ff26f3c417efdfc
aics-witness==0.1.0 --hash=sha256:cd3f5acd2e79a8e29411a5a810b65ad7c5709d468cf1e889533bb0d5e5fe8400
"""
INSTALL_SECONDS = 90.0
SIZE = 65_536 + 300
"""Three levels of tiles, the last entry of none of them the end of one."""
ORIGIN = "accord.example/log"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages are, on the path as long as this module's tests run."""
    folder = tmp_path_factory.mktemp("aics")
    (folder / "requirements.txt").write_text(PACKAGES)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-requires-python"]
    command += ["--only-binary", ":all:", "--require-hashes", "--target", str(folder / "lib")]
    try:
        done = subprocess.run(
            [*command, "-r", "requirements.txt"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        skip_unless_ci(f"pip did not end within {INSTALL_SECONDS:.0f} s")
        raise
    if done.returncode != 0:
        skip_unless_ci(f"pip failed: {done.stderr[-500:]}")
    return folder / "lib"


@pytest.fixture(scope="module")
def aics(folder: Path) -> Iterator[ModuleType]:
    """``aics_tlog``."""
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("aics_tlog")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] in {"aics_tlog", "aics_witness"}]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def aics_witness(aics: ModuleType) -> ModuleType:
    return importlib.import_module("aics_witness")


@pytest.fixture(scope="module")
def key() -> NoteSigner:
    return NoteSigner.generate(ORIGIN)


@pytest.fixture(scope="module")
def receipts(store: Store, key: NoteSigner) -> list[Receipt]:
    """Of every 4,000th entry and of the last."""

    async def all_of_them() -> list[Receipt]:
        return await asyncio.gather(*(log.append(entry(number)) for number in range(SIZE)))

    log = Log.open(store, key, origin=ORIGIN, max_queue=100_000, max_batch=4_000, timeout=90)
    found = asyncio.run(all_of_them())
    log.close()
    return [*found[::4_000], found[-1]]


def entry(number: int) -> Append:
    return Append({"v": 1, "kind": "access", "time": "2026-11-24T00:00:00.000Z", "request_id": str(number)})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The log on each engine: all that they accept of it is written, read and published from both."""
    with ExitStack() as life:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite'}"
        else:
            enable_socket()
            url = life.enter_context(postgresql_database())
        migrate(url)
        yield life.enter_context(closing(open_store(url)))


@pytest.fixture(scope="module")
def published(store: Store, receipts: list[Receipt]) -> Iterator[str]:
    """The log over HTTP, to an auditor of everything."""
    auditor, app = Auditor("subject", "auditor", None), FastAPI()
    app.include_router(router(Publication(store), auditor_of=lambda _: auditor, recorded=lambda _auditor, _facts: None))
    (port,) = free_ports(1)
    with sandbox_running(app, port=port):
        yield f"http://127.0.0.1:{port}/log"


def checkpoint_of(aics: ModuleType, note: str, key: NoteSigner, **policy: Any) -> Any:
    return aics.verify_checkpoint(aics.parse_note(note), aics.parse_vkey(key.vkey), expected_origin=ORIGIN, **policy)


def test_it_audits_every_tile_and_every_entry_of_our_log_over_http(
    aics: ModuleType, published: str, key: NoteSigner
) -> None:
    reader = aics.HttpTileReader(published, proxies={})
    found = checkpoint_of(aics, reader.read_checkpoint().decode(), key)
    assert (found.ok, found.size) == (True, SIZE), found.error
    report = aics.audit_tiles(reader, found.size, found.root, entries=True)
    # 256 full tiles and 2 more of leaves, one full and one partial above, one at the top.
    assert (report.size, report.tiles, report.bundles) == (SIZE, 258 + 2 + 1, 258)
    assert reader.stats["not_found"] == reader.stats["errors"] == 0


def test_it_makes_of_our_tiles_the_proofs_that_we_make(
    aics: ModuleType, published: str, store: Store, key: NoteSigner
) -> None:
    http = aics.HttpTileReader(published, proxies={})
    found = checkpoint_of(aics, http.read_checkpoint().decode(), key)
    reader = aics.VerifiedTileReader(http, found.size, found.root)
    for index in (0, 255, 256, 65_535, 65_536, SIZE - 1):
        ours = TlogProof.parse(Queries(store).proof(index))
        assert list(ours.path) == aics.inclusion_proof_from_tiles(reader, index, SIZE), index
    with store.reading() as read:
        node = StoredNodes(read, SIZE).node
        for old in (1, 255, 256, 257, 65_535, 65_536, 65_537, SIZE - 1):
            assert path_between(old, SIZE, node) == aics.consistency_proof_from_tiles(reader, old, SIZE), old


def test_it_accepts_the_proof_of_each_receipt_and_of_each_query(
    aics: ModuleType, store: Store, receipts: list[Receipt], key: NoteSigner
) -> None:
    queries = Queries(store)
    for receipt in receipts:
        for text in (receipt.proof, queries.proof(receipt.index)):
            ours = TlogProof.parse(text)
            found = checkpoint_of(aics, ours.note, key)
            assert found.ok, found.error
            stored = queries.entry(receipt.index)
            assert stored is not None
            path = list(ours.path)
            assert aics.verify_leaf_inclusion(stored.leaf, receipt.index, found.size, path, found.root)
            assert not aics.verify_leaf_inclusion(stored.leaf + b" ", receipt.index, found.size, path, found.root)
            # Its bundle is another format around the same parts.
            bundle = aics.Bundle(stored.leaf, receipt.index, tuple(path), ours.note)
            assert aics.verify_bundle(bundle.to_json(), aics.parse_vkey(key.vkey)).ok


def test_it_finds_our_checkpoints_consistent(
    aics: ModuleType, store: Store, receipts: list[Receipt], key: NoteSigner
) -> None:
    verifier = key.verifier()
    trees = [verifier.open(TlogProof.parse(receipt.proof).note) for receipt in receipts]
    newest = trees[-1]
    with store.reading() as read:
        node = StoredNodes(read, newest.size).node
        for tree in trees:
            path = path_between(tree.size, newest.size, node)
            assert aics.verify_consistency(tree.size, newest.size, tree.root, newest.root, path)
            assert not aics.verify_consistency(tree.size, newest.size, bytes(32), newest.root, path)


def test_our_cosignatures_are_its_and_its_are_ours(aics: ModuleType, receipts: list[Receipt], key: NoteSigner) -> None:
    note = TlogProof.parse(receipts[-1].proof).note
    tree, body = key.verifier().open(note), note.split("\n\n")[0] + "\n"
    witness = Cosigner.generate("witness.example/w1")
    theirs = aics.parse_vkey(witness.vkey)
    assert aics.format_vkey(theirs) == witness.vkey
    line = witness.sign(body, now=1_793_577_600)
    raw = aics.parse_note(note + line + "\n").signatures[1].signature
    assert aics.verify_cosignature(raw, witness.name, theirs.public_key, ORIGIN, tree.size, tree.root)
    found = checkpoint_of(aics, note + line + "\n", key, witness_keys=[theirs], quorum=1)
    assert (found.ok, found.timestamps) == (True, {witness.name: 1_793_577_600}), found.error

    private = Ed25519PrivateKey.generate()
    blob, signed = aics.sign_cosignature(private, "other.example/w", 1_793_577_601, ORIGIN, tree.size, tree.root)
    verifier = CosignatureVerifier(aics.format_vkey(aics.cosignature_vkey("other.example/w", private.public_key())))
    text = aics.Note(text=body, signatures=(signed,)).serialise()
    assert verifier.find(text)[1] == 1_793_577_601 == int.from_bytes(blob[:8], "big")


@pytest.mark.parametrize("raw", [bytes(32), b"\1" + bytes(31), b"\xed" + b"\xff" * 30 + b"\x7f", b"\xff" * 32])
def test_keys_that_it_holds_unfit_are_unfit_to_us(aics: ModuleType, raw: bytes) -> None:
    assert aics.ed25519_public_key_problem(raw) is not None
    key_type, name = 4, "witness.example/w1"
    weak = aics.VKey(name=name, key_id=aics.key_hash(name, key_type, raw), key_type=key_type, public_key=raw)
    with pytest.raises(NoteInvalid, match="fit"):
        CosignatureVerifier(aics.format_vkey(weak))


def test_our_log_is_cosigned_by_its_witness(
    aics: ModuleType, aics_witness: ModuleType, store: Store, receipts: list[Receipt], key: NoteSigner, tmp_path: Path
) -> None:
    private = Ed25519PrivateKey.generate()
    states = aics_witness.WitnessStore(tmp_path / "witness.db", create=True)
    logs = [aics_witness.LogConfig.from_strings(ORIGIN, [key.vkey])]
    theirs = aics_witness.Witness("their.example/w1", private, states, logs)
    # It has seen an early tree of ours, which we never knew of: it answers with the size.
    with aics_server(aics_witness, theirs) as url:
        early = TlogProof.parse(receipts[0].proof).note
        with aics_witness.WitnessClient(url, theirs.vkey) as client:
            client.submit(early, (0, []))
        calls, told = WitnessCalls(), []
        witnessing = Witnessing(
            store,
            [ConfiguredWitness(url, CosignatureVerifier(theirs.vkey_text))],
            post=calls,
            tell=lambda word, _: told.append(word),
            interval=1,
            release=calls.close,
        )
        assert (witnessing.look(), told) == (1, [])
        witnessing.close()
    states.close()
    newest = Publication(store).checkpoint()
    assert newest is not None
    found = checkpoint_of(aics, newest.note, key, witness_keys=[theirs.vkey], quorum=1)
    assert (found.ok, found.size, found.witnesses) == (True, SIZE, ["their.example/w1"]), found.error


def test_our_witness_cosigns_a_log_that_it_writes(aics: ModuleType, aics_witness: ModuleType, tmp_path: Path) -> None:
    private, origin = Ed25519PrivateKey.generate(), "their.example/log"
    vkey = aics.format_vkey(aics.vkey_from_ed25519(origin, private.public_key()))
    writer, tree = aics.IncrementalTileWriter(aics.MemoryTileStore()), aics.MerkleTree()
    WitnessState.create(tmp_path / "witness.sqlite")
    state, ours = WitnessState(tmp_path / "witness.sqlite"), Cosigner.generate("witness.example/w1")
    app = create_witness(Witness(ours, state=state, logs=[NoteVerifier(vkey)], clock=time.time))
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with sandbox_running(app, port=port), aics_witness.WitnessClient(url, ours.vkey) as client:
        for upto in (1, 7, 256, 300, 513):
            entries = [b"entry %d" % number for number in range(writer.size, upto)]
            writer.append(entries)
            tree.extend(entries)
            note = aics.sign_checkpoint(aics.Checkpoint(origin, writer.size, writer.root()), private, origin)
            # Every other time it does not remember, and has to be told the size.
            if upto in {256, 513}:
                client.known_sizes.clear()
            line = client.submit(note.to_bytes(), tree.consistency_proof)
            cosigned = aics_witness.merge_cosignatures(note.to_bytes(), line).decode()
            found = aics.verify_checkpoint(
                aics.parse_note(cosigned), aics.parse_vkey(vkey), [aics.parse_vkey(ours.vkey)], 1
            )
            assert (found.ok, found.size) == (True, upto), found.error
        forked = aics.sign_checkpoint(aics.Checkpoint(origin, 513, bytes(32)), private, origin)
        with pytest.raises(aics_witness.WitnessRejected) as refused:
            client.submit(forked.to_bytes(), (513, []))
        assert refused.value.status == 422
    state.close()


def test_an_entry_that_was_changed_does_not_pass_its_audit(aics: ModuleType, published: str, key: NoteSigner) -> None:
    reader = aics.HttpTileReader(published, proxies={})

    class _Changed:
        """One byte of one bundle is another."""

        def read_tile(self, level: int, index: int, width: int | None) -> bytes | None:
            found: bytes | None = reader.read_tile(level, index, width)
            return found

        def read_entry_bundle(self, index: int, width: int | None) -> bytes | None:
            found: bytes = reader.read_entry_bundle(index, width)
            return found if index != 1 else found[:-1] + b"?"

    found = checkpoint_of(aics, reader.read_checkpoint().decode(), key)
    with pytest.raises(aics.TileVerificationError):
        aics.audit_tiles(_Changed(), found.size, found.root, entries=True)
    assert leaf_hash(b"x") == aics.leaf_hash(b"x")


@contextmanager
def aics_server(aics_witness: ModuleType, witness: Any) -> Iterator[str]:
    server = aics_witness.make_server(witness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
