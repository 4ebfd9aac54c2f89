"""Cuts a sequence of writes after each of them and inside each that appends; h5py has to read every file it leaves.

    python check_cuts.py WRITES.npz [EVERY]

WRITES holds `addresses`, `sizes`, `content` (the bytes of all writes), and `acknowledged`, a JSON list: after how many
writes a flush returned, and the CRC-32 of each data set by then. The first write makes the file and has no cut. At
every cut all names are read and the youngest data, at each EVERY-th all data. It runs in a process of its own, since
HDF5 can crash on what is no whole file. It writes the number of cuts.
"""

import io
import json
import sys
from zlib import crc32

import h5py
import numpy as np

EMPTY = {"spikes", "spikes/n", "empty", "empty/n"}


def main(path, every=1):
    with np.load(path) as log:
        addresses, sizes, content = log["addresses"].tolist(), log["sizes"].tolist(), log["content"].tobytes()
        acknowledged = json.loads(log["acknowledged"].item())
    file, at, flush, cuts = bytearray(content[: sizes[0]]), sizes[0], 0, 0
    for number, (address, size) in enumerate(zip(addresses[1:], sizes[1:], strict=True), start=1):
        data, end = content[at : at + size], len(file)
        at += size
        while flush + 1 < len(acknowledged) and acknowledged[flush + 1][0] <= number:
            flush += 1
        if address == end:
            for part in {1, size // 3, size // 2, size - 1} - {0}:
                check(bytes(file) + data[:part], acknowledged[flush : flush + 2], cuts % every == 0)
                cuts += 1
        file.extend(bytes(max(0, address + size - end)))
        file[address : address + size] = data
        check(bytes(file), acknowledged[flush : flush + 2], cuts % every == 0)
        cuts += 1
    check(bytes(file), acknowledged[-1:], True)
    sys.stdout.write(str(cuts))


def check(file, states, everything):
    """The file holds the first state, where a part of it may be as the second has it."""
    before, after = states[0][1], states[-1][1]
    groups = {name[:at] for name in after for at in range(len(name)) if name[at] == "/"} | EMPTY
    with h5py.File(io.BytesIO(file), "r") as found:
        names = list(found)
        for group in sorted(group for group in groups if group in found):
            names += [f"{group}/{name}" for name in found[group]]
        names = [name for name in names if name not in groups]
        assert len(names) == len(set(names)), "a name is there twice"
        assert set(before) <= set(names) <= set(after), "data sets are missing"
        young = [name for name in names if before.get(name) != after[name]] + names[-1:]
        for name in names if everything else young:
            data = np.asarray(found[name][()])
            assert crc32(data.tobytes()) in (before.get(name), after[name]), f"{name} is another"
            assert dict(found[name].attrs)["size"] == data.size


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
