"""Exports: what is written is read back, memory stays flat, nothing sealed leaves, nothing damaged passes."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint, NoteInvalid, NoteSigner
from audit.entry import canonical
from audit.exports.archive import Export, Tally, export_chunks, with_manifest
from audit.exports.columns import DETAIL_COLUMNS, ENTRY_COLUMNS, Format
from audit.exports.manifest import FORMATS, ExportInvalid, Manifest
from audit.exports.sink import CHUNK_BYTES
from audit.exports.text import csv_chunks, jsonl_chunks
from audit.exports.verification import verify_export
from audit.query import AccessRecord
from tests.audit.conftest import ORIGIN

CANARY = "canary-7f3a"
NAMES = [column.name for column in ENTRY_COLUMNS]
MADE_AT = 1_793_577_600.0
FORMULAS = ("=", "+", "-", "@", "\t", "\r")

# Fields are names of the catalogue: words.
words = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_characters="\u2028"), min_size=1)
texts = st.text(max_size=40) | st.sampled_from(
    ["=1+1", "+33", "-1", "@x", "\tx", "\rx", "'=1", "''", 'a"b', "a,b\r\nc"]
)
skeletons = st.fixed_dictionaries(
    {"time": st.just("2026-11-01T12:34:56.789Z"), "kind": texts},
    optional={
        **{name: texts for name in NAMES if name not in {"index", "time", "kind", "fields"}},
        "fields": st.lists(words, max_size=4),
    },
)
records_of = st.lists(skeletons, max_size=8).map(
    lambda found: [AccessRecord(index, one, {"citizen": "pseudonym"}) for index, one in enumerate(found)]
)


def record(index: int) -> AccessRecord:
    skeleton: dict[str, object] = {
        "v": 1,
        "kind": "access",
        "time": f"2026-11-{1 + index % 30:02}T12:34:56.{index % 1000:03}Z",
        "request_id": sha256(b"%d" % index).hexdigest()[:26],
        "dataset": "quotient_familial",
        "fields": ["quotient_familial", "annee"],
        "recipient": "21350238800019",
        "client": "portail-rennes",
        "purpose": "tarif_cantine",
        "legal_basis": "rgpd-6-1-e",
        "provider": "api_particulier",
        "outcome": "ok",
        "sealed": sha256(b"sealed%d" % index).hexdigest(),
    }
    detail = {
        **{
            name: f"{CANARY}-{name}"
            for name in ("citizen", "grant_id", "acr", "access", "habilitation", "company", "spent")
        },
        "duration_ms": 77_777,
    }
    return AccessRecord(index, skeleton, detail)


def records(count: int) -> Iterator[AccessRecord]:
    return map(record, range(count))


def asked(key: NoteSigner, *, form: Format = "csv", details: bool = False, size: int = 1_000_000) -> Export:
    note = key.sign(Checkpoint(ORIGIN, size, bytes(32)))
    return Export(form, details=details, filter={"recipient": "21350238800019"}, checkpoint=note, made_at=MADE_AT)


def archived(found: Iterable[AccessRecord], export: Export) -> bytes:
    return b"".join(export_chunks(found, export))


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(content.decode(), newline="")))


@given(records_of)
def test_a_csv_gives_every_value_back_once_the_apostrophe_is_dropped(found: list[AccessRecord]) -> None:
    header, *rows = rows_of(b"".join(csv_chunks(found, details=False)))
    assert header == NAMES
    for one, row in zip(found, rows, strict=True):
        told = [cell.removeprefix("'") for cell in row]
        entry = {**one.skeleton, "index": str(one.index), "fields": " ".join(one.skeleton.get("fields", []))}  # type: ignore[arg-type]  # a list, as made above
        assert told == [entry.get(name, "") for name in NAMES]


@given(records_of)
def test_no_cell_of_a_csv_begins_as_a_formula(found: list[AccessRecord]) -> None:
    cells = [cell for row in rows_of(b"".join(csv_chunks(found, details=False))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(FORMULAS)]


@given(records_of)
def test_a_line_of_json_lines_holds_the_bytes_of_the_leaf(found: list[AccessRecord]) -> None:
    lines = b"".join(jsonl_chunks(found, details=True)).split(b"\n")
    assert lines.pop() == b""
    for one, line in zip(found, lines, strict=True):
        assert json.loads(line) == {"index": one.index, "entry": one.skeleton, "detail": one.detail}
        assert b'"entry":' + canonical(one.skeleton) in line


def test_text_is_handed_over_in_chunks_of_about_64_kilobytes() -> None:
    for chunks in (csv_chunks(records(2_000), details=True), jsonl_chunks(records(2_000), details=True)):
        *whole, last = [len(chunk) for chunk in chunks]
        assert len(whole) > 5
        assert all(CHUNK_BYTES <= size < CHUNK_BYTES + 2_000 for size in whole)
        assert last <= CHUNK_BYTES + 2_000


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_sealed_leaves_for_who_may_not_read_details(form: Format, key: NoteSigner, tmp_path: Path) -> None:
    with ZipFile(BytesIO(archived(records(50), asked(key, form=form)))) as archive:
        content, manifest = (archive.read(name) for name in archive.namelist())
    # Parquet's pages are compressed: its values are looked for once read.
    values = json.dumps(_parquet(content, tmp_path), default=str) if form == "parquet" else ""
    shown = content + manifest + values.encode()
    assert CANARY.encode() not in shown
    assert b"77777" not in shown
    for name in ("citizen", "grant_id", "acr", "habilitation", "duration_ms", "spent"):
        assert name.encode() not in shown


@pytest.mark.parametrize("form", FORMATS)
def test_readers_of_details_have_them_all(form: Format, key: NoteSigner, tmp_path: Path) -> None:
    with ZipFile(BytesIO(archived(records(3), asked(key, form=form, details=True)))) as archive:
        content = archive.read(f"accesses.{form}")
    shown = json.dumps(_parquet(content, tmp_path), default=str).encode() if form == "parquet" else content
    for column in DETAIL_COLUMNS:
        assert (b"77777" if column.type == "integer" else f"{CANARY}-{column.name}".encode()) in shown


def test_a_filter_by_a_sealed_value_is_for_readers_of_details(key: NoteSigner) -> None:
    note = asked(key).checkpoint
    for name in ("citizen", "grant_id"):
        with pytest.raises(ExportInvalid, match="sealed"):
            Export("csv", details=False, filter={name: CANARY}, checkpoint=note, made_at=MADE_AT)
        Export("csv", details=True, filter={name: CANARY}, checkpoint=note, made_at=MADE_AT)


def test_parquet_has_types_and_its_values_are_those_of_the_log(tmp_path: Path) -> None:
    core, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from audit.exports.parquet import parquet_chunks  # noqa: PLC0415  # skipped where pyarrow is absent

    erased = AccessRecord(3, {**record(3).skeleton, "kind": "refusal"}, {})
    bare = AccessRecord(4, {"time": "2026-11-01T00:00:00.000Z", "kind": "keys.rotated"}, {})
    path = tmp_path / "accesses.parquet"
    path.write_bytes(b"".join(parquet_chunks([record(2), erased, bare], details=True)))
    table = parquet.read_table(path)
    assert table.schema.field("time").type == core.timestamp("ms", tz="UTC")
    assert table.schema.field("fields").type == core.list_(core.string())
    assert table.schema.field("index").metadata[b"meaning"].startswith(b"place of the entry")
    assert parquet.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    first, second, third = table.to_pylist()
    assert first["time"] == datetime(2026, 11, 3, 12, 34, 56, 2_000, UTC)
    assert (first["fields"], first["duration_ms"]) == (["quotient_familial", "annee"], 77_777)
    assert (second["citizen"], second["recipient"]) == (None, "21350238800019")
    assert (third["fields"], third["dataset"]) == (None, None)


_MEASURED = """
import resource, sys
from audit.exports.archive import Export, export_chunks
from tests.audit.test_exports import records

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

form, note, path = sys.argv[1:]
export = Export(form, details=True, filter={}, checkpoint=note, made_at=0)
for chunk in export_chunks(records(20_000), export):
    pass
before, largest = peak(), 0
with open(path, "wb") as file:
    for chunk in export_chunks(records(100_000), export):
        largest = max(largest, len(chunk))
        file.write(chunk)
print(peak() - before, largest)
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_memory_is_flat_over_100_000_records(form: Format, key: NoteSigner, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    note = key.sign(Checkpoint(ORIGIN, 100_000, bytes(32)))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, form, note, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )
    grown, largest = map(int, done.stdout.split())
    # Megabytes of resident memory, from 20,000 records to 100,000; and the largest chunk that was handed over.
    assert grown < 24
    assert largest < 4_000_000
    manifest = verify_export(path, key.vkey)
    assert (manifest.count, manifest.first_index, manifest.last_index) == (100_000, 0, 99_999)
    if form == "parquet":
        with ZipFile(path) as archive:
            _check_groups(archive.extract("accesses.parquet", tmp_path))


def _check_groups(path: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with parquet.ParquetFile(path) as file:
        assert file.metadata.num_row_groups == 10
        assert file.read_row_group(9, columns=["index"]).column(0).to_pylist() == list(range(90_000, 100_000))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 700])
def test_an_export_is_verified_from_its_bytes_and_the_logs_key(
    form: Format, count: int, key: NoteSigner, tmp_path: Path
) -> None:
    export = asked(key, form=form)
    path = tmp_path / "export.zip"
    path.write_bytes(archived(records(count), export))
    manifest = verify_export(path, key.vkey)
    assert manifest == verify_export(BytesIO(path.read_bytes()), key.vkey)
    assert (manifest.count, manifest.format, manifest.filter) == (count, form, export.filter)
    assert (manifest.first_index, manifest.last_index) == ((0, count - 1) if count else (None, None))
    assert manifest.made_at == "2026-11-02T00:00:00.000Z"
    with ZipFile(path) as archive:
        assert archive.namelist() == [f"accesses.{form}", "manifest.json"]
        assert archive.testzip() is None
        assert sha256(archive.read(f"accesses.{form}")).hexdigest() == manifest.sha256
        assert archive.read("manifest.json") == canonical(json.loads(archive.read("manifest.json")))


@given(records_of)
def test_a_newline_within_a_cell_is_no_row(key: NoteSigner, found: list[AccessRecord]) -> None:
    assert verify_export(BytesIO(archived(found, asked(key))), key.vkey).count == len(found)


def test_the_standard_librarys_unzip_takes_an_export_apart(key: NoteSigner, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(archived(records(10), asked(key)))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", path, tmp_path / "out"], check=True, timeout=30)
    assert len(rows_of((tmp_path / "out/accesses.csv").read_bytes())) == 11
    assert Manifest.from_json((tmp_path / "out/manifest.json").read_bytes()).count == 10


def test_an_archive_is_zip64_so_that_its_size_need_not_be_known(key: NoteSigner) -> None:
    archive = archived(records(10), asked(key))
    # Local header: version needed 4.5, bit 3 (sizes follow the data), ZIP64 extra field.
    assert (archive[4:6], archive[6] & 8) == (b"\x2d\x00", 8)
    assert archive[30 + len("accesses.csv") :][:2] == b"\x01\x00"


def test_a_record_beyond_the_checkpoint_ends_the_export(key: NoteSigner) -> None:
    with pytest.raises(ExportInvalid, match="beyond"):
        archived(records(11), asked(key, size=10))


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_cut_short_by_an_error_opens_nowhere(form: Format, key: NoteSigner) -> None:
    def failing() -> Iterator[AccessRecord]:
        yield from records(2_000)
        raise OSError("the database went away")

    received = BytesIO()
    with pytest.raises(OSError, match="went away"):
        received.writelines(export_chunks(failing(), asked(key, form=form)))
    with pytest.raises(ExportInvalid):
        verify_export(received, key.vkey)


def test_an_export_that_nobody_reads_on_is_put_away(key: NoteSigner) -> None:
    for form in FORMATS:
        chunks = export_chunks(records(30_000), asked(key, form=form))
        assert next(iter(chunks))
        chunks.close()  # type: ignore[attr-defined]  # a generator


def test_a_checkpoint_by_another_key_or_of_a_smaller_log_is_refused(key: NoteSigner) -> None:
    archive = archived(records(10), asked(key))
    with pytest.raises(ExportInvalid, match="checkpoint"):
        verify_export(BytesIO(archive), NoteSigner.generate(ORIGIN).vkey)
    with pytest.raises(NoteInvalid):
        verify_export(BytesIO(archive), "not a key")
    tally = Tally(records(10), size=1_000)
    forged = b"".join(with_manifest(csv_chunks(tally, details=False), tally, asked=asked(key, size=5)))
    with pytest.raises(ExportInvalid, match="beyond"):
        verify_export(BytesIO(forged), key.vkey)


@pytest.mark.parametrize("form", FORMATS)
def test_another_content_or_another_count_is_refused(form: Format, key: NoteSigner) -> None:
    with ZipFile(BytesIO(archived(records(10), asked(key, form=form)))) as archive:
        content, manifest = (archive.read(name) for name in archive.namelist())
    with ZipFile(BytesIO(archived(records(9), asked(key, form=form)))) as archive:
        other = archive.read(f"accesses.{form}")
    assert verify_export(_zip(form, content, manifest), key.vkey).count == 10
    with pytest.raises(ExportInvalid, match="not the one that was hashed"):
        verify_export(_zip(form, other, manifest), key.vkey)
    hashed = manifest.replace(sha256(content).hexdigest().encode(), sha256(other).hexdigest().encode())
    with pytest.raises(ExportInvalid, match="number of records"):
        verify_export(_zip(form, other, hashed), key.vkey)


@settings(deadline=None)
@given(st.data())
def test_hostile_bytes_raise_the_one_declared_error(key: NoteSigner, data: st.DataObject) -> None:
    archive = bytearray(archived(records(3), asked(key, form=data.draw(st.sampled_from(FORMATS)))))
    if data.draw(st.booleans()):
        del archive[data.draw(st.integers(0, len(archive) - 1)) :]
    else:
        for at in data.draw(st.sets(st.integers(0, len(archive) - 1), min_size=1, max_size=4)):
            archive[at] ^= data.draw(st.integers(1, 255))
    try:
        # What no reader looks at may differ: dates, permissions, what follows.
        assert verify_export(BytesIO(archive), key.vkey).count == 3
    except ExportInvalid:
        return


@given(st.binary(max_size=300))
def test_a_manifest_is_read_in_its_one_canonical_text_alone(text: bytes) -> None:
    with pytest.raises(ExportInvalid):
        Manifest.from_json(text)


def test_a_manifest_that_says_otherwise_is_refused(key: NoteSigner) -> None:
    with ZipFile(BytesIO(archived(records(10), asked(key)))) as archive:
        text = archive.read("manifest.json")
    assert Manifest.from_json(text).to_json() == text
    for stated, other in [
        (b'"count":10', b'"count":11'),
        (b'"count":10', b'"count":0'),
        (b'"count":10', b'"count":"10"'),
        (b'"first_index":0', b'"first_index":true'),
        (b'"first_index":0,', b""),
        (b'"format":"csv"', b'"format":"xls"'),
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":1,"w":1'),
        (b'"filter":{"recipient"', b'"filter":{"citizen"'),
        (b'"type":"integer"', b'"type":"float"'),
        (b'"count":10', b'"count": 10'),
    ]:
        assert stated in text
        with pytest.raises(ExportInvalid):
            Manifest.from_json(text.replace(stated, other, 1))
    for nested in (b"[" * 200_000, b" " * 300_000, b"1" * 10_000):
        with pytest.raises(ExportInvalid):
            Manifest.from_json(nested)


def test_records_come_in_any_order(key: NoteSigner) -> None:
    newest_first = [record(index) for index in (9, 7, 4)]
    manifest = verify_export(BytesIO(archived(newest_first, asked(key))), key.vkey)
    assert (manifest.count, manifest.first_index, manifest.last_index) == (3, 4, 9)


def test_what_verifies_an_export_reads_no_database() -> None:
    """An auditor runs it with the standard library and ``cryptography`` alone."""
    code = "import sys, audit.exports.verification as _; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"orjson", "psycopg", "sqlite3", "sqlmodel", "sqlalchemy", "pyarrow"})


def test_without_pyarrow_parquet_is_refused_before_the_first_byte() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from audit.exports.parquet import ParquetUnavailable, parquet_chunks\n"
        "try:\n    parquet_chunks([], details=False)\n"
        "except ParquetUnavailable as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "Parquet needs the package pyarrow\n"


def _zip(form: Format, content: bytes, manifest: bytes) -> BytesIO:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr(f"accesses.{form}", content)
        archive.writestr("manifest.json", manifest)
    return file


def _parquet(content: bytes, folder: Path) -> list[dict[str, object]]:
    path = folder / "read.parquet"
    path.write_bytes(content)
    read: list[dict[str, object]] = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    return read
