"""The leaky neurons of the catalogue are elementwise: each runs in a kernel, forward and back, as on tensors."""

import kernel_networks
import numpy as np
import pytest
import torch
from kernel_networks import Case, Kind, Wire, on_both_paths

import spikeloom as sl
from spikeloom.neurons import (
    ALIF,
    CLIF,
    CLIF2K,
    GLIF5,
    IFB,
    LIF,
    LIFM,
    NEURONS,
    PCLIF,
    PLIF,
    AdaptiveCLIF,
    ALIFSTDPEx,
    ConductanceLIF,
    ConstantCurrentLIF,
    CubaLIF,
    DiehlAndCook,
    Emission,
    Gaussian,
    IFSoftReset,
    LIFInt,
    LIFSTDPEx,
    LIFSTDPIh,
    NonSpikingIFB,
    NonSpikingLIF,
    Null,
    Subtract,
    with_refractory,
)

GLIF_TRAINED = ("c_m", "r", "v_rest", "theta_inf", "k_1", "a_v", "b_v", "f_v", "delta_v", "b_s", "delta_i_1", "f_2")
SUBTRACTED = Emission(surrogate=Gaussian(), reset=Subtract())
TWO_PORTS = (("g_exc", sl.LowPass(tau=5.0)), ("g_inh", sl.LowPass(tau=2.0)))
OWN = {
    "if_soft_reset": Kind(lambda n: IFSoftReset(constant_decay=0.02), ("constant_decay", "v_th")),
    "ifb": Kind(lambda n: IFB(bias=0.05), ("bias", "v_th", "v_reset")),
    "non_spiking_ifb": Kind(lambda n: NonSpikingIFB(bias=0.05), ("bias",)),
    "plif": Kind(lambda n: PLIF(), ("w", "v_th", "v_reset"), gain=2.0),
    "plif, one each": Kind(lambda n: PLIF(w=np.linspace(-1, 1, n), scale_input=False), ("w",)),
    "alif": Kind(lambda n: ALIF(tau_a=np.linspace(5, 50, n)), ("tau_m", "tau_a", "beta", "v_th")),
    "cubalif": Kind(
        lambda n: CubaLIF(tau_m=np.linspace(2, 8, n)), ("tau_m", "tau_syn", "r", "w_in", "v_rest", "v_th"), gain=10.0
    ),
    "lifm": Kind(lambda n: LIFM(), ("tau_m", "tau_p", "v_th")),
    "constant_current_lif": Kind(lambda n: ConstantCurrentLIF(tau_m=4.0), ("tau_m", "v_th"), gain=4.0),
    "non_spiking_lif": Kind(lambda n: NonSpikingLIF(), ("v_0", "tau_m", "tau_p", "tau_q")),
    "null": Kind(lambda n: Null()),
    "clif2k": Kind(lambda n: CLIF2K(), ("v_0", "tau_m", "tau_s", "v_th"), gain=3.0),
    "pclif": Kind(lambda n: PCLIF(), ("tau_m", "tau_s", "v_th"), gain=3.0),
    "aclif": Kind(lambda n: AdaptiveCLIF(), ("v_0", "tau_a", "beta_adaptive"), gain=3.0),
    "glif5": Kind(lambda n: GLIF5(c_m=3.0), GLIF_TRAINED, gain=5.0),
    "lifint": Kind(lambda n: LIFInt(thresh=3.0, reset_refrac=2.0), gain=8.0),
    "diehl_and_cook": Kind(lambda n: DiehlAndCook(thresh_plus=5.0, max_threshold=220.0), gain=3000.0),
    "lifstdp_ex": Kind(
        lambda n: LIFSTDPEx(), ("decay_v", "decay_th", "th_inc", "v_th", "v_rest", "v_reset"), gain=15.0
    ),
    "alifstdp_ex": Kind(lambda n: ALIFSTDPEx(), ("decay_v", "th_inc", "v_th", "v_rest", "v_reset"), gain=3.0),
    "lifstdp_ih": Kind(lambda n: LIFSTDPIh(), ("decay_v", "v_th", "v_rest"), gain=15.0),
    "refractory lif": Kind(lambda n: with_refractory(LIF(emission=SUBTRACTED), 2.0), ("tau_m", "v_th")),
    "refractory clif": Kind(lambda n: with_refractory(CLIF(), np.linspace(0, 4, n)), ("v_0", "tau_m"), gain=3.0),
    "refractory alif": Kind(lambda n: with_refractory(ALIF(), 2.0), ("tau_a", "beta")),
    "refractory two ports": Kind(lambda n: with_refractory(ConductanceLIF(), 2.0), ("tau_m", "e_exc"), TWO_PORTS),
}
SILENT = ("non_spiking_ifb", "non_spiking_lif", "null")


@pytest.fixture(autouse=True)
def _with_own_kinds(monkeypatch):
    monkeypatch.setattr(kernel_networks, "KINDS", dict(kernel_networks.KINDS) | OWN)


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("looped", [False, True], ids=["forward", "loop"])
def test_a_neuron_of_the_catalogue_equals_the_torch_path(kind, looped):
    wires = [Wire(-1, 0, k, bias=True) for k in range(len(OWN[kind].inlets))] + [Wire(0, 0, delay=1)] * looped
    case = Case(11, ((kind, 13),), tuple(wires), steps=30, samples=6, later=4, input_grad=True, reads=(0,))
    wanted = on_both_paths(case)
    if kind not in SILENT:
        assert 0.01 < wanted["0 read0_spikes"].mean() < 0.9
    gradients = {name: value for name, value in wanted.items() if "gradient of" in name}
    assert len([name for name in gradients if name.startswith("0 gradient of layer0")]) == len(OWN[kind].trains)
    assert all(value.any() for value in gradients.values())


def test_every_neuron_made_here_is_one_of_the_registry():
    made = {type(kind.make(3)) for name, kind in OWN.items() if "refractory" not in name}
    assert made <= {NEURONS[name] for name in NEURONS}
    assert len(made) == 19


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("path", ["auto", "torch"])
def test_whole_numbers_stay_exact_in_either_real_type_on_either_path(path, dtype):
    """Diehl and Cook's neuron against int64, at the largest inputs and below zero."""
    n, n_steps = 8, 400
    weights = np.random.default_rng(0).integers(-32767, 32767, (n, 5))
    x = np.random.default_rng(1).random((n_steps, 1, 5)) < 0.25
    net = sl.Network()
    net.x = sl.Encoder(5, coding_method="null")
    net.a = sl.NeuronGroup(n, "diehlandcook")
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=weights)
    net.v, net.thresh = sl.StateMonitor(net.a, "v"), sl.StateMonitor(net.a, "thresh")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=dtype, path=path))
    net.x(x.swapaxes(0, 1).astype(float))
    net.run(float(n_steps))
    assert net.plan.blocks[0].path == ("kernel path" if path == "auto" else "torch path")
    v, thresh, rest = (np.full(n, k, dtype=np.int64) for k in (0, 213, 0))
    for t in range(n_steps):
        i = np.clip(weights @ x[t, 0], -32767, 32767)
        thresh = np.where(thresh > 4915, thresh >> 1, thresh)
        v = ((1013 * v) >> 10) + np.where(rest > 0, 0, (154 * i) >> 10)
        rest = rest - 1
        fired = v > thresh
        v, rest, thresh = np.where(fired, 0, v), np.where(fired, 5, rest), thresh + 66 * fired
        v = np.maximum(v, -32767)
        np.testing.assert_array_equal(net.v.values[0, :, t], v)
        np.testing.assert_array_equal(net.thresh.values[0, :, t], thresh)
    assert thresh.max() > 1000
    assert v.min() < -1000
