"""The catalogue's elementwise models give in kernels what they give on tensors; the coupled ones say why not."""

import kernel_networks
import pytest
import torch
from kernel_networks import Case, Kind, Wire, on_both_paths

import spikeloom as sl
from spikeloom.errors import UnsupportedError
from spikeloom.kernels import Inlet, TraceError, trace
from spikeloom.neurons import (
    NEURONS,
    AdEx,
    BalancedResonateAndFire,
    ConductanceLIF,
    ExponentialIF,
    HodgkinHuxley,
    Izhikevich,
    MeanField,
    ResonateAndFire,
    UltraLIF,
)

SLOW, FAST = sl.LowPass(tau=5.0), sl.LowPass(tau=2.0)
MODELS = {
    "izhikevich": Kind(lambda n: Izhikevich(), ("a", "b", "c", "d", "v_th"), gain=40.0),
    "exponential_if": Kind(lambda n: ExponentialIF(), ("c_m", "g_l", "v_rest", "v_th", "delta_t"), gain=2.0),
    "adex": Kind(
        lambda n: AdEx(v_peak=-30.0), ("c_m", "g_l", "a", "b", "tau_w", "v_reset"), ((None, SLOW),), gain=900.0
    ),
    "hodgkin_huxley": Kind(lambda n: HodgkinHuxley(), ("c_m", "g_na", "g_k", "e_l", "v_rest"), gain=60.0),
    "conductance_lif": Kind(
        lambda n: ConductanceLIF(), ("tau_m", "e_exc", "e_inh", "v_reset"), (("g_exc", SLOW), ("g_inh", FAST))
    ),
    "resonate_and_fire": Kind(lambda n: ResonateAndFire(), ("b", "omega", "v_th")),
    "balanced_resonate_and_fire": Kind(
        lambda n: BalancedResonateAndFire(), ("omega", "b_offset", "gamma"), gain=2000.0
    ),
    "meanfield": Kind(lambda n: MeanField(tau=3.0), ("tau", "rho"), (("i_syn", None), ("i_ext", None)), ("spikes",)),
    "ultralif": Kind(lambda n: UltraLIF(), ("log_eps", "tau", "v_th")),
}


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    monkeypatch.setattr(kernel_networks, "KINDS", kernel_networks.KINDS | MODELS)


@pytest.mark.parametrize("looped", [False, True], ids=["forward", "loop"])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_the_catalogue_equals_the_torch_path(model, looped):
    kind = MODELS[model]
    wires = [Wire(-1, 0, k, bias=True) for k in range(len(kind.inlets))] + [Wire(0, 0, delay=1)] * looped
    case = Case(11, ((model, 13),), tuple(wires), steps=14, samples=5, later=3, input_grad=True, reads=(0,))
    wanted = on_both_paths(case)
    assert wanted["0 read0_spikes"].any()
    trained = {name for name in wanted if name.startswith("0 gradient of layer0")}
    assert len(trained) == len(kind.trains)
    assert all(wanted[name].any() for name in trained)
    assert all(value.isfinite().all() for value in wanted.values())


ELEMENTWISE = [name for name in NEURONS if not NEURONS[name].coupled]
COUPLED = [name for name in NEURONS if NEURONS[name].coupled]


@pytest.mark.parametrize("name", COUPLED)
def test_a_coupled_model_is_refused_with_what_couples_it(name):
    model = NEURONS[name]
    with pytest.raises(TraceError, match=f"{model.__name__} cannot become a kernel: it is coupled, {model.coupled}"):
        trace(model().sized((4,)), [Inlet(model.ports[0])], (4,))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_other_model_of_the_registry_can_be_traced(name):
    model = NEURONS[name]
    step = trace(model(), [Inlet(port) for port in model.ports])
    assert step.n_inlets == len(model.ports)
    assert model.matrices == ()


def test_an_elementwise_model_has_no_matrix():
    with pytest.raises(UnsupportedError, match="Izhikevich has no matrix 'w'"):
        Izhikevich().matrix("w", (3,))


def test_in_float_nothing_of_a_spike_overflows():
    for model in ("adex", "exponential_if", "izhikevich", "hodgkin_huxley"):
        for path in ("auto", "torch"):
            net = sl.Network()
            net.x = sl.Encoder(3, coding_method="constant_current")
            net.a = sl.NeuronGroup(3, model)
            net.c = sl.Connection(net.x, net.a, link_type="one_to_one", weight=[1.0, 1e3, -1e5])
            net.v, net.s = sl.StateMonitor(net.a, "v"), sl.SpikeMonitor(net.a)
            net.set_backend(sl.TorchBackend(dt=0.1, dtype=torch.float32, path=path))
            net.x(torch.full((1, 3), 900.0))
            net.run(20.0)
            assert torch.tensor(net.v.values).isfinite().all(), (model, path)
            assert net.s.spk_count[0, 0] > 0, (model, path)
