"""The rows by which a database finds entries, made again and compared: an index that hides an entry is found. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from audit.blocks import BLOCK, SEGMENT, Item, bits_of, block_row, members, postings_of, rare_keys
from audit.sources.port import IndexRows
from audit.verifier import Finding


class BlockCheck:
    """Compares block after block. Takes the rows that it accounts for out of ``rows``: what is left has no entries."""

    def __init__(self, rows: IndexRows) -> None:
        self._rows = rows
        self._terms: dict[str, int] = {}
        self._lookups: dict[int, list[int]] = {}
        self._unread: set[int] = set()
        """Segments of which an entry cannot be read."""

    @property
    def terms(self) -> dict[str, int] | None:
        """Each term and the first block that holds it; ``None`` when an entry could not be read."""
        return None if self._unread else self._terms

    def block(self, block: int, items: Sequence[Item] | None) -> Iterator[Finding]:
        """Compare a block; ``None`` for its entries when one of them cannot be read, which was said."""
        stored, first = self._rows.blocks.pop(block, None), block * BLOCK
        if items is None:
            self._unread.add(first // SEGMENT)
            for key in [key for key in self._rows.postings if key[1] == block]:
                del self._rows.postings[key]
            return
        skeletons = [skeleton for skeleton, _ in items]
        if stored != block_row(block, skeletons)[1:]:
            yield Finding(f"index of block {block}", "its times are not those of its entries")
        for term, bits in _postings(skeletons):
            self._terms.setdefault(term, block)
            kept = self._rows.postings.pop((term, block), b"")
            if kept != bits:
                yield _posting(term, block, bits_of(bits) ^ bits_of(kept))
        lookups, place = self._lookups.setdefault(first // SEGMENT, []), first % SEGMENT
        lookups += {key * SEGMENT + place + at for key, at in rare_keys(items)}

    def rest(self) -> Iterator[Finding]:
        """Compare the lookups, which lie together by segment, and look at what is left."""
        for segment in self._lookups.keys() | self._rows.lookups.keys():
            kept, made = self._rows.lookups.get(segment, []), sorted(self._lookups.get(segment, ()))
            if kept != made and segment not in self._unread:
                for at in sorted({row % SEGMENT for row in set(kept).symmetric_difference(made)}):
                    place = f"index of entry {segment * SEGMENT + at}"
                    yield Finding(place, "its lookups are not those of the entry and its detail")
        for block in self._rows.blocks:
            yield Finding(f"index of block {block}", "the log has no entries for it")
        for term, block in self._rows.postings:
            yield Finding(f"index of block {block}", f"none of its entries has {term!r}, as a posting says")


def _postings(skeletons: Sequence[Mapping[str, object]]) -> list[tuple[str, bytes]]:
    try:
        return postings_of(skeletons)
    except TypeError:
        # A member that should be a text is an object: no writer of ours could index it.
        return []


def _posting(term: str, block: int, differing: int) -> Finding:
    indexes = sorted(block * BLOCK + at for at in members(differing) if at < BLOCK)
    named = ", ".join(map(str, indexes[:5])) + (" ..." if len(indexes) > 5 else "")  # noqa: PLR2004  # enough to look
    return Finding(f"index of block {block}", f"the posting of {term!r} is wrong about entry {named}")
