"""Sizes of a convolution or pooling of frames, and how the compiled kernels lay them out."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError, UnsupportedError
from .events import ALIGNMENT

Pair = tuple[int, int]

TILE_BYTES = 256
"""How many bytes of output channels lie side by side in a frame, at most."""
BAND_BYTES = 1 << 18
"""How much of a frame is held at a time; events are looked at once for each such band."""
MOST_PARTS, PARTS_BYTES = 16, 1 << 23
"""In how many parts the gradient of a weight is summed at most, and how many bytes they take beyond two."""
GATHER_BYTES = 1 << 20
"""How many bytes of weights windows gather from: each position goes over all of them."""
SLACK = 16
"""How many entries are copied at a time, as conv_gather.hpp has it."""
MOST_ENTRIES, MOST_WIDTH = 2**31 - 1, 64


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A convolution of frames (C, H, W) with a pooling of its result, or, with kernel=None, a pooling alone.

    pool: None, 'max' (in a tie the first entry of the window wins) or 'avg' (with the zeros of the padding). Raises
    ShapeError where nothing is left of a frame, UnsupportedError where a window or a frame is too large.
    """

    source: tuple[int, int, int]
    outputs: int
    kernel: Pair | None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    pool: str | None = None
    pool_kernel: Pair = (1, 1)
    pool_stride: Pair = (1, 1)
    pool_padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        if self.kernel is None and (self.outputs, self.stride, self.padding) != (self.source[0], (1, 1), (0, 0)):
            raise ShapeError(f"a pooling alone keeps the {self.source[0]} channels, got outputs={self.outputs}")
        if self.pool is None and (self.pool_kernel, self.pool_stride, self.pool_padding) != ((1, 1), (1, 1), (0, 0)):
            raise ShapeError(f"Geometry with pool=None has no window of a pooling, got {self.pool_kernel}")
        least = dict.fromkeys(("source", "taps", "stride", "pool_kernel", "pool_stride"), 1)
        for name, low in (least | {"padding": 0, "pool_padding": 0}).items():
            if min(getattr(self, name)) < low:
                raise ShapeError(f"Geometry.{name} must be at least {low}, got {getattr(self, name)}")
        if any(2 * p > k for p, k in zip(self.pool_padding, self.pool_kernel, strict=True)):
            raise ShapeError(f"Geometry.pool_padding must be at most half of the window, got {self.pool_padding}")
        if self.pool not in (None, "max", "avg") or min(self.outputs, *self.positions, *self.target) < 1:
            raise ShapeError(f"no target is left of {self}")
        if prod(self.pool_kernel) > 255:
            raise UnsupportedError(f"a window of a pooling has at most 255 entries, got {self.pool_kernel}")
        outputs, (height, width) = self.outputs + TILE_BYTES, self.positions
        frame = height * (width + self.taps[1]) * max(outputs, self.source[0])
        if max(prod(self.source), frame, 4 * outputs * self.source[0] * prod(self.taps)) > MOST_ENTRIES:
            raise UnsupportedError(f"frames and weights must have less than 2**31 entries, got {self}")

    @property
    def taps(self) -> Pair:
        """The kernel (height, width); one tap where there is none."""
        return self.kernel or (1, 1)

    @property
    def positions(self) -> Pair:
        """Height and width of the result of the convolution."""
        sides = zip(self.source[1:], self.taps, self.stride, self.padding, strict=True)
        height, width = ((n + 2 * p - k) // s + 1 for n, k, s, p in sides)
        return height, width

    @property
    def target(self) -> tuple[int, int, int]:
        """The shape (O, H', W') of the current."""
        sides = zip(self.positions, self.pool_kernel, self.pool_stride, self.pool_padding, strict=True)
        height, width = ((n + 2 * p - k) // s + 1 for n, k, s, p in sides)
        return self.outputs, height, width

    @property
    def used(self) -> Pair:
        """The positions that the pooling reads, in height and width; all of the source's without a convolution."""
        if self.kernel is None or self.pool is None:
            return self.positions
        windows = zip(
            self.positions, self.target[1:], self.pool_kernel, self.pool_stride, self.pool_padding, strict=True
        )
        height, width = (min(n, (m - 1) * s + k - p) for n, m, k, s, p in windows)
        return height, width


class Plan:
    """What the kernels need to know of a geometry, for vectors of so many reals of so many bytes."""

    def __init__(self, g: Geometry, lanes: int, itemsize: int) -> None:
        channels, height, width = g.source
        vectors, places = -(-g.outputs // lanes), prod(g.target[1:])
        self.tile = -(-vectors // -(-vectors * lanes * itemsize // TILE_BYTES)) * lanes
        self.tiles = -(-g.outputs // self.tile)
        lines, line = (-(-k // s) for k, s in zip(g.taps, g.stride, strict=True)) if g.kernel is not None else (1, 0)
        pitch, kinds = (g.used[1] + line) * self.tile, [min(s, k) for s, k in zip(g.stride, g.taps, strict=True)]
        band, rows = _band(g, pitch * itemsize)
        pool = (g.pool == "max", *g.pool_kernel, *g.pool_stride, *g.pool_padding)
        source_pitch = max(width + g.padding[1], (g.used[1] - 1) * g.stride[1] + g.taps[1])
        back_line = -(-g.taps[1] * channels // lanes) * lanes
        self.reach = _reach(g, pitch, self.tile)
        room = prod(-(-n // s) for n, s in zip(g.source[1:], g.stride, strict=True))
        rooms = room, (height - 1 + g.padding[0]) // g.stride[0] + 2
        rest = (g.kernel is not None, *kinds, lines, line, *rooms, self.tile, source_pitch, back_line, band, rows)
        sizes = (*g.source, *g.target, *g.taps, *g.stride, *g.padding, *g.used, *pool, *rest)
        self.sizes = np.array(sizes, np.int64)
        self.n_packed = self.tiles * self.tile * channels * prod(kinds) * lines * line
        self.lines_of_an_event = vectors * prod(kinds)
        overlap = all(k > s for k, s in zip(g.taps, g.stride, strict=True))
        near = prod(g.taps) * channels * self.tile * itemsize <= GATHER_BYTES
        told = (height * g.taps[1] + width + 1) * channels * self.tile <= MOST_ENTRIES
        self.may_gather = g.kernel is not None and overlap and near and told
        self.n_gathered = self.tiles * self.tile * channels * prod(g.taps)
        self.n_back = g.outputs * g.taps[0] * back_line
        self.kept = (self.tiles, places, self.tile)
        frames = (rows * pitch + line * self.tile) * itemsize, places * self.tile * itemsize
        n_lists = prod(kinds) + 1
        lists = n_lists * 8, n_lists * room * 4, (n_lists * rooms[1] + 1) * 4, n_lists * room * itemsize
        self.workspace = sum(map(_whole_lines, (*frames, *lists)))
        self._frames, self._source, self._itemsize = sum(map(_whole_lines, frames)), (height, width), itemsize
        back = (height * source_pitch * channels + lanes) * itemsize, (prod(g.target) + MOST_WIDTH) * itemsize
        self.workspace_back = self.workspace + sum(map(_whole_lines, back))

    def workspace_to_gather(self, most: int) -> int:
        """The memory of a thread on the way there where events are gathered, at most so many in a row."""
        (height, width), n = self._source, most + SLACK
        plane = height * width
        ints, reals = (plane, plane, plane + 2, n, width + 1, n), (n, n)
        pieces = [4 * size for size in ints] + [self._itemsize * size for size in reals]
        return self._frames + sum(map(_whole_lines, pieces))

    def part_size(self, n_samples: int, itemsize: int) -> int:
        """How many samples, a power of two, make one part of the sum of the gradient of the weight."""
        most = min(MOST_PARTS, max(2, PARTS_BYTES // (self.n_packed * itemsize + 1)))
        return 1 << max(0, -(-n_samples // most) - 1).bit_length()


def _whole_lines(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT


def _band(g: Geometry, pitch: int) -> Pair:
    """How many rows of the target a band has, and of positions at most, for rows of so many bytes."""
    if g.kernel is None:
        return g.target[1], g.used[0]
    n_bands = min(-(-g.used[0] * pitch // BAND_BYTES), g.target[1])
    band = -(-g.target[1] // n_bands)
    return band, min(g.used[0], (band - 1) * g.pool_stride[0] + g.pool_kernel[0])


def _reach(g: Geometry, pitch: int, tile: int) -> NDArray[np.int32]:
    """What each place (y, x) of the source reaches, (H * W, 3): offset and row of the first position, and its list.

    The tap k of the position p reads the coordinate p * stride - padding + k. Taps that one coordinate meets differ by
    the stride, so that there are min(stride, kernel) kinds of coordinates beside those that meet none; each meets
    ceil(kernel / stride) positions side by side, some of them outside of the frame.
    """
    firsts, kinds = [], []
    for size, kernel, stride, padding in zip(g.source[1:], g.taps, g.stride, g.padding, strict=True):
        shifted = np.arange(size) + padding
        firsts.append(shifted // stride - -(-kernel // stride) + 1)
        kinds.append(shifted % stride)
    (down, across), (n_down, n_across) = kinds, (min(s, k) for s, k in zip(g.stride, g.taps, strict=True))
    some = (down < n_down)[:, None] & (across < n_across) & (firsts[1] < g.used[1])
    kind = np.where(some, down[:, None] * n_across + across, n_down * n_across)
    row = np.where(some, firsts[0][:, None], firsts[0].max() + 1)
    return np.stack([row * pitch + firsts[1] * tile, row, kind], axis=-1).reshape(-1, 3).astype(np.int32)
