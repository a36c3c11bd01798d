"""The manifest of a transfer: it validates against SEDA 2.3, says what it should, is read back as it was written."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from hashlib import sha512
from pathlib import Path

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.layout import tiles_of
from audit.package_check import read_manifest
from audit.seda import NAMESPACE, Agreement, PackagedFile, SedaInvalid, Transfer, manifest_lines, unit_of
from audit.sources.files import details_path

SEDA = f"{{{NAMESPACE}}}"
BARE = Agreement("FRAD033", "21330063500017", "213300635")
FULL = replace(
    BARE,
    archival_agreement="CONTRAT-1",
    appraisal_rule="APP-00001",
    final_action="Destroy",
    access_rule="ACC-00003",
    details_rule="APP-00002",
)
TRANSFER = Transfer(
    FULL,
    origin="accord.example/log",
    period="2026-10",
    starts=date(2026, 10, 1),
    ends=date(2026, 10, 31),
    first=3,
    last=900,
    size=1024,
    details=True,
    made_at=1_793_610_000,
)
FIXED = ("checkpoint", "checkpoints.jsonl", "erased.jsonl", "log.vkey", "LISEZMOI.md", "README.md", "verify.pyz")


@pytest.fixture(scope="module")
def schema(reference: Path) -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(reference / "seda" / "seda-2.3-main.xsd", allow="local")


def files_of(size: int, *, details: bool) -> list[PackagedFile]:
    paths = [str(path) for path in tiles_of(size)]
    if details:
        paths += [details_path(path.number, path.width) for path in tiles_of(size) if path.level == "entries"]
    return [
        PackagedFile(path, number, sha512(path.encode()).hexdigest()) for number, path in enumerate([*paths, *FIXED])
    ]


def written(transfer: Transfer, files: Sequence[PackagedFile]) -> str:
    return "".join(manifest_lines(transfer, files))


@pytest.mark.parametrize("agreement", [BARE, FULL])
@pytest.mark.parametrize("details", [True, False])
@pytest.mark.parametrize("size", [1, 256, 3000])
def test_a_manifest_validates_against_the_schemas(
    schema: xmlschema.XMLSchema, agreement: Agreement, details: bool, size: int
) -> None:
    transfer = replace(TRANSFER, agreement=agreement, details=details, size=size)
    schema.validate(written(transfer, files_of(size, details=details)))


def test_a_manifest_without_its_agencies_would_not_validate(schema: xmlschema.XMLSchema) -> None:
    text = written(TRANSFER, files_of(1, details=True))
    assert not schema.is_valid(text.replace("ArchivalAgency>", "Agency>"))


def test_every_file_is_a_group_with_its_unit_under_the_right_heading() -> None:
    files = files_of(600, details=True)
    root = ET.fromstring(written(TRANSFER, files))  # noqa: S314  # our own
    groups = {
        group.attrib["id"]: group.findtext(f"{SEDA}BinaryDataObject/{SEDA}Uri")
        for group in root.iter(f"{SEDA}DataObjectGroup")
    }
    assert list(groups.values()) == [f"content/{file.path}" for file in files]
    (top,) = root.findall(f".//{SEDA}DescriptiveMetadata/{SEDA}ArchiveUnit")
    headings = top.findall(f"{SEDA}ArchiveUnit")
    found = {heading.findtext(f"{SEDA}Content/{SEDA}Title"): _referred(heading) for heading in headings}
    assert list(map(len, found.values())) == [3, 6, 4, 4]
    for paths in found.values():
        assert len({unit_of(groups[one].removeprefix("content/")) for one in paths}) == 1
    assert sorted(one for referred in found.values() for one in referred) == sorted(groups)


def _referred(heading: ET.Element) -> list[str]:
    """At most one group a unit: archives systems refuse more."""
    items = heading.findall(f"{SEDA}ArchiveUnit")
    references = [item.findall(f"{SEDA}DataObjectReference/{SEDA}DataObjectGroupReferenceId") for item in items]
    assert all(len(one) == 1 for one in references)
    return [str(one.text) for (one,) in references]


def test_details_are_destroyed_at_their_own_rule_whatever_becomes_of_the_rest() -> None:
    kept = replace(TRANSFER, agreement=replace(FULL, final_action="Keep"))
    root = ET.fromstring(written(kept, files_of(1, details=True)))  # noqa: S314  # our own
    (own,) = root.findall(f".//{SEDA}Management/{SEDA}AppraisalRule")
    assert [(child.tag.removeprefix(SEDA), child.text) for child in own] == [
        ("Rule", "APP-00002"),
        ("StartDate", "2026-10-31"),
        ("PreventInheritance", "true"),
        ("FinalAction", "Destroy"),
    ]
    (general,) = root.findall(f".//{SEDA}ManagementMetadata/{SEDA}AppraisalRule")
    assert general.findtext(f"{SEDA}FinalAction") == "Keep"


def test_the_manifest_says_whether_details_are_there() -> None:
    with_them, without = written(TRANSFER, []), written(replace(TRANSFER, details=False), [])
    assert "sont versés" in with_them
    assert "are included" in with_them
    assert "ne sont pas versés" in without
    assert "are not included" in without


def test_an_agency_of_14_or_9_digits_is_a_siret_or_a_siren() -> None:
    text = written(TRANSFER, [])
    assert '<Identifier schemeName="SIRET">21330063500017</Identifier>' in text
    assert '<Identifier schemeName="SIREN">213300635</Identifier>' in text
    assert "<Identifier>FRAD033</Identifier>" in text


def test_the_same_arguments_give_the_same_manifest_and_another_moment_another_message() -> None:
    files = files_of(600, details=True)
    assert written(TRANSFER, files) == written(TRANSFER, files)
    later = replace(TRANSFER, made_at=TRANSFER.made_at + 1)
    assert TRANSFER.identifier == "accord.example/log:2026-10:20261102T090000Z"
    assert later.identifier != TRANSFER.identifier


def test_what_is_read_back_is_what_was_written() -> None:
    files = files_of(600, details=True)
    text = written(TRANSFER, files).encode()
    assert list(read_manifest([text]).values()) == files
    assert read_manifest(text[at : at + 7] for at in range(0, len(text), 7)) == read_manifest([text])


@pytest.mark.parametrize("value", ["", " ", "a b", "é", "a\n", "x" * 201, "\x00"])
def test_an_identifier_that_xml_would_change_is_refused(value: str) -> None:
    with pytest.raises(SedaInvalid, match="archival_agency"):
        Agreement(value, "a", "b")


def test_an_identifier_with_markup_is_written_as_text(schema: xmlschema.XMLSchema) -> None:
    text = written(replace(TRANSFER, agreement=replace(FULL, access_rule='<&">')), files_of(1, details=True))
    schema.validate(text)
    assert ET.fromstring(text).findtext(f".//{SEDA}AccessRule/{SEDA}Rule") == '<&">'  # noqa: S314  # our own


ONE = written(TRANSFER, [PackagedFile("checkpoint", 7, "ab" * 64)])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ONE, ""),
        ("<ArchiveTransfer ", "<!DOCTYPE ArchiveTransfer [<!ENTITY a 'a'>]><ArchiveTransfer "),
        ("seda:v2.3", "seda:v2.2"),
        ('encoding="UTF-8"', 'encoding="none"'),
        ("content/checkpoint", "content/../checkpoint"),
        ("content/checkpoint", "/etc/passwd"),
        ("content/checkpoint", "content//checkpoint"),
        ("content/checkpoint", "content/.hidden"),
        ("content/checkpoint", "content/" + "a" * 1001),
        ("abab", "ABAB"),
        ("abab", "ab"),
        ("SHA-512", "SHA-1"),
        ("<Size>7<", "<Size>-7<"),
        ("<Size>7</Size>", "<Size>7</Size><Size>7</Size>"),
        ("</Comment>", "</Comments>"),
    ],
)
def test_a_manifest_that_says_anything_else_is_refused(old: str, new: str) -> None:
    assert old in ONE
    with pytest.raises(SedaInvalid):
        read_manifest([ONE.replace(old, new, 1).encode()])


def test_a_file_listed_twice_is_refused() -> None:
    twice = [PackagedFile("checkpoint", 7, "ab" * 64)] * 2
    with pytest.raises(SedaInvalid, match="twice"):
        read_manifest([written(TRANSFER, twice).encode()])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(ONE)), st.integers(0, 80), st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_and_raise_nothing_else(at: int, removed: int, added: bytes) -> None:
    changed = ONE.encode()
    with suppress(SedaInvalid):
        read_manifest([changed[:at] + added + changed[at + removed :]])
