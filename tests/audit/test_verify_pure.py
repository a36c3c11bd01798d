"""What verifies a log offline needs Python, ``cryptography`` and this package's own files: nothing else is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from audit.checkpoint import NoteSigner
from audit.verifier import Verdict
from tests.audit.conftest import migrate
from tests.audit.verified_log import make_sample

_VERIFY = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first not in sys.stdlib_module_names and first not in {"audit", "cryptography", "_cffi_backend", "__main__"}:
            raise ModuleNotFoundError(f"{name} is of a third party")
        return None

if __name__ == "__main__":
    sys.meta_path.insert(0, Refusing())
    from pathlib import Path
    from audit.replay.run import Options, verify
    from audit.sources.folder import FolderSource
    from audit.sources.sqlite import SqliteSource
    from audit.verifier import verify_proof_file

    kind, where, vkey = sys.argv[1:]
    source = FolderSource(Path(where)) if kind == "folder" else SqliteSource(where)
    verdict = verify(source, vkey)
    print(verdict.sentence(), *verdict.findings)
"""


@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_a_log_is_verified_with_nothing_but_the_standard_library_and_cryptography(
    tmp_path: Path, key: NoteSigner, kind: str
) -> None:
    path = tmp_path / "log.sqlite"
    migrate(f"sqlite:///{path}")
    sample = make_sample(f"sqlite:///{path}", key)
    sample.write(tmp_path / "folder")
    script = tmp_path / "verify.py"
    script.write_text(_VERIFY)
    where = str(path if kind == "sqlite" else tmp_path / "folder")
    command = [sys.executable, str(script), kind, where, sample.vkey]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stdout.startswith("The log verifies: 604 entries")) == (0, True), done


def test_a_verdict_without_findings_is_that_the_log_verifies() -> None:
    assert Verdict(3, b"\x01").sentence() == "The log verifies: 3 entries, root 01."
