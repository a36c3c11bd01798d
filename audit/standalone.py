"""The verifier that travels with an archive: ``python verify.pyz [FOLDER] [--key KEY]``.

Needs Python 3.11 and the package ``cryptography``, no Accord. Exit codes: 0 everything agrees; 1 something does not, or
cannot be read; 2 the command is wrong.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from audit.note import NoteInvalid
from audit.package import opened
from audit.package_check import UNREADABLE, check_package, shown
from audit.replay.run import verify
from audit.seda import CONTENT, MANIFEST
from audit.sources.files import VERIFIER_KEY
from audit.sources.package import log_of
from audit.sources.port import SourceUnavailable

_MAX_KEY_BYTES = 1_000


def main(arguments: Sequence[str]) -> int:
    """Verify the package, then the log in it; the exit code."""
    asked = _asked(arguments)
    root = _root(asked.folder)
    if root is None:
        _say(f"{asked.folder}: neither an archive's folder nor its {CONTENT} nor its ZIP: {MANIFEST} is not there")
        return 1
    package_is_whole = _check_package(root)
    log_verifies = _check_log(root, asked.key)
    if package_is_whole and log_verifies:
        _say("L'archive est intacte et le journal qu'elle contient est vérifié.")
        _say("The archive is whole and the log in it verifies.")
        return 0
    _say("L'archive N'EST PAS vérifiée : voir ci-dessus.")
    _say("The archive does NOT verify: see above.")
    return 1


def _asked(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog="verify.pyz",
        description="Vérifie une archive d'Accord sans Accord. Verifies an archive of Accord without Accord.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), help=f"the archive's folder or ZIP, or its {CONTENT}"
    )
    parser.add_argument("--key", help="the log's public key, from the administration itself and not from the archive")
    return parser.parse_args(arguments)


def _root(asked: Path) -> Path | None:
    """The package that is meant: a ZIP, or the folder with the manifest."""
    if asked.is_file():
        return asked
    folder = asked.resolve()
    return next((one for one in (folder, folder.parent) if (one / MANIFEST).is_file()), None)


def _check_package(root: Path) -> bool:
    try:
        with opened(root) as package:
            verdict = check_package(package)
    except UNREADABLE as error:
        _say(f"  {root}: it cannot be read ({type(error).__name__})")
        return False
    for finding in verdict.findings:
        _say(f"  {finding}")
    _say(f"{MANIFEST}: {verdict.files} files, SHA-256 {verdict.manifest_sha256}")
    return not verdict.findings


def _check_log(root: Path, key: str | None) -> bool:
    try:
        vkey = key or _key_of(root)
        _say(f"{'--key' if key else VERIFIER_KEY}: {shown(vkey)}")
        verdict = verify(log_of(root), vkey)
    except (SourceUnavailable, NoteInvalid, *UNREADABLE) as error:
        _say(f"  the log: {error}")
        return False
    for finding in verdict.findings:
        _say(f"  {finding}")
    for sentence in verdict.unchecked:
        _say(f"not checked: {sentence}")
    _say(verdict.sentence())
    return verdict.ok


def _key_of(root: Path) -> str:
    with opened(root) as package, package.open(CONTENT + VERIFIER_KEY) as file:
        return file.read(_MAX_KEY_BYTES).decode().strip()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
