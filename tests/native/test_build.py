"""The kernels that come with the package: what is compiled, what the wheel holds, what `spikeloom info` says."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikeloom import native
from spikeloom.cli import main
from spikeloom.errors import CompilerError
from spikeloom.native import build, cache, compiler, levels, library

ROOT = Path(__file__).parents[2]
LIBRARIES = build.LIBRARIES
SIMD = """
#pragma once
#include <stdint.h>
#define SPIKELOOM_EXPORT extern "C" __attribute__((visibility("default")))
"""
TWICE = """
#include "spikeloom/simd.hpp"
SPIKELOOM_EXPORT void twice(int64_t* x) { *x *= 2; }
"""


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    """A package with the header twice.hpp, nothing built and an empty cache: its folder `native`."""
    monkeypatch.setattr(compiler, "HEADERS", tmp_path / "native" / "include")
    monkeypatch.setattr(compiler, "BUILT", tmp_path / "native" / "built")
    monkeypatch.setenv(cache.SETTING, str(tmp_path / "cache"))
    monkeypatch.delenv(compiler.COMPILER_SETTING, raising=False)
    include = tmp_path / "native" / "include" / "spikeloom"
    include.mkdir(parents=True)
    (include / "simd.hpp").write_text(SIMD)
    (include / "twice.hpp").write_text(TWICE)
    monkeypatch.setattr(build, "LIBRARIES", ("twice.hpp",))
    library._load.cache_clear()
    yield tmp_path / "native"
    library._load.cache_clear()


def built(messages=None):
    return build.build(build.sources(), [].append if messages is None else messages.append)


def test_every_header_that_the_package_loads_comes_compiled():
    loaded = re.compile(r'(?:\b(?:include|compiled)\(|\bHEADER = )"(\w+\.hpp)"')
    code = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    assert {header for text in code for header in loaded.findall(text)} == set(LIBRARIES)


def test_a_build_has_every_level_of_this_kind_of_processor_and_tells_its_progress(package):
    messages = []
    paths = built(messages)
    expected = ("x86-64-v4", "x86-64-v3", "x86-64-v2") if levels.is_x86() else ("portable",)
    assert build.targets() == expected
    assert paths == sorted((package / "built").iterdir())
    assert [p.stem for p in paths] == sorted(compiler.key(build.sources()[0], level) for level in expected)
    n = len(expected)
    assert messages[0].endswith(f"{n} to be compiled")
    assert messages[1:] == [f"kernels: {k} of {n} compiled" for k in range(1, n + 1)]


def test_what_was_built_is_loaded_without_a_compiler(monkeypatch, tmp_path):
    paths = built()
    monkeypatch.setenv(compiler.COMPILER_SETTING, "/nonexistent")
    x = np.array([21])
    loaded = native.load(native.include("twice.hpp"), build.targets()[-1])
    loaded.call("twice", x)
    assert x[0] == 42
    assert not (tmp_path / "cache").exists()
    assert built() == paths


def test_an_edited_header_is_compiled_into_the_cache_and_built_anew_by_the_next_build(package, tmp_path):
    old = built()
    (package / "include" / "spikeloom" / "twice.hpp").write_text(TWICE.replace("*= 2", "*= 3"))
    x = np.array([14])
    native.load(native.include("twice.hpp"), build.targets()[-1]).call("twice", x)
    assert x[0] == 42
    assert len(list((tmp_path / "cache" / "kernels").iterdir())) == 1
    new = built()
    assert len(new) == len(old)
    assert not set(new) & set(old)
    assert sorted((package / "built").iterdir()) == new


def test_only_what_is_missing_or_damaged_is_compiled():
    paths = built()
    untouched = {path: path.stat().st_mtime_ns for path in paths[1:]}
    paths[0].write_bytes(paths[0].read_bytes()[:1000])
    messages = []
    assert built(messages) == paths
    assert "1 to be compiled" in messages[0]
    assert cache.is_whole(paths[0])
    assert {path: path.stat().st_mtime_ns for path in paths[1:]} == untouched


def test_without_a_compiler_the_build_warns_and_gives_what_is_there(monkeypatch):
    monkeypatch.setenv(compiler.COMPILER_SETTING, "")
    messages = []
    assert built(messages) == []
    assert messages[-1].startswith("WARNING: no C++ compiler found")
    monkeypatch.delenv(compiler.COMPILER_SETTING)
    paths = built()
    paths[0].unlink()
    monkeypatch.setenv(compiler.COMPILER_SETTING, "")
    assert built() == paths[1:]


def test_a_header_that_the_compiler_refuses_stops_the_build(package):
    (package / "include" / "spikeloom" / "twice.hpp").write_text(TWICE + "NotAType x;")
    with pytest.raises(CompilerError, match="NotAType"):
        built()


def test_the_package_s_own_sources_are_the_same_in_every_process_and_need_only_what_the_build_requires():
    others = ["torch", "scipy", "sympy", "h5py", "matplotlib", "pydantic", "yaml", "rich", "sklearn", "typer"]
    program = (
        f"import sys; sys.modules |= dict.fromkeys({others}); sys.path.insert(0, sys.argv[1])\n"
        "import hatch_build\n"
        "print(hatch_build.sources())"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", program, str(ROOT)], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert printed[0] == printed[1]
    assert "#include" in printed[0]


@pytest.fixture
def tree(package, tmp_path):
    """A source tree of the project whose only kernels are those of twice.hpp."""
    root = tmp_path / "tree"
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("built", "include", "__pycache__"))
    shutil.copytree(package / "include", root / "src" / "spikeloom" / "native" / "include")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    hook = (ROOT / "hatch_build.py").read_text()
    assert hook.count("\nMODULES = (") == 1
    (root / "hatch_build.py").write_text(
        hook.replace("\nMODULES = (", '\nMODULES = ("spikeloom.native.build",)\n_ = (')
    )
    module = root / "src" / "spikeloom" / "native" / "build.py"
    module.write_text(re.sub(r"(?m)^LIBRARIES = \([^)]*\)", 'LIBRARIES = ("twice.hpp",)', module.read_text()))
    return root


def distributed(tree, target, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target], cwd=tree, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = (tree / "dist").iterdir()
    return made, done.stdout


def test_the_wheel_holds_kernels_and_headers_and_is_one_of_this_platform(tree):
    wheel, printed = distributed(tree, "wheel")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name.startswith("spikeloom-")
    assert "-py3-none-" in wheel.name
    assert not re.search("-any|manylinux|musllinux", wheel.name)
    keys = {f"spikeloom/native/built/{p.name}" for p in (tree / "src" / "spikeloom" / "native" / "built").iterdir()}
    assert len(keys) == len(build.targets())
    assert {name for name in names if name.endswith(".so")} == keys
    assert "spikeloom/native/include/spikeloom/twice.hpp" in names
    assert f"{len(keys)} of {len(keys)} compiled" in printed


def test_without_a_compiler_the_wheel_is_one_for_any_platform_and_the_build_says_so(tree):
    wheel, printed = distributed(tree, "wheel", CXX="")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    assert "WARNING: no C++ compiler found" in printed


def test_a_wheel_whose_kernels_are_refused_is_not_made_and_the_way_out_is_said(tree):
    header = tree / "src" / "spikeloom" / "native" / "include" / "spikeloom" / "twice.hpp"
    header.write_text(TWICE + "NotAType x;")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "NotAType" in done.stderr
    assert "CXX= pip install" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_source_distribution_holds_what_a_build_needs_and_nothing_compiled(tree):
    distributed(tree, "wheel")
    shutil.rmtree(tree / "dist")
    archive, _ = distributed(tree, "sdist")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"hatch_build.py", "pyproject.toml", "src/spikeloom/native/include/spikeloom/twice.hpp"} <= names
    assert not [name for name in names if name.endswith(".so")]


def info(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["info"])
    assert not stop.value.code
    return capsys.readouterr().out


def test_info_tells_level_compiler_kernels_and_cache(capsys, tmp_path, package, monkeypatch):
    built()
    compiler.find(native.include("twice.hpp"), "portable")
    version = subprocess.run([shutil.which("g++"), "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    monkeypatch.setenv(levels.SETTING, "portable")
    out = info(capsys)
    for words in (
        f"portable (also: {', '.join(levels.available()[:-1]) or 'none'})",
        f"{shutil.which('g++')}, {version}",
        f"{len(build.targets())} in {package / 'built'}",
        f"1 in {tmp_path / 'cache' / 'kernels'}",
        "torch path",
    ):
        assert words in out


def test_info_says_what_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv(compiler.COMPILER_SETTING, "")
    out = info(capsys)
    assert "none found; install g++" in out
    assert "none, as the package was built without a C++ compiler" in out
    assert f"none in {tmp_path / 'cache' / 'kernels'}" in out
    assert not (tmp_path / "cache").exists()


def test_info_says_that_a_cache_is_not_trusted(capsys):
    folder = compiler.cache_folder()
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert "not trusted: others can write to it" in info(capsys)
