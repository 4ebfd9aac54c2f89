"""HDF5's groups and chunk indexes, as blocks that are only ever appended.

A group is a heap of names and a B-tree (version 1) over nodes of `LEAF` sorted entries. A name that comes last in order
rewrites, at new places, the rightmost node of each level; the earlier tree stays whole where it is. The group becomes
the new one when the 16 bytes of its header that name the tree and the heap are replaced.

Source: HDF5 File Format Specification, version 3.0, III.A (B-trees), III.B-C (groups), III.D (local heaps).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import pack

from .hdf5_messages import UNDEFINED, group_header, padded, symbol_table

LEAF, FAN, CHUNK_FAN = 4, 8, 4
"""Most entries of a symbol node, children of a group's B-tree node, children of a chunk B-tree's node: all even."""
HEADER_BYTES = 24
"""The place, in a group's header, of the 16 bytes that are replaced."""
_HEAP_HEAD = 32
_NO_FREE_BLOCK = 1
_LEAST_HEAP = 64


class Space:
    """The end of a file, where blocks are placed one after the other; `writes` are all that this takes."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.writes: list[tuple[int, bytes | memoryview]] = []

    def place(self, content: bytes | memoryview, at: int = 0, of: int = 8) -> int:
        """The address of a block, which is `at` modulo `of`."""
        gap = (at - self.end) % of
        if gap:
            self.writes.append((self.end, bytes(gap)))
        address = self.end + gap
        self.writes.append((address, content))
        self.end = address + len(content)
        return address


@dataclass(eq=False)
class Group:
    """A group as it lies in the file, and what waits to get into it.

    offsets and objects: for each entry, in the order of names, the place of its name in the heap and the address of its
    object header. levels: the addresses of the symbol nodes, of the B-tree nodes above them, and so on to the root.
    """

    address: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    waiting: dict[str, int | Group] = field(default_factory=dict)
    names: bytearray = field(default_factory=lambda: bytearray(8))
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    objects: array[int] = field(default_factory=lambda: array("Q"))
    levels: list[array[int]] = field(default_factory=list)
    heap: int = 0
    room: int = 0

    def __contains__(self, name: str) -> bool:
        if name in self.waiting:
            return True
        key, low, high = name.encode(), 0, len(self.offsets)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._name(middle) < key else (low, middle)
        return low < len(self.offsets) and self._name(low) == key

    def changed(self, space: Space) -> Change:
        """Places what waits; the group itself stays as it is until the change is applied."""
        inner: list[Change] = []
        entries: dict[bytes, int] = {}
        for name, thing in self.waiting.items():
            if isinstance(thing, Group):
                inner.append(thing.changed(space))
                entries[name.encode()] = inner[-1].placed(space)
            else:
                entries[name.encode()] = thing
        change = Change(self, inner, len(self.offsets), len(self.names), bytearray())
        if entries and self.offsets and min(entries) <= self._name(-1):
            entries = {self._name(n): self.objects[n] for n in range(len(self.offsets))} | entries
            change = Change(self, inner, 0, 0, bytearray(8))
        change.fill(sorted(entries.items()), space)
        return change

    def _name(self, n: int) -> bytes:
        start = self.offsets[n]
        return bytes(self.names[start : self.names.index(0, start)])


@dataclass(eq=False)
class Change:
    """A group's next state: all entries from the `first` on, and all names from `names_start` on, are new."""

    group: Group
    inner: list[Change]
    first: int
    names_start: int
    names: bytearray
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    objects: array[int] = field(default_factory=lambda: array("Q"))
    levels: list[tuple[int, array[int]]] = field(default_factory=list)
    heap: int = 0
    room: int = 0
    address: int = 0

    @property
    def pair(self) -> bytes:
        """What the group's header has to hold."""
        return symbol_table(self.levels[-1][1][0], self.heap)

    def fill(self, entries: Sequence[tuple[bytes, int]], space: Space) -> None:
        """Places the names, the symbol nodes and the B-tree of these entries."""
        for name, address in entries:
            self.offsets.append(self.names_start + len(self.names))
            self.objects.append(address)
            self.names += padded(name + b"\0")
        self._place_names(space)
        self._place_nodes(space)

    def placed(self, space: Space) -> int:
        """The address of a new group's header; its 16 bytes lie at a multiple of 16, never across two pages."""
        tree, heap = self.levels[-1][1][0], self.heap
        self.address = space.place(group_header(tree, heap), -HEADER_BYTES % 16, 16)
        return self.address

    def apply(self) -> None:
        """Makes this the state of the group and of the groups in it."""
        group = self.group
        for change in self.inner:
            change.apply()
        group.address = self.address or group.address
        group.heap, group.room = self.heap, self.room
        group.names[self.names_start :] = self.names
        for old, new in ((group.offsets, self.offsets), (group.objects, self.objects)):
            del old[self.first :]
            old.extend(new)
        for level, (start, addresses) in enumerate(self.levels):
            if level == len(group.levels):
                group.levels.append(array("Q"))
            del group.levels[level][start:]
            group.levels[level].extend(addresses)
        group.waiting.clear()

    def _place_names(self, space: Space) -> None:
        n_bytes = self.names_start + len(self.names)
        self.heap, self.room = self.group.heap, self.group.room
        if self.names_start and n_bytes <= self.room:
            if self.names:
                space.writes.append((self.heap + _HEAP_HEAD + self.names_start, bytes(self.names)))
            return
        self.room = max(_LEAST_HEAP, 2 * n_bytes)
        names = bytes(self.group.names[: self.names_start]) + self.names
        at = space.end + -space.end % 8
        head = pack("<4sB3xQQQ", b"HEAP", 0, self.room, _NO_FREE_BLOCK, at + _HEAP_HEAD)
        self.heap = space.place(head + names + bytes(self.room - len(names)))

    def _place_nodes(self, space: Space) -> None:
        n, start = self.first + len(self.offsets), self.first // LEAF
        leaves = (_leaf([self._entry(i) for i in range(i, min(i + LEAF, n))]) for i in range(start * LEAF, n, LEAF))
        self.levels = [(start, array("Q", [space.place(leaf) for leaf in leaves]))]
        n_nodes, span = -(-n // LEAF), LEAF
        while len(self.levels) == 1 or n_nodes > 1:
            n_children, n_nodes, start = n_nodes, max(1, -(-n_nodes // FAN)), start // FAN
            nodes = [self._tree_node(node, min(FAN, n_children - node * FAN), span) for node in range(start, n_nodes)]
            self.levels.append((start, array("Q", [space.place(node) for node in nodes])))
            span *= FAN

    def _tree_node(self, node: int, n_children: int, span: int) -> bytes:
        """A node above the nodes of the last level, each of which holds `span` entries but for the rightmost."""
        below, first, last = len(self.levels) - 1, node * FAN, self.first + len(self.offsets) - 1
        addresses = [self._node(below, first + child) for child in range(n_children)]
        bounds = [min((first + child) * span - 1, last) for child in range(n_children + 1)]
        keys = [self._entry(bound)[0] if bound >= 0 else 0 for bound in bounds]
        content = b"".join(pack("<QQ", key, address) for key, address in zip(keys, addresses, strict=False))
        head = pack("<4sBBHQQ", b"TREE", 0, below, n_children, UNDEFINED, UNDEFINED)
        return head + content + pack("<Q", keys[-1]) + bytes(16 * (FAN - n_children))

    def _entry(self, n: int) -> tuple[int, int]:
        """The place of the name and the address of entry n."""
        owner, n = (self.group, n) if n < self.first else (self, n - self.first)
        return owner.offsets[n], owner.objects[n]

    def _node(self, level: int, n: int) -> int:
        """The address of node n of a level."""
        start, new = self.levels[level]
        return self.group.levels[level][n] if n < start else new[n - start]


def _leaf(entries: Sequence[tuple[int, int]]) -> bytes:
    content = b"".join(pack("<QQ24x", name, address) for name, address in entries)
    return pack("<4sBxH", b"SNOD", 1, len(entries)) + content + bytes(40 * (LEAF - len(entries)))


def chunk_tree(chunks: Sequence[tuple[int, int, Sequence[int]]], chunk: Sequence[int], item: int, space: Space) -> int:
    """Places the B-tree of chunks (address, bytes, place of their first element), in order; the address of its root."""
    rank = len(chunk)
    keys = [pack(f"<II{rank + 1}Q", n_bytes, 0, *place, 0) for _, n_bytes, place in chunks]
    keys.append(pack(f"<II{rank + 1}Q", 0, 0, *(a + b for a, b in zip(chunks[-1][2], chunk, strict=True)), item))
    addresses, level = [address for address, _, _ in chunks], 0
    while True:
        starts = range(0, len(addresses), CHUNK_FAN)
        nodes = [_chunk_node(level, addresses[i : i + CHUNK_FAN], keys[i : i + CHUNK_FAN + 1]) for i in starts]
        addresses = [space.place(node) for node in nodes]
        if len(addresses) == 1:
            return addresses[0]
        keys, level = [keys[i] for i in starts] + keys[-1:], level + 1


def _chunk_node(level: int, addresses: Sequence[int], keys: Sequence[bytes]) -> bytes:
    content = b"".join(key + pack("<Q", address) for key, address in zip(keys, addresses, strict=False))
    head = pack("<4sBBHQQ", b"TREE", 1, level, len(addresses), UNDEFINED, UNDEFINED)
    unused = (CHUNK_FAN - len(addresses)) * (8 + len(keys[0]))
    return head + content + keys[len(addresses)] + bytes(unused)
