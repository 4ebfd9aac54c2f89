"""Instruction-set levels: what this processor has, which one is in use, what kernels make of it."""

import numpy as np
import pytest

from spikeloom import native
from spikeloom.errors import ParameterError
from spikeloom.native import cache, levels, library

WIDTH = """
#include "spikeloom/simd.hpp"
SPIKELOOM_EXPORT void width(int64_t* bytes) { *bytes = spikeloom::vector_bytes; }
"""
SUPPORTS = """
#include <stdint.h>
extern "C" __attribute__((visibility("default"))) void supports(int64_t* has) {
  __builtin_cpu_init();
  has[0] = __builtin_cpu_supports("x86-64-v2") != 0;
  has[1] = __builtin_cpu_supports("x86-64-v3") != 0;
  has[2] = __builtin_cpu_supports("x86-64-v4") != 0;
}
"""


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch, tmp_path):
    """No level is asked for, and the cache is empty."""
    monkeypatch.delenv(levels.SETTING, raising=False)
    monkeypatch.setenv(cache.SETTING, str(tmp_path))
    library._load.cache_clear()


def test_the_best_level_is_in_use():
    assert native.level() == native.available()[0]
    assert native.available()[-1] == "portable"


@pytest.mark.skipif(not levels.is_x86(), reason="only x86 has these levels")
def test_the_levels_are_those_that_the_compiler_s_own_check_finds():
    has = np.zeros(3, np.int64)
    native.load(SUPPORTS, "portable").call("supports", has)
    found = [name for name, there in zip(("x86-64-v2", "x86-64-v3", "x86-64-v4"), has, strict=True) if there]
    assert list(native.available()) == [*reversed(found), "portable"]


@pytest.mark.parametrize("level", native.available())
def test_kernels_of_a_level_use_its_registers(level):
    width = np.zeros(1, np.int64)
    with native.using(level):
        native.load(WIDTH).call("width", width)
    assert width[0] == {"x86-64-v4": 64, "x86-64-v3": 32}.get(level, 16)


def test_another_level_is_in_use_within_the_block_only():
    best = native.level()
    with native.using("portable"):
        assert native.level() == "portable"
        with native.using(best):
            assert native.level() == best
        assert native.level() == "portable"
    with pytest.raises(ZeroDivisionError), native.using("portable"):
        raise ZeroDivisionError
    assert native.level() == best


def test_the_environment_can_ask_for_a_level_and_a_block_wins_over_it(monkeypatch):
    monkeypatch.setenv(levels.SETTING, "portable")
    assert native.level() == "portable"
    with native.using(native.available()[0]):
        assert native.level() == native.available()[0]


def test_a_level_that_is_not_there_is_refused_with_those_that_are(monkeypatch):
    with pytest.raises(ParameterError, match=r"'x86-64-v9' .* there is: .*portable"), native.using("x86-64-v9"):
        pass
    monkeypatch.setenv(levels.SETTING, "sse")
    with pytest.raises(ParameterError, match=r"'sse' .*SPIKELOOM_LEVEL"):
        native.level()


V2 = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} abm avx2 bmi1 bmi2 f16c fma movbe"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("aarch64", V4, []),
        ("x86_64", "fpu sse sse2", []),
        ("x86_64", V2, ["x86-64-v2"]),
        ("x86_64", V3.replace("fma", ""), ["x86-64-v2"]),
        ("x86_64", V3, ["x86-64-v3", "x86-64-v2"]),
        ("x86_64", V4.replace("avx512vl", ""), ["x86-64-v3", "x86-64-v2"]),
        ("AMD64", V4, ["x86-64-v4", "x86-64-v3", "x86-64-v2"]),
    ],
)
def test_a_level_needs_all_its_instructions(machine, flags, expected, monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
    monkeypatch.setattr(levels.platform, "machine", lambda: machine)
    monkeypatch.setattr(levels, "CPU_INFO", tmp_path / "cpuinfo")
    assert levels.available.__wrapped__() == (*expected, "portable")
