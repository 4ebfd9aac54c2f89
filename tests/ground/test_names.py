"""Look-up of names: folding, synonyms, suggestions, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.backends import TorchBackend
from spikeloom.errors import ParameterError, UnknownNameError
from spikeloom.network import BACKENDS, CODINGS, DECODINGS, INITIALIZERS, LINKS
from spikeloom.neurons import FORWARDS, NEURONS, RESETS, SURROGATES
from spikeloom.registry import Registry, canonical, did_you_mean, resolve_keywords
from spikeloom.synonyms import SYNONYMS, folded
from spikeloom.training import ALGORITHMS, OPTIMIZERS, SCHEDULES

REGISTRIES = [
    BACKENDS, CODINGS, DECODINGS, INITIALIZERS, LINKS, FORWARDS, NEURONS, RESETS, SURROGATES, ALGORITHMS, OPTIMIZERS,
    SCHEDULES,
]  # fmt: skip
LATER = {("neuron model", "izhikevich"), ("neuron model", "adex")}


@pytest.mark.parametrize("spelling", ["v_th", "V_th", "Vth", "VTH", "v-th", "v th", "vthresh", "threshold"])
def test_every_spelling_of_a_parameter_is_one_name(spelling):
    assert canonical("neuron parameter", spelling, ["tau_m", "v_th"]) == "v_th"


@given(st.text("abV_- ", max_size=8))
def test_folding_twice_is_folding_once(name):
    assert folded(folded(name)) == folded(name)


def test_an_exact_name_wins_over_a_synonym():
    assert canonical("observable", "S", ["spikes", "s"]) == "s"
    assert canonical("observable", "S", ["spikes", "v"]) == "spikes"


def test_a_synonym_of_one_kind_is_none_of_another():
    assert canonical("link type", "dense", ["full"]) == "full"
    assert canonical("encoding", "dense", ["full"]) is None


def test_a_synonym_of_a_name_that_is_not_known_is_none():
    assert canonical("neuron parameter", "tau", ["v_th"]) is None


def test_a_near_name_is_suggested_in_its_own_spelling():
    assert did_you_mean("tau_n", ["tau_m", "v_th"]) == "; did you mean 'tau_m'?"
    assert did_you_mean("VRESTT", ["v_rest"]) == "; did you mean 'v_rest'?"
    assert did_you_mean("qqqq", ["tau_m"]) == "."


def test_keywords_come_back_under_their_canonical_names():
    given_ = {"tauM": 8, "V_th": 1.5}
    assert resolve_keywords("group", "neuron parameter", given_, iter(["tau_m", "v_th"])) == {"tau_m": 8, "v_th": 1.5}
    assert given_ == {"tauM": 8, "V_th": 1.5}


def test_an_unknown_keyword_names_owner_suggestion_and_what_there_is():
    with pytest.raises(
        ParameterError, match=r"group 'a': unknown parameter 'tau_n'; did you mean 'tau_m'\? It has: tau_m, v_th"
    ):
        resolve_keywords("group 'a'", "neuron parameter", {"tau_n": 1}, ["tau_m", "v_th"])
    with pytest.raises(ParameterError, match=r"unknown parameter 'x'\. It has: none"):
        resolve_keywords("coding", "coding option", {"x": 1}, [])


def test_a_keyword_in_two_spellings_was_given_twice():
    with pytest.raises(ParameterError, match=r"parameter 'v_th' was given twice, once as 'threshold'"):
        resolve_keywords("group", "neuron parameter", {"Vth": 1, "threshold": 2}, ["v_th"])


@pytest.fixture
def registry():
    registry = Registry("surrogate")
    registry.add("arctan", 1)
    registry.add("late", "math:tau")
    return registry


def test_a_registry_finds_any_spelling_and_synonym(registry):
    assert registry["ArcTan"] == registry["atan"] == registry["arc_tan"] == 1
    assert registry.name_of("ATAN") == "arctan"
    assert "atan" in registry
    assert "gaussian" not in registry
    assert 3 not in registry
    assert list(registry) == ["arctan", "late"]


def test_a_name_that_is_a_text_of_numpy_becomes_a_plain_one(registry):
    assert type(registry.name_of(np.str_("arctan"))) is str


def test_an_entry_given_as_text_is_imported_when_asked_for(registry):
    assert registry["late"] == math.tau


def test_an_unknown_name_is_told_with_a_suggestion_and_the_known_ones(registry):
    with pytest.raises(UnknownNameError, match=r"unknown surrogate 'arctam'; did you mean 'arctan'\? Known: arctan"):
        registry["arctam"]
    with pytest.raises(UnknownNameError, match="did you mean 'atangrad'"):
        registry["atangradd"]


@pytest.mark.parametrize("name", [None, 3, ["arctan"], ("arctan", "late")])
def test_a_name_that_is_no_text_is_refused_with_the_choices(registry, name):
    with pytest.raises(UnknownNameError, match=r"surrogate must be a name \(one of: arctan, late\), got"):
        registry[name]


@pytest.mark.parametrize("taken", ["arctan", "ARC_TAN", "atan"])
def test_a_name_that_is_taken_in_any_spelling_cannot_be_added(registry, taken):
    with pytest.raises(ParameterError, match="already registered"):
        registry.add(taken, 2)
    assert registry["arctan"] == 1


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: r.kind)
def test_every_entry_of_every_registry_can_be_had(registry):
    assert all(callable(registry[name]) for name in registry)
    assert all(registry.name_of(name.upper()) == name for name in registry)


def test_the_torch_backend_has_the_names_of_the_seeds():
    assert all(BACKENDS[name] is TorchBackend for name in ("torch", "Torch", "PyTorch", "pytorch", "Torch_Backend"))


@pytest.mark.parametrize("kind", SYNONYMS)
def test_no_synonym_is_a_mere_spelling_of_its_target_or_leads_to_another_synonym(kind):
    table = SYNONYMS[kind]
    assert all(folded(a) == a for a in table), "left sides are compared folded; write them so"
    assert all(folded(a) != folded(b) for a, b in table.items()), "folding finds this one already"
    own = {folded(p) for m in NEURONS for p in NEURONS[m].parameters()} if kind == "neuron parameter" else set()
    assert not {folded(b) for b in table.values()} & set(table) - own  # a model's own name comes before a synonym


@pytest.mark.parametrize("registry", [r for r in REGISTRIES if r.kind in SYNONYMS], ids=lambda r: r.kind)
def test_every_synonym_of_a_registry_leads_to_an_entry(registry):
    missing = {(registry.kind, t) for t in SYNONYMS[registry.kind].values() if t not in registry}
    assert missing <= LATER


@pytest.mark.parametrize("registry", [r for r in REGISTRIES if r.kind in SYNONYMS], ids=lambda r: r.kind)
def test_no_synonym_hides_behind_an_entry_of_the_same_name(registry):
    assert not {folded(n) for n in registry} & set(SYNONYMS[registry.kind])


def test_every_synonym_of_a_neuron_parameter_leads_to_a_parameter_of_a_model():
    known = {p for name in NEURONS for p in NEURONS[name].parameters()} | {"t_ref"}  # any that spikes has it
    assert set(SYNONYMS["neuron parameter"].values()) <= known
