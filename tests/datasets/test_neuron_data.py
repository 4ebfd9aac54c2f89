import contextlib
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.datasets import NeuronData, read_neuron_data, write_neuron_data
from spikeloom.errors import DataError, ParameterError, ShapeError

SPIKES = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]], dtype=torch.int8)
POTENTIAL = torch.arange(12.0).reshape(4, 3)


def saved(folder, content, name="d.pt"):
    path = folder / name
    torch.save(content, path)
    return path


def repacked(path, change, compression=zipfile.ZIP_STORED):
    """The file with members changed: change(name, content) gives the new content."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))
    return path


def test_what_torch_saved_is_read(tmp_path):
    content = {"spikes": SPIKES, "membrane_potential": POTENTIAL, "attention": torch.ones(2, 5, 5, dtype=torch.float16)}
    data = read_neuron_data(saved(tmp_path, content))
    assert torch.equal(data.spikes, SPIKES)
    assert torch.equal(data["membrane_potential"], POTENTIAL)
    assert data["attention"].shape == (2, 5, 5)
    assert repr(data) == "NeuronData(spikes (4, 3), membrane_potential (4, 3), attention (2, 5, 5))"
    with pytest.raises(DataError, match="there is no 'weights'; it has spikes"):
        data["weights"]


def test_spikes_become_one_sample_on_the_grid(tmp_path):
    spikes = read_neuron_data(saved(tmp_path, {"spikes": SPIKES})).to_spikes(0.5)
    assert (len(spikes), spikes.shape, spikes.n_steps, spikes.dt) == (1, (3,), 4, 0.5)
    assert spikes.step.tolist() == [0, 1, 3, 3]
    assert spikes.ids.tolist() == [1, 0, 1, 2]


@settings(max_examples=20, deadline=None)
@given(shape=st.tuples(st.integers(1, 20), st.integers(1, 20)), seed=st.integers(0, 99))
def test_what_is_written_is_read_again_by_us_and_by_torch(tmp_path_factory, shape, seed):
    path = tmp_path_factory.getbasetemp() / "round.pt"
    spikes = np.random.default_rng(seed).integers(0, 2, shape).astype(np.int8)
    write_neuron_data(path, {"spikes": spikes, "membrane_potential": torch.zeros(shape).T.contiguous().T})
    assert np.array_equal(read_neuron_data(path).spikes.numpy(), spikes)
    assert np.array_equal(torch.load(path, weights_only=True)["spikes"].numpy(), spikes)


def test_a_view_is_written_without_the_memory_behind_it(tmp_path):
    write_neuron_data(tmp_path / "v.pt", {"spikes": torch.zeros(1000, 1000, dtype=torch.int8)[:2, :3]})
    assert (tmp_path / "v.pt").stat().st_size < 10_000
    write_neuron_data(tmp_path / "w.pt", read_neuron_data(tmp_path / "v.pt"))
    assert (tmp_path / "w.pt").stat().st_size < 10_000


def test_transposed_spikes_are_told_and_read_when_asked(tmp_path):
    path = saved(tmp_path, {"spikes": SPIKES.T.contiguous(), "membrane_potential": POTENTIAL})
    with pytest.raises(ShapeError, match="one of them seems to be transposed, see transposed="):
        read_neuron_data(path)
    path = saved(tmp_path, {"spikes": SPIKES.T.contiguous(), "membrane_potential": POTENTIAL.T.contiguous()})
    assert torch.equal(read_neuron_data(path, transposed=True).spikes, SPIKES)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"membrane_potential": POTENTIAL}, DataError, "the key 'spikes', got membrane_potential"),
        (SPIKES, DataError, "expected a dictionary of tensors, got Tensor"),
        ([SPIKES], DataError, "expected a dictionary of tensors, got list"),
        ({"spikes": SPIKES, "n": 3}, DataError, "expected tensors by name, got int as 'n'"),
        ({"spikes": SPIKES, 3: SPIKES}, DataError, "expected tensors by name"),
        ({"spikes": SPIKES[0]}, ShapeError, r"spikes must have shape \(T, N\), got \(3,\)"),
        ({"spikes": SPIKES[:0]}, ShapeError, r"spikes must have shape \(T, N\)"),
        ({"spikes": SPIKES * 0.5}, DataError, r"\.pt: spikes must be 0 or 1, got others in torch\.float32"),
        ({"spikes": SPIKES / 0}, DataError, r"spikes must be 0 or 1, got others"),
        ({"spikes": SPIKES * 2}, DataError, r"raster\[0, 1\] must be 0 or 1, got 2"),
        ({"spikes": SPIKES, "membrane_potential": POTENTIAL[:2]}, ShapeError, "must have the shape of spikes"),
        ({"spikes": torch.zeros(1, 1, dtype=torch.int8).expand(10**6, 10**6)}, DataError, "more than is stored"),
        ({"spikes": SPIKES, "a": torch.zeros(1).expand(10**12)}, DataError, "'a' claims shape"),
        ({"spikes": SPIKES.to_sparse()}, DataError, "expected tensors alone, its pickle names"),
        ({"spikes": SPIKES, "a": bytearray(9)}, DataError, "its pickle names builtins bytearray|expected tensors"),
        ({"spikes": SPIKES, "a": torch.empty(3, device="meta")}, DataError, "its pickle names"),
    ],
)  # fmt: skip
def test_other_content_is_refused(tmp_path, content, error, message):
    with pytest.raises(error, match=message):
        read_neuron_data(saved(tmp_path, content))


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def test_a_pickle_that_would_run_something_is_refused_and_does_not_run(tmp_path, capsys):
    with pytest.raises(DataError, match=r"its pickle names (__builtin__|builtins) print"):
        read_neuron_data(saved(tmp_path, {"spikes": Harm()}))
    path = saved(tmp_path, {"spikes": SPIKES})
    evil = pickle.dumps(Harm(), protocol=4)
    repacked(path, lambda name, content: evil if name.endswith("data.pkl") else content)
    with pytest.raises(DataError, match="its pickle names STACK_GLOBAL"):
        read_neuron_data(path)
    assert capsys.readouterr().out == ""


def test_a_tensor_that_claims_more_than_its_record_is_refused(tmp_path):
    path = saved(tmp_path, {"spikes": SPIKES})
    # 12 elements (K 0x0c) of shape 4 x 3 become 255 of 15 x 15.
    lie = [(b"K\x0c", b"K\xff"), (b"K\x04K\x03\x86", b"K\x0fK\x0f\x86")]

    def change(name, content):
        for old, new in lie if name.endswith("data.pkl") else []:
            assert old in content
            content = content.replace(old, new)
        return content

    with pytest.raises(DataError, match="expected a file of tensors, got a damaged one"):
        read_neuron_data(repacked(path, change))


def test_a_compressed_file_an_old_one_and_one_beyond_the_limit_are_refused(tmp_path):
    path = saved(tmp_path, {"spikes": SPIKES})
    with pytest.raises(DataError, match="at most 100 bytes"):
        read_neuron_data(path, max_bytes=100)
    with pytest.raises(DataError, match="nothing compressed"):
        read_neuron_data(repacked(path, lambda _, content: content, zipfile.ZIP_DEFLATED))
    torch.save({"spikes": SPIKES}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match=r"old\.pt: expected a \.pt file as torch has written them since 1\.6"):
        read_neuron_data(tmp_path / "old.pt")
    with pytest.raises(DataError, match="there is none"):
        read_neuron_data(tmp_path / "none.pt")


def test_a_zip_file_over_several_disks_is_refused(tmp_path):
    path = saved(tmp_path, {"spikes": SPIKES})
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    path.write_bytes(content[:end] + b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 2) + content[end:])
    with pytest.raises(DataError, match=r"whole zip file, got a damaged one .*multiple disks"):
        read_neuron_data(path)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float32, torch.float64])
def test_spikes_of_another_type_are_read_where_nothing_is_lost(tmp_path, dtype):
    data = read_neuron_data(saved(tmp_path, {"spikes": SPIKES.to(dtype), "membrane_potential": POTENTIAL}))
    assert data.spikes.dtype == torch.int8
    assert torch.equal(data.spikes, SPIKES)


def test_only_good_data_are_written(tmp_path):
    with pytest.raises(DataError, match="write_neuron_data: expected a dictionary"):
        write_neuron_data(tmp_path / "a.pt", {"voltage": POTENTIAL})
    with pytest.raises(ParameterError, match=r"dtype torch\.int8"):
        NeuronData({"spikes": POTENTIAL})
    assert not (tmp_path / "a.pt").exists()


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 5000), bit=st.integers(0, 7), cut=st.integers(0, 5000))
def test_a_flipped_bit_or_a_cut_gives_data_or_one_of_our_errors_and_nothing_else(tmp_path_factory, place, bit, cut):
    memory = io.BytesIO()
    torch.save({"spikes": SPIKES, "membrane_potential": POTENTIAL}, memory)
    content = bytearray(memory.getvalue())
    content[place % len(content)] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "hurt.pt"
    for hurt in (bytes(content), memory.getvalue()[: cut % len(content)]):
        path.write_bytes(hurt)
        with contextlib.suppress(DataError, ShapeError, ParameterError):
            assert isinstance(read_neuron_data(path), NeuronData)
