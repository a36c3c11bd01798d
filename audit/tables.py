"""The log's tables. No row of them is ever changed; what is erased, a retention run has named: triggers see to it."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData
from sqlmodel import Field, SQLModel

_Index = BigInteger().with_variant(Integer, "sqlite")


class Base(SQLModel):
    """Tables of the log, on their own metadata."""

    metadata = MetaData()


class EntryRow(Base, table=True):
    """An entry: the bytes hashed into the tree."""

    __tablename__ = "log_entries"

    index: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    leaf: bytes = Field(sa_type=LargeBinary)


class DetailRow(Base, table=True):
    """The sealed part of an entry and its salt; erased at the end of its retention."""

    __tablename__ = "log_details"

    index: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    salt: bytes = Field(sa_type=LargeBinary)
    detail: bytes = Field(sa_type=LargeBinary)


class TileRow(Base, table=True):
    """A full tile of the tree (C2SP tlog-tiles): 256 hashes, and the hash above them."""

    __tablename__ = "log_tiles"

    level: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    tile: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    hashes: bytes = Field(sa_type=LargeBinary)
    root: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(Base, table=True):
    """A signed checkpoint and the frontier of its tree: one row for each commit. The newest is the head of the log."""

    __tablename__ = "log_checkpoints"

    size: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    frontier: bytes = Field(sa_type=LargeBinary)
    note: str


class SpentRow(Base, table=True):
    """A one-time key and the entry that spent it, or ``audit.verifier.UNTIED`` where that entry was erased."""

    __tablename__ = "log_spent_keys"

    key: str = Field(primary_key=True)
    index: int = Field(sa_type=_Index)


class ClosedRow(Base, table=True):
    """A key that was closed for good and the entry that closed it."""

    __tablename__ = "log_closed_keys"

    key: str = Field(primary_key=True)
    index: int = Field(sa_type=_Index)


class ErasedRow(Base, table=True):
    """A detail that a retention run erased, and the entry that says so. Without its row no detail can be deleted."""

    __tablename__ = "log_erased"

    index: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    by: int = Field(sa_type=_Index)


class BlockRow(Base, table=True):
    """A full block of 256 entries and when they were made (:mod:`audit.blocks`)."""

    __tablename__ = "log_blocks"

    block: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    first_time: int = Field(sa_type=_Index)
    last_time: int = Field(sa_type=_Index)


class PostingRow(Base, table=True):
    """Which entries of a block hold a term."""

    __tablename__ = "log_postings"

    term: str = Field(primary_key=True)
    block: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    entries: bytes = Field(sa_type=LargeBinary)


class TermRow(Base, table=True):
    """A term and the first block that holds it."""

    __tablename__ = "log_terms"

    term: str = Field(primary_key=True)
    block: int = Field(sa_type=_Index)


class LookupRow(Base, table=True):
    """From the hash of a rare value to its entry; ordered by segment first."""

    __tablename__ = "log_lookups"

    segment: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    key: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    index: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))


class CosignatureRow(Base, table=True):
    """A witness's signature of a checkpoint: the line of the note (C2SP tlog-cosignature)."""

    __tablename__ = "log_cosignatures"

    size: int = Field(sa_column=Column(_Index, primary_key=True, autoincrement=False))
    witness: str = Field(primary_key=True)
    line: str
