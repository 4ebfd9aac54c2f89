"""Which test holds which of the exact properties that the methods of the papers rest on."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
HELD_BY = {
    "both schedules agree": "backends/test_schedule.py::test_both_schedules_give_equal_outputs_and_gradients",
    "rounded delays equal a ring buffer": "passes/test_round_delays.py::"
    "test_rounded_delays_equal_a_ring_of_currents_on_every_schedule",
    "filters equal lfilter": "filters/test_filters_against_scipy.py::test_low_pass_equals_lfilter",
    "gradients equal central differences": "conformance/test_conformance_credit.py::"
    "test_backpropagation_equals_central_differences_where_spikes_are_smooth",
    "SLTT is BPTT without a leak": "conformance/test_conformance_credit.py::"
    "test_sltt_equals_bptt_as_the_leak_goes_to_0",
    "memory of SLTT": "conformance/test_conformance_credit.py::"
    "test_what_sltt_keeps_does_not_depend_on_the_steps_and_what_bptt_keeps_is_proportional_to_them",
    "signed spikes": "passes/test_conversion.py::test_signed_spikes_count_out_the_quantised_network_exactly",
    "pairing": "plasticity/test_conventions.py::test_every_engine_gives_the_table",
    "signs and sums": "training/test_rules_in_networks.py::"
    "test_signed_weights_keep_their_sign_after_every_step_and_sums_are_exact_where_normalised",
    "equilibrium of FEAST": "recipes/test_feast.py::"
    "test_thresholds_keep_misses_where_theory_says_and_all_neurons_in_use",
    "detectors of patterns": "recipes/test_recipes.py::"
    "test_the_slack_of_homeostasis_sets_how_many_inputs_a_detector_can_miss",
    "excitation and inhibition": "conformance/test_conformance_ei.py::"
    "test_no_weight_is_negative_after_100_steps_and_a_sample_of_zeros_gives_finite_answers",
    "WKV": "conformance/test_conformance_wkv.py::test_keys_of_60_stay_finite_over_10_000_tokens_in_single_precision",
    "operations are counted": "analysis/test_costs.py::"
    "test_synaptic_operations_are_what_every_spike_causes_in_the_unrolled_weights",
    "borders of convolutions": "backends/test_described.py::"
    "test_a_convolution_reaches_less_from_its_border_and_stores_little",
    "HLOP": "training/test_protect.py::test_rows_become_orthonormal_and_what_is_learnt_then_leaves_the_old_task_alone",
    "CKA": "conformance/test_conformance_cka.py::test_cka_is_one_for_a_rotated_scaled_and_moved_copy",
    "Ultra": "conformance/test_conformance_ultra.py::"
    "test_as_eps_becomes_small_beside_the_inputs_the_dynamics_become_those_of_the_maximum",
}


@pytest.mark.parametrize("what", HELD_BY)
def test_the_property_has_its_test(what):
    path, name = HELD_BY[what].split("::")
    functions = {node.name for node in ast.parse((TESTS / path).read_text()).body if isinstance(node, ast.FunctionDef)}
    assert name in functions
