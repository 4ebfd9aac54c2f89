"""Saving and loading: nothing is lost, nothing is run, nothing is left half done."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file
from saved_networks import NETWORKS, answer, dense, image, looped, made, sparse, trained

import spikeloom as sl
from spikeloom.errors import (
    DataError,
    ParameterError,
    ShapeError,
    StateError,
    StorageError,
    UnknownNameError,
    UnsupportedError,
)
from spikeloom.Library import network_save as library_save
from spikeloom.network import describe
from spikeloom.Network_saver import network_load, network_save
from spikeloom.neurons import LIF, Gaussian


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("options", [{}, {"trans_format": "YML"}, {"combine": True}])
def test_a_loaded_network_gives_the_answers_of_the_saved_one(build, options):
    net = trained(made(build))
    expected = answer(net)
    assert expected.abs().sum() > 0
    loaded = sl.network_load(sl.network_save(net, "saved", **options))
    assert torch.equal(answer(loaded), expected)
    assert loaded.backend.dt == 1.0


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_loaded_network_is_saved_as_the_same_bytes(build, form, folder):
    net = trained(made(build))
    sl.network_save(net, "x", "first", form)
    sl.network_save(net, "x", "second", form)
    sl.network_save(sl.network_load("x", "first"), "x", "third", form)
    first, second, third = (contents(folder / name) for name in ("first", "second", "third"))
    assert len(first) == 2
    assert first == second == third


def test_both_text_formats_hold_the_same_values():
    net = made(looped)
    as_json = json.loads(Path(sl.network_save(net, "a", trans_format="Json")).read_text())
    as_yaml = yaml.safe_load(Path(sl.network_save(net, "b", trans_format="yaml")).read_text())
    assert as_json == as_yaml
    assert list(as_json["components"]) == list(as_yaml["components"]) == [c.path for c in net.walk()]


def test_numbers_survive_exactly():
    net = sl.Network()
    net.a = sl.NeuronGroup(2, model="lif", tau_m=0.1 + 0.2, v_rest=-1e-7, v_th=[1 / 3, 1e22])
    for form in ("json", "yaml"):
        neuron = sl.network_load(sl.network_save(net, form, trans_format=form)).a.neuron
        assert (neuron.tau_m, neuron.v_rest, *neuron.v_th) == (0.1 + 0.2, -1e-7, 1 / 3, 1e22)


def test_without_saving_the_description_comes_back_and_no_file_is_written(folder):
    net = made(looped)
    assert sl.network_save(net, save=False) == describe(net)
    assert set(sl.network_save(net, save=False, combine=True)["weights"]) == set(net.store)
    assert contents(folder) == {}


def test_an_optimizer_trains_what_was_loaded():
    net = sl.network_load(sl.network_save(made(looped), "x"))
    before = {name: value.copy() for name, value in net.store.arrays().items()}
    predict = answer(net)
    net.learner.optim_zero_grad()
    (predict.sum() + predict.square().sum()).backward()
    net.learner.optim_step()
    assert net.learner.optim.param_groups[0]["lr"] == 0.05
    assert tuple(net.learner.optim.param_groups[0]["betas"]) == (0.9, 0.99)
    assert net.learner.schedule.step_size == 10
    after = net.store.arrays()
    changed = {name for name in after if not np.array_equal(after[name], before[name].astype(np.float32))}
    assert changed == {"block.c1.weight", "block.c3.weight"}


def test_a_learner_comes_back_with_its_settings():
    net = made(looped)
    net.all = sl.Learner(trainable=[net, net.c4], algorithm="STCA", alpha=0.4)
    loaded = sl.network_load(sl.network_save(net, "x"))
    assert loaded.learner.surrogate == Gaussian(0.3)
    assert loaded.learner.trainable == [loaded.block]
    assert loaded.all.trainable == [loaded, loaded.c4]
    assert loaded.all.surrogate.alpha == 0.4


def test_a_network_saved_before_its_first_run_starts_from_the_same_weights():
    net = made(dense)
    loaded = sl.network_load(sl.network_save(net, "x"))
    assert torch.equal(answer(loaded), answer(net))


def test_without_weights_they_are_drawn_from_the_seed_and_need_not_be_there():
    net = made(image)
    file = sl.network_save(net, "x", save_weight=False)
    assert not Path("x/x.safetensors").exists()
    drawn = sl.network_load(file, load_weight=False).draw_parameters().arrays()
    assert all(np.array_equal(drawn[name], value) for name, value in net.store.arrays().items())
    with pytest.raises(DataError, match=r"x\.safetensors.*without weights"):
        sl.network_load(file)
    trained(net).set_random_seed(3)
    combined = sl.network_load(sl.network_save(net, "x", combine=True), load_weight=False)
    assert all(np.array_equal(value, drawn[name]) for name, value in combined.draw_parameters().arrays().items())


def test_files_lie_where_the_names_say_and_the_working_folder_stays(folder):
    net = made(dense)
    assert network_save(net, "net.v1.2", "deep/er") == str(Path("deep/er/net.v1.2/net.v1.2.json"))
    assert library_save(net, trans_format="yaml") == str(Path("net/net.yml"))
    assert net.save("by.method", combine=True) == str(Path("by.method/by.method.json"))
    both = {f"deep/er/net.v1.2/net.v1.2.{end}" for end in ("json", "safetensors")}
    assert set(contents(folder)) == both | {"net/net.yml", "net/net.safetensors", "by.method/by.method.json"}
    assert Path.cwd() == folder
    for wanted in (("net.v1.2", "deep/er"), (folder / "net",), ("by.method/by.method.json", folder)):
        assert describe(network_load(*wanted)) == describe(net)
    os.chdir("net")
    assert describe(network_load(".")) == describe(net)


def test_a_class_gives_its_name_to_a_network_without_one():
    class Example(sl.Network):
        pass

    net = Example()
    dense(net)
    assert net.save() == str(Path("Example/Example.json"))
    assert net.save_state() == "Example.safetensors"


def test_a_save_into_an_old_folder_replaces_it_and_two_descriptions_must_be_told_apart(folder):
    sl.network_save(made(sparse), "x")
    sl.network_save(made(dense), "x")
    assert describe(sl.network_load("x")) == describe(made(dense))
    sl.network_save(made(dense), "x", trans_format="yaml")
    with pytest.raises(DataError, match=r"x\.json, x\.yml"):
        sl.network_load("x")
    sl.network_load("x/x.yml")


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
@pytest.mark.parametrize("existed", [True, False])
def test_a_save_that_fails_leaves_everything_as_it_was(fails_at, existed, folder, monkeypatch):
    if existed:
        sl.network_save(made(dense), "x")
    before, replace, calls = contents(folder), os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == fails_at + 1:
            raise OSError("no space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(StorageError, match="no space"):
        sl.network_save(made(sparse), "x")
    assert contents(folder) == before
    assert len(calls) > fails_at


def test_a_network_that_cannot_be_saved_touches_no_file(folder):
    net = made(dense)
    sl.network_save(net, "x")
    before = contents(folder)
    net.learner = sl.Learner(trainable=net)
    net.learner.set_optimizer("Adam", 0.1)
    net.learner.set_schedule("LambdaLR", lr_lambda=lambda epoch: 0.9**epoch)
    with pytest.raises(UnsupportedError, match=r"components\.learner\.schedule\.lr_lambda"):
        sl.network_save(net, "x")
    assert contents(folder) == before


def _own_model(net: sl.Network) -> None:
    class Mine(LIF):
        pass

    net.mine = sl.NeuronGroup(2, model=Mine())


def _outside(net: sl.Network) -> None:
    net.lost = sl.Connection(sl.NeuronGroup(2, model="lif"), net.a, link_type="full")


def _outside_learner(net: sl.Network) -> None:
    net.learner = sl.Learner(trainable=sl.NeuronGroup(2, model="lif"))


def _own_component(net: sl.Network) -> None:
    class Mine(sl.NeuronGroup):
        pass

    net.mine = Mine(2, model="lif")


def _no_synapse(net: sl.Network) -> None:
    net.none = sl.Connection(net.input, net.a, link_type="sparse", weight=np.zeros((5, 6)))


@pytest.mark.parametrize(
    ("edit", "error", "match"),
    [
        (_own_model, UnsupportedError, "neuron model Mine"),
        (_own_component, UnsupportedError, "kind of component Mine"),
        (_outside, StateError, "'lost'.*pre .*not in the network"),
        (_outside_learner, StateError, "'learner' trains .*not in the network"),
        (_no_synapse, UnsupportedError, "'none' has no synapse"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(edit, error, match):
    net = made(dense)
    edit(net)
    with pytest.raises(error, match=match):
        sl.network_save(net, "x")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"trans_format": "jason"}, UnknownNameError, "did you mean 'json'"),
        ({"trans_format": None}, UnknownNameError, "one of: json"),
        ({"filename": ".."}, ParameterError, "filename"),
        ({"filename": "/"}, ParameterError, "filename"),
        ({"net": "x"}, ParameterError, "must be a Network"),
    ],
)
def test_wrong_arguments_of_a_save_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        sl.network_save(**({"net": made(dense)} | arguments))


@pytest.mark.parametrize(
    ("suffix", "text", "match"),
    [
        (".json", '{"format": "spikeloom.network", ', "cannot be read"),
        (".json", "", "cannot be read"),
        (".json", "[" * 100_000, "cannot be read"),
        (".json", "[" * 100 + "]" * 100, "description"),
        (".json", '{"dt": NaN}', "NaN"),
        (".json", '{"dt": 1, "dt": 2}', "stand once"),
        (".json", "\udcff", "cannot be read"),
        (".yml", "!!python/object/apply:os.system ['touch owned']", "tags"),
        (".yml", "!!python/name:os.system", "tags"),
        (".yml", "a: !!timestamp x", "tags"),
        (".yml", "a: &a [1]\nb: [*a, *a]", "aliases"),
        (".yml", "a: 1\na: 2", "stand once"),
        (".yml", "? [1]\n: 2", "stand once"),
        (".yml", "a: 2024-01-01", "finite number"),
        (".yml", "<<: {a: 1}", "cannot be read"),
        (".yml", "--- 1\n--- 2", "cannot be read"),
        (".yml", "[" * 5000, "cannot be read"),
        (".yml", "3", "no description"),
        (".yml", "", "no description"),
    ],
)
def test_text_that_is_no_description_is_refused_with_its_file(suffix, text, match, folder):
    file = folder / f"x{suffix}"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=match) as caught:
        sl.network_load(file)
    assert str(file) in str(caught.value)
    assert not (folder / "owned").exists()


def test_a_description_of_a_size_that_nobody_writes_is_not_read(folder, monkeypatch):
    monkeypatch.setattr("spikeloom.network.files.MAX_DESCRIPTION", 100)
    (folder / "x.json").write_text(" " * 101)
    with pytest.raises(DataError, match="at most 100 bytes"):
        sl.network_load("x.json")
    with pytest.raises(DataError, match="combine=False"):
        sl.network_save(made(dense), "y")


@pytest.mark.parametrize("name", ["nothing", "nothing.json", "empty", "x.txt"])
def test_a_name_without_a_network_is_refused(name, folder):
    (folder / "empty").mkdir()
    (folder / "x.txt").write_text("{}")
    with pytest.raises(DataError, match=name):
        sl.network_load(name)


# Weights.


def saved_weights(build) -> tuple[str, Path, dict[str, np.ndarray]]:
    file = sl.network_save(made(build), "x")
    weights = Path(file).with_suffix(".safetensors")
    return file, weights, load_file(weights)


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b + b"0", lambda b: b[:20], lambda b: b""])
def test_torn_and_lengthened_weights_are_refused(spoil):
    file, weights, _ = saved_weights(dense)
    weights.write_bytes(spoil(weights.read_bytes()))
    with pytest.raises(DataError, match=r"x\.safetensors.*torn"):
        sl.network_load(file)


def test_weights_of_a_type_that_numpy_lacks_are_refused():
    file, weights, arrays = saved_weights(dense)
    header = {
        name: {"dtype": "BF16", "shape": list(array.shape), "data_offsets": [0, 0]} for name, array in arrays.items()
    }
    end = 0
    for name, array in arrays.items():
        header[name]["data_offsets"] = [end, end := end + 2 * array.size]
    text = json.dumps(header).encode()
    weights.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    with pytest.raises(DataError, match=r"torn or not .*bfloat16"):
        sl.network_load(file)


@pytest.mark.parametrize(
    ("build", "edit", "match"),
    [
        (dense, lambda w: w.pop("c.weight"), "'c.weight' is missing"),
        (dense, lambda w: w.update({"c.wieght": w.pop("c.weight")}), "'c.wieght'; did you mean 'c.weight'"),
        (dense, lambda w: w.update({"c.weight": w["c.weight"].T.copy()}), r"'c.weight' must have shape \(5, 6\)"),
        (dense, lambda w: w.update({"c.weight": w["c.weight"].astype(int)}), "'c.weight' must hold real numbers"),
        (sparse, lambda w: w.update({"c.indices": w["c.indices"] + 99}), "'c.indices'"),
        (sparse, lambda w: w.update({"c.indices": w["c.indices"] - 99}), "'c.indices'"),
        (sparse, lambda w: w.update({"c.indices": w["c.indices"] * 1.0}), "'c.indices' must be int64"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(build, edit, match):
    file, weights, arrays = saved_weights(build)
    edit(arrays)
    save_file(arrays, weights)
    with pytest.raises(DataError, match=match):
        sl.network_load(file)
    net = made(build)
    before = net.draw_parameters().arrays()
    with pytest.raises((DataError, ParameterError, ShapeError), match=match):
        net.state_from_dict(arrays)
    assert all(np.array_equal(before[name], value) for name, value in net.store.arrays().items())


def test_a_state_holds_the_weights_alone_and_goes_back_in_place(folder):
    net = trained(made(looped))
    file = net.save_state("run.1", "states")
    assert file == str(Path("states/run.1.safetensors"))
    expected, kept = answer(net), net.save_state(save=False)
    tensors = dict(net.named_parameters())
    for parameter in net.parameters():
        parameter.data.mul_(0.1)
    assert not torch.equal(answer(net), expected)
    for wanted in ({"filename": file}, {"filename": "run.1", "direct": "states"}, {"state": kept}):
        trained(net).state_from_dict(**wanted)
        assert torch.equal(answer(net), expected)
        assert all(tensors[name] is value for name, value in net.named_parameters())
    assert list(contents(folder)) == ["states/run.1.safetensors"]


def test_a_state_goes_into_a_network_that_was_never_built_and_is_copied():
    net = trained(made(dense))
    other = made(dense)
    state = net.save_state(save=False)
    other.state_from_dict(state)
    state["c.weight"][:] = 0
    assert torch.equal(answer(other), answer(net))
    expected = answer(net)
    trained(trained(other))
    assert torch.equal(answer(net), expected)


@pytest.mark.parametrize("given", [{}, {"state": {}, "filename": "x"}, {"state": 3}])
def test_a_state_is_given_once_and_as_a_mapping(given):
    with pytest.raises(ParameterError, match="state_from_dict"):
        made(dense).state_from_dict(**given)


def test_a_missing_file_of_a_state_is_named():
    with pytest.raises(DataError, match=r"nowhere\.safetensors"):
        made(dense).state_from_dict(filename="nowhere")


@pytest.mark.parametrize("mode", [True, False])
def test_a_loaded_network_is_in_training_as_a_new_one_is(mode):
    net = made(dense).train(mode)
    again = network_load(network_save(net, "a"))
    assert again.training
    assert network_save(net, "b", save=False) == describe(made(dense).train(not mode))
    assert not again.eval().training
