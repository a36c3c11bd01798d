"""What an archive carries so that it needs nobody: instructions in French and English, and a verifier in one file.

The verifier is this package's own pure files in a ZIP that Python runs (zipapp), so that what verifies in twenty years
is what verifies today. Which files it takes is read from their imports; a test sees to it that nothing but the
standard library and ``cryptography`` is among these.
"""

import ast
import io
from collections.abc import Iterator
from pathlib import Path
from string import Template
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from audit.seda import Transfer

VERIFIER = "verify.pyz"
INSTRUCTIONS = ("LISEZMOI.md", "README.md")

_PACKAGE = Path(__file__).resolve().parent.parent
_ENTRY = "audit.standalone"
_MAIN = f"""import sys

try:
    from {_ENTRY} import main
except ModuleNotFoundError as missing:
    sys.stderr.write(f"pip install cryptography (missing: {{missing.name}})\\n")
    sys.exit(2)

if __name__ == "__main__":
    # A terminal without accents is no reason to stop.
    sys.stdout.reconfigure(errors="replace")
    sys.exit(main(sys.argv[1:]))
"""
_ALWAYS = (1980, 1, 1, 0, 0, 0)

_DETAILS = {
    (
        "LISEZMOI.md",
        True,
    ): "les détails scellés encore conservés, avec leur sel, et les entrées dont le détail était effacé",
    ("LISEZMOI.md", False): "absents : les détails scellés (données pseudonymisées) n'ont pas été versés",
    ("README.md", True): "the sealed details still kept, with their salts, and the entries whose detail was erased",
    ("README.md", False): "not there: the sealed details (pseudonymised data) were left out",
}


def instructions(transfer: Transfer, vkey: str) -> dict[str, bytes]:
    """The texts by name."""
    facts = {name: getattr(transfer, name) for name in ("origin", "period", "first", "last", "size")}
    return {
        name: Template((Path(__file__).parent / name).read_text(encoding="utf-8"))
        .substitute(facts, vkey=vkey, details=_DETAILS[name, transfer.details])
        .encode()
        for name in INSTRUCTIONS
    }


def standalone_verifier() -> bytes:
    """The verifier. The same files give the same bytes."""
    made = io.BytesIO()
    with ZipFile(made, "w") as archive:
        for name, content in [("__main__.py", _MAIN.encode()), *sorted(_sources().items())]:
            member = ZipInfo(name, _ALWAYS)
            member.create_system, member.external_attr, member.compress_type = 3, 0o644 << 16, ZIP_DEFLATED
            archive.writestr(member, content)
    return made.getvalue()


def _sources() -> dict[str, bytes]:
    """The files that the entry point imports, with those that they import, by their path."""
    found: dict[str, bytes] = {}
    wanted = [_ENTRY]
    while wanted:
        path = _file_of(wanted.pop())
        if path is not None and (name := path.relative_to(_PACKAGE.parent).as_posix()) not in found:
            found[name] = path.read_bytes()
            wanted += _imports(found[name])
    return found


def _imports(source: bytes) -> Iterator[str]:
    """The modules of this package that a file imports when it is itself, the packages above them included."""
    # Not what a function imports when it is called: the drivers of databases, which nothing here calls.
    for node in ast.parse(source).body:
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "audit":
                yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _file_of(module: str) -> Path | None:
    """The file of a module; ``None`` for what is a name in one."""
    base = _PACKAGE.parent.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
