"""SHD and SSC, on tiny files in their layout."""

import h5py
import numpy as np
import pytest

from spikeloom.datasets import DATASETS, Dataloader
from spikeloom.datasets.cache import cached
from spikeloom.datasets.shd import SHD, SSC
from spikeloom.errors import DataError, ParameterError

# Times in seconds and channels of three samples, the second of them silent.
TRAINS = [([0.0005, 0.25, 1.2], [3, 699, 3]), ([], []), ([0.5, 0.5], [10, 0])]


def write(path, trains=TRAINS, labels=(0, 19, 4), keys=None, speakers=None):
    with h5py.File(path, "w") as file:
        for name, base, place in (("times", np.float16, 0), ("units", np.uint16, 1)):
            data = file.create_dataset(f"spikes/{name}", (len(trains),), h5py.vlen_dtype(base))
            for index, train in enumerate(trains):
                data[index] = np.asarray(train[place], base)
        file["labels"] = np.asarray(labels, np.uint16)
        if keys is not None:
            file["extra/keys"] = np.array(keys, "S")
        if speakers is not None:
            file["extra/speaker"] = np.asarray(speakers, np.uint16)
    return path.parent


def test_samples_are_spikes_of_700_channels_on_the_grid_in_one_window(tmp_path):
    dataset = SHD(write(tmp_path / "shd_train.h5"))
    assert (len(dataset), dataset.shape, dataset.n_classes) == (3, (700,), 20)
    spikes, label = dataset[0]
    assert label == 0
    assert spikes.ids.tolist() == [3, 699, 3]
    # 1.2 s as float16 is 1.2002 s; 0.0005 s is 0.00050 s.
    assert spikes.step.tolist() == [0, 250, 1200]
    assert (spikes.dt, spikes.n_steps) == (1.0, 1400)
    assert dataset[1][0].n_spikes == 0
    assert SHD(tmp_path, dt=4.0)[2][0].step.tolist() == [125, 125]


def test_batches_in_any_order_go_through_a_loader(tmp_path):
    dataset = SHD(write(tmp_path / "shd_train.h5"))
    spikes, labels = dataset.batch([2, 0])
    assert labels.tolist() == [4, 0]
    assert spikes.counts().sum(axis=1).tolist() == [2, 3]
    assert [data.n_spikes for data, _ in Dataloader(dataset, batch_size=2)] == [3, 2]


def test_a_cache_of_it_gives_the_same(tmp_path):
    dataset = SHD(write(tmp_path / "shd_train.h5"))
    assert cached(dataset, tmp_path / "cache").batch([0, 1, 2])[0].equals(dataset.batch([0, 1, 2])[0])


def test_classes_and_speakers_are_those_that_the_file_names(tmp_path):
    names = [f"word {k}" for k in range(20)]
    dataset = SHD(write(tmp_path / "shd_test.h5", keys=names, speakers=[4, 11, 0]), is_train=False)
    assert list(dataset.classes) == names
    assert dataset.speakers.tolist() == [4, 11, 0]
    plain = SHD(write(tmp_path / "shd_train.h5", keys=["one"], speakers=[1]))
    assert list(plain.classes) == list(range(20))
    assert plain.speakers is None


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_ssc_has_three_parts_and_35_classes(tmp_path, split):
    assert SSC(write(tmp_path / f"ssc_{split}.h5", labels=(34, 0, 1)), split).n_classes == 35


def test_files_that_are_wrong_or_lack_are_named(tmp_path):
    with pytest.raises(
        DataError, match=r"SHD.root .* lacks shd_train.h5. .*https://zenkelab.org/datasets/shd_train.h5.zip"
    ):
        SHD(tmp_path)
    with pytest.raises(ParameterError, match="split must be one of train, valid, test, got 'validation'"):
        SSC(tmp_path, "validation")
    write(tmp_path / "shd_train.h5", labels=(0, 20, 1))
    with pytest.raises(DataError, match=r"shd_train.h5: labels must be from 0 to 19, got 0 to 20"):
        SHD(tmp_path)
    write(tmp_path / "shd_train.h5", [([1.5], [0])], (0,))
    with pytest.raises(DataError, match="see duration="):
        SHD(tmp_path)[0]
    assert SHD(tmp_path, duration=2000.0)[0][0].step.tolist() == [1500]
    (tmp_path / "shd_train.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"shd_train.h5"):
        SHD(tmp_path)


def test_names_of_any_length_are_read_in_place(tmp_path):
    names = ["zero", "", "fünf" * 40] + [f"word {k}" for k in range(17)]
    write(tmp_path / "shd_train.h5")
    with h5py.File(tmp_path / "shd_train.h5", "a") as file:
        file.create_dataset("extra/keys", data=names, chunks=(7,), compression="gzip")
    assert list(SHD(tmp_path).classes) == [name.encode()[:100].decode() for name in names]


def test_a_part_of_it_is_read_when_asked_for_and_cached_by_what_is_chosen(tmp_path):
    whole = SHD(write(tmp_path / "shd_train.h5"))
    part = whole.select([2, 0])
    assert part.batch([1])[0].equals(whole.batch([0])[0])
    assert (part.labels.tolist(), part.files()) == ([4, 0], [tmp_path / "shd_train.h5"])
    assert cached(part, tmp_path / "cache").batch([0, 1])[0].equals(whole.batch([2, 0])[0])
    assert part.key() != whole.select([0, 2]).key() != whole.key()


def test_links_that_lead_out_of_the_file_are_not_followed(tmp_path):
    write(tmp_path / "other.h5", keys=[f"{k}" for k in range(20)], speakers=[1, 2, 3])
    write(tmp_path / "shd_train.h5")
    with h5py.File(tmp_path / "shd_train.h5", "a") as file:
        file["extra"] = h5py.ExternalLink("other.h5", "extra")
    assert SHD(tmp_path).speakers is None


def test_names_that_claim_more_than_a_file_should_hold_are_not_read(tmp_path):
    write(tmp_path / "shd_train.h5")
    with h5py.File(tmp_path / "shd_train.h5", "a") as file:
        file.create_dataset("extra/keys", (20,), "S100000000", chunks=(1,), compression="gzip")
        file.create_dataset("extra/speaker", (2**40,), np.uint16, chunks=(1024,))
    dataset = SHD(tmp_path)
    assert list(dataset.classes) == list(range(20))
    assert dataset.speakers is None


def test_a_damaged_part_for_names_is_told(tmp_path):
    write(tmp_path / "shd_train.h5")
    with h5py.File(tmp_path / "shd_train.h5", "a") as file:
        file.create_dataset("extra/keys", data=np.zeros(20, "S40"), chunks=(20,), compression="gzip")
        place = file["extra/keys"].id.get_chunk_info(0).byte_offset
    content = bytearray((tmp_path / "shd_train.h5").read_bytes())
    content[place : place + 4] = b"\xff" * 4
    (tmp_path / "shd_train.h5").write_bytes(content)
    with pytest.raises(DataError, match=r"shd_train.h5: expected names in extra/keys"):
        SHD(tmp_path)


def test_both_are_found_by_their_names():
    assert (DATASETS["shd"], DATASETS["ssc"]) == (SHD, SSC)
