"""The verifier that travels with an archive: alone it verifies, and it names whatever was changed."""

import os
import re
import subprocess
import sys
from contextlib import closing
from hashlib import sha512
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree
from zipfile import ZipFile

import pytest

from audit.archive import make_archive
from audit.checkpoint import NoteSigner
from audit.instructions import VERIFIER, standalone_verifier
from audit.layout import bundle_of, entries_of
from audit.replay.run import verify
from audit.sources.locate import source_of
from audit.standalone import main
from audit.store import open_store
from tests.audit.conftest import ORIGIN, migrate
from tests.audit.test_archive import asked, days, fill

pytestmark = pytest.mark.enable_socket

FILES = ("tile/entries/001", "tile/entries/002.p/88", "tile/0/001", "checkpoint", "LISEZMOI.md")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, key: NoteSigner) -> dict[str, Path]:
    """A log of 400 entries of September and 200 of October, archived with and without details, and as a ZIP."""
    folder = tmp_path_factory.mktemp("archives")
    url = f"sqlite:///{folder / 'log.sqlite'}"
    migrate(url)
    fill(url, key, [*days(9, 400), *days(10, 200)])
    store = open_store(url)
    with closing(store.connect()) as session:
        for name, details in (("with", True), ("without", False), ("a.zip", False)):
            make_archive(session, asked(key, folder / name, details=details), record=lambda _: None)
    store.close()
    return {name: folder / name for name in ("with", "without", "a.zip")}


@pytest.fixture(params=["with", "without"])
def archive(request: pytest.FixtureRequest, made: dict[str, Path], tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(copytree(made[request.param], tmp_path / "archive"))


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``cryptography`` and what that needs, and nothing else of this environment."""
    folder = tmp_path_factory.mktemp("site-packages")
    for name in ("cryptography", "cffi", "_cffi_backend"):
        origin = Path(str(find_spec(name).origin))  # type: ignore[union-attr]  # it is there
        path = origin.parent if origin.name == "__init__.py" else origin
        (folder / path.name).symlink_to(path)
    return folder


def run(archive: Path, bare: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python verify.pyz`` as an archivist would, with no site-packages but those."""
    return subprocess.run(
        [sys.executable, "-S", "verify.pyz", *arguments],
        cwd=archive / "content",
        env={"PYTHONPATH": str(bare), "PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_archive_verifies_with_no_accord_installed(archive: Path, bare: Path, key: NoteSigner) -> None:
    done = run(archive, bare, ".")
    assert (done.returncode, done.stderr) == (0, "")
    assert "L'archive est intacte" in done.stdout
    assert "The log verifies: 600 entries, from entry 256" in done.stdout
    assert key.vkey in done.stdout
    without = not (archive / "content" / "details").exists()
    assert ("details are not there" in done.stdout) == without
    assert "erased" not in done.stdout


def test_one_changed_byte_anywhere_is_named(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((archive / "content").rglob("*")):
        if not path.is_file() or not (content := path.read_bytes()):
            continue
        at = len(content) // 2
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert main([str(archive)]) == 1, path
        said = capsys.readouterr().out
        assert f"  {path.relative_to(archive).as_posix()}: its content is not the one of the manifest" in said
        path.write_bytes(content)
    assert main([str(archive)]) == 0


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_ends_the_verifier_itself_with_1(
    made: dict[str, Path], tmp_path: Path, bare: Path, name: str
) -> None:
    archive = Path(copytree(made["without"], tmp_path / "archive"))
    path = archive / "content" / name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    done = run(archive, bare, ".")
    assert (done.returncode, done.stderr) == (1, "")
    assert f"content/{name}: its content is not the one of the manifest" in done.stdout
    assert "The archive does NOT verify" in done.stdout


def test_an_entry_changed_with_its_digest_in_the_manifest_is_found_by_the_log(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive / "content" / "tile" / "entries" / "001"
    before = path.read_bytes()
    entries = entries_of(before, width=256)
    entries[9] = entries[9].replace(b"access_denied", b"access_damned")
    path.write_bytes(bundle_of(entries))
    manifest = archive / "manifest.xml"
    was, now = sha512(before).hexdigest(), sha512(path.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(was, now))
    assert main([str(archive)]) == 1
    said = capsys.readouterr().out
    assert "content/" not in said
    assert "The log does not verify" in said


def test_a_missing_and_an_added_file_are_named(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (archive / "content" / "checkpoints.jsonl").rename(archive / "content" / "autre.txt")
    (archive / "notes.txt").write_text("x")
    assert main([str(archive)]) == 1
    said = capsys.readouterr().out
    assert "content/checkpoints.jsonl: the manifest lists it, and it is not there" in said
    assert "content/autre.txt: the manifest does not list it" in said
    assert "notes.txt: the manifest does not list it" in said


def test_the_key_that_the_administration_gave_is_the_one_that_counts(
    archive: Path, capsys: pytest.CaptureFixture[str], key: NoteSigner
) -> None:
    assert main([str(archive), "--key", key.vkey]) == 0
    assert main([str(archive), "--key", NoteSigner.generate(ORIGIN).vkey]) == 1
    assert "log.vkey: it is not the key that was given" in capsys.readouterr().out
    assert main([str(archive), "--key", "not a key"]) == 1


def test_a_key_that_would_write_on_the_terminal_does_not(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (archive / "content" / "log.vkey").write_text("\x1b[2Jverified\n")
    assert main([str(archive)]) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_a_terminal_without_accents_is_no_reason_to_stop(made: dict[str, Path], bare: Path) -> None:
    done = run(made["without"], bare, ".", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "L'archive est intacte" in done.stdout


def test_a_zip_and_the_content_folder_are_archives_too(
    made: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(made["a.zip"])]) == 0
    assert main([str(made["with"] / "content")]) == 0
    assert main([str(made["with"] / "content" / "tile")]) == 1
    assert "manifest.xml is not there" in capsys.readouterr().out


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_damaged_zip_does_not_verify(made: dict[str, Path], tmp_path: Path, at: float) -> None:
    content = bytearray(made["a.zip"].read_bytes())
    content[int(len(content) * at)] ^= 0x10
    (tmp_path / "a.zip").write_bytes(content)
    assert main([str(tmp_path / "a.zip")]) == 1


def test_the_verifier_is_pure_and_the_same_every_time(tmp_path: Path, bare: Path) -> None:
    (tmp_path / VERIFIER).write_bytes(standalone_verifier())
    assert standalone_verifier() == (tmp_path / VERIFIER).read_bytes()
    program = "import sys; sys.path.insert(0, 'verify.pyz'); import audit.standalone; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(bare)},
        capture_output=True,
        text=True,
        check=True,
    )
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert tops - sys.stdlib_module_names <= {
        "audit",
        "cryptography",
        "_cffi_backend",
        "_openssl",
        "__main__",
        "__mp_main__",
    }
    with ZipFile(tmp_path / VERIFIER) as archive:
        for name in archive.namelist():
            imported = re.findall(r"^\s*(?:from|import) ([a-z0-9_]+)", archive.read(name).decode(), re.MULTILINE)
            assert set(imported) <= {*sys.stdlib_module_names, "audit", "cryptography"}, name


def test_without_cryptography_the_verifier_says_what_to_install(made: dict[str, Path], tmp_path: Path) -> None:
    done = run(made["without"], tmp_path, ".")
    assert done.returncode == 2
    assert done.stderr == "pip install cryptography (missing: cryptography)\n"


def test_the_instructions_say_what_is_there_and_the_key_to_compare(archive: Path, key: NoteSigner) -> None:
    with_details = (archive / "content" / "details").exists()
    for name, words in (("LISEZMOI.md", "n'ont pas été versés"), ("README.md", "were left out")):
        text = (archive / "content" / name).read_text()
        assert key.vkey in text
        assert "python verify.pyz ." in text
        assert "400 " in text
        assert "599" in text
        assert (words in text) != with_details
        assert "$" not in text


@pytest.mark.parametrize("name", ["with", "without", "a.zip"])
def test_accord_itself_verifies_an_archive_like_any_other_place_of_a_log(
    made: dict[str, Path], key: NoteSigner, name: str
) -> None:
    verdict = verify(source_of(str(made[name])), key.vkey)
    assert verdict.ok, verdict.findings
    assert verdict.checked["entries"] > 0
