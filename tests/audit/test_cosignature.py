"""Signed notes and cosignatures: the specifications' bytes, their keys, and what is no signature."""

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint, NoteInvalid, NoteSigner, NoteVerifier
from audit.cosignature import CosignatureVerifier, Cosigner
from audit.note import MAX_NOTE_BYTES, Signature, SignedNote

NAME = "witness.example/w1"
WITNESS = Cosigner(NAME, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
LOG = NoteSigner.generate("accord.example/log")
BODY = Checkpoint(LOG.name, 20_852_163, bytes(32)).body()
NOTE = LOG.sign(Checkpoint(LOG.name, 20_852_163, bytes(32)))
NOW = 1_679_315_147

# C2SP signed-note, section 'Verifier keys', example.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# C2SP tlog-cosignature, the checkpoint of its introduction; its keys are not published.
SPEC_COSIGNED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def test_the_specifications_note_is_verified_by_its_key() -> None:
    key, note = NoteVerifier(SPEC_KEY), SignedNote.parse(SPEC_NOTE)
    (signature,) = note.by(key)
    key.check(signature.raw, note.body.encode())
    with pytest.raises(NoteInvalid):
        key.check(signature.raw, note.body.upper().encode())


def test_the_specifications_cosigned_checkpoint_is_read_to_its_last_byte() -> None:
    note = SignedNote.parse(SPEC_COSIGNED)
    assert Checkpoint.parse(note.body).size == 20_852_163
    log, witness = note.signatures
    assert (len(log.raw), len(witness.raw)) == (64, 72)
    assert int.from_bytes(witness.raw[:8], "big") == NOW
    assert "\n".join([note.body, *(one.line() for one in note.signatures), ""]) == SPEC_COSIGNED


def test_a_cosignature_signs_what_the_specification_says() -> None:
    raw = b64decode(WITNESS.sign(BODY, now=NOW).split(" ")[2])
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    key.verify(raw[12:], f"cosignature/v1\ntime {NOW}\n{BODY}".encode())
    assert raw[:4] == WITNESS.key_id
    assert int.from_bytes(raw[4:12], "big") == NOW


@given(st.integers(1, 2**63 - 1), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_what_a_witness_signed_is_verified_with_its_time(now: int, size: int, root: bytes) -> None:
    body = Checkpoint("accord.example/log", size, root).body()
    assert WITNESS.verifier().verify(body, WITNESS.sign(body, now=now)) == now


@given(st.integers(0, 75), st.integers(1, 255))
def test_a_cosignature_with_one_byte_changed_is_refused(place: int, flip: int) -> None:
    line = WITNESS.sign(BODY, now=NOW)
    raw = bytearray(b64decode(line.split(" ")[2]))
    raw[place] ^= flip
    with pytest.raises(NoteInvalid):
        WITNESS.verifier().verify(BODY, f"\u2014 {NAME} {b64encode(raw).decode()}")


@pytest.mark.parametrize(
    "body", [BODY.replace("20852163", "20852164"), BODY + "extension\n", BODY[:-1], BODY.replace("accord", "other")]
)
def test_a_cosignature_is_of_one_body(body: str) -> None:
    with pytest.raises(NoteInvalid):
        WITNESS.verifier().verify(body, WITNESS.sign(BODY, now=NOW))


def test_a_cosignature_is_found_among_other_lines() -> None:
    other = Cosigner.generate("witness.example/w2")
    line = WITNESS.sign(BODY, now=NOW)
    assert WITNESS.verifier().find(f"{NOTE}{other.sign(BODY, now=NOW)}\n{line}\n") == (line, NOW)


@pytest.mark.parametrize("lines", [0, 2])
def test_a_note_has_a_witnesss_line_exactly_once(lines: int) -> None:
    with pytest.raises(NoteInvalid):
        WITNESS.verifier().find(NOTE + f"{WITNESS.sign(BODY, now=NOW)}\n" * lines)


def test_a_key_of_the_same_name_is_another_key() -> None:
    with pytest.raises(NoteInvalid):
        WITNESS.verifier().verify(BODY, Cosigner.generate(NAME).sign(BODY, now=NOW))


def test_a_cosignature_without_a_time_is_neither_made_nor_accepted() -> None:
    with pytest.raises(ValueError, match="when"):
        WITNESS.sign(BODY, now=0)
    timeless = Signature(NAME, WITNESS.key_id, bytes(72)).line()
    with pytest.raises(NoteInvalid, match="when"):
        WITNESS.verifier().verify(BODY, timeless)


def test_a_key_is_the_same_after_it_was_kept() -> None:
    again = Cosigner.parse(WITNESS.private_text())
    assert again.vkey == WITNESS.vkey == f"{NAME}+{WITNESS.key_id.hex()}+{WITNESS.vkey.split('+', 2)[2]}"
    assert WITNESS.verifier().verify(BODY, again.sign(BODY, now=NOW)) == NOW


def test_a_key_of_one_type_is_no_key_of_the_other() -> None:
    for wrong in (lambda: CosignatureVerifier(LOG.vkey), lambda: NoteVerifier(WITNESS.vkey)):
        with pytest.raises(NoteInvalid):
            wrong()
    for wrong_text in (lambda: Cosigner.parse(LOG.private_text()), lambda: NoteSigner.parse(WITNESS.private_text())):
        with pytest.raises(NoteInvalid):
            wrong_text()


def test_a_key_does_not_show_itself() -> None:
    assert repr(WITNESS) == f"Cosigner({NAME})"


@pytest.mark.parametrize(
    "y",
    [
        0,
        1,
        2**255 - 20,
        2**255 - 19,
        2**255 - 18,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    ],
)
@pytest.mark.parametrize("sign", [0, 1])
def test_a_key_under_which_anybody_can_sign_is_refused(y: int, sign: int) -> None:
    class _Any(Cosigner):
        """Writes the vkey of any 32 bytes."""

        def __init__(self, raw: bytes) -> None:
            super().__init__(NAME, _Fixed(raw))  # type: ignore[arg-type]  # only its public half is asked for

    with pytest.raises(NoteInvalid, match="fit"):
        CosignatureVerifier(_Any((y | sign << 255).to_bytes(32, "little")).vkey)


class _Fixed:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def public_key(self) -> "_Fixed":
        return self

    def public_bytes(self, encoding: Encoding, format: PublicFormat) -> bytes:  # noqa: A002  # as cryptography has it
        assert (encoding, format) == (Encoding.Raw, PublicFormat.Raw)
        return self._raw


_ANY_TEXT = st.text() | st.text(st.characters(categories=["Cs", "Cc", "Ll"]))


@given(_ANY_TEXT, _ANY_TEXT)
def test_hostile_text_raises_the_one_error(one: str, other: str) -> None:
    verifier = WITNESS.verifier()
    for attempt in (
        lambda: verifier.verify(one, other),
        lambda: verifier.verify(one, WITNESS.sign(BODY, now=NOW)),
        lambda: verifier.find(one + "\n\n" + other + "\n"),
        lambda: verifier.find(NOTE + one),
        lambda: LOG.verifier().open(one + "\n\n" + NOTE),
        lambda: CosignatureVerifier(one),
        lambda: CosignatureVerifier(f"{one}+{WITNESS.key_id.hex()}+{other}"),
        lambda: Cosigner.parse(f"PRIVATE+KEY+{one}"),
    ):
        with pytest.raises(NoteInvalid):
            attempt()


@pytest.mark.parametrize("text", ["", "\n\n", "a\n\n\u2014 a", NOTE[:-1], NOTE + "\n", "\0" + NOTE, "\ud800" + NOTE])
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        LOG.verifier().open(text)


def test_a_note_is_bounded() -> None:
    with pytest.raises(NoteInvalid, match="large"):
        SignedNote.parse("x" * MAX_NOTE_BYTES + NOTE)
