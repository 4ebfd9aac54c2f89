"""The compile cache: what is found, what is compiled, and what happens where something is wrong with either."""

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spikeloom import native
from spikeloom.errors import CompilerError
from spikeloom.kernels.builtin import models
from spikeloom.native import build, cache, compiler, library

LEVEL = "portable"
INNER_BY_PATH = "#include <spikeloom/inner.hpp>"
SCALE = """
#ifndef FACTOR
#define FACTOR 3
#endif
#include <stdint.h>
extern "C" __attribute__((visibility("default"))) void scale(int64_t* x) { *x *= FACTOR; }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache, and nothing loaded so far."""
    monkeypatch.setenv(cache.SETTING, str(tmp_path / "cache"))
    monkeypatch.delenv(compiler.FLAGS_SETTING, raising=False)
    monkeypatch.delenv(compiler.COMPILER_SETTING, raising=False)
    library._load.cache_clear()
    yield compiler.cache_folder()
    library._load.cache_clear()


@pytest.fixture
def headers(tmp_path, monkeypatch):
    """The package's headers, as a copy that a test may edit."""
    shutil.copytree(compiler.HEADERS, tmp_path / "a folder" / "include")
    monkeypatch.setattr(compiler, "HEADERS", tmp_path / "a folder" / "include")
    return tmp_path / "a folder" / "include" / "spikeloom"


@pytest.fixture
def written_compiler(tmp_path, monkeypatch):
    """Sets CXX to a shell script; in it, $GXX is the true compiler."""

    def write(script):
        path = tmp_path / "bin with spaces" / "c++"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nGXX="{shutil.which("g++") or shutil.which("c++")}"\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setenv(compiler.COMPILER_SETTING, str(path))
        return path

    return write


def scaled(source=SCALE):
    x = np.array([14])
    native.load(source, LEVEL).call("scale", x)
    return x[0]


def is_running(pid):
    """Whether a process is there and is no zombie."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def test_what_was_compiled_once_needs_no_compiler(folder, monkeypatch):
    path = compiler.find(SCALE, LEVEL)
    assert path.parent == folder
    monkeypatch.setenv(compiler.COMPILER_SETTING, "/nonexistent")
    assert compiler.find(SCALE, LEVEL) == path
    assert scaled() == 42
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_a_library_of_the_package_is_taken_before_the_cache(tmp_path, monkeypatch, folder):
    monkeypatch.setattr(compiler, "BUILT", tmp_path / "built")
    built = tmp_path / "built" / f"{compiler.key(SCALE, LEVEL)}.so"
    compiler.compile_to(built, SCALE, LEVEL)
    monkeypatch.setenv(compiler.COMPILER_SETTING, "/nonexistent")
    assert compiler.find(SCALE, LEVEL) == built
    assert scaled() == 42
    assert not folder.exists()


def test_source_level_and_flags_are_in_the_key():
    keys = [compiler.key(*made_of) for made_of in ((SCALE, LEVEL), (SCALE, "x86-64-v2"), (SCALE + " ", LEVEL))]
    keys.append(compiler.key(SCALE, LEVEL, ("-g",)))
    assert len(set(keys)) == len(keys)
    assert compiler.key(SCALE, LEVEL) == keys[0]


@pytest.mark.parametrize("line", ['#include "inner.hpp"', '  #  include "../spikeloom/inner.hpp"', INNER_BY_PATH])
def test_every_edit_of_an_included_header_is_in_the_key_and_none_of_another(headers, line):
    source = native.include("outer.hpp") + SCALE
    outer, inner, deep = (headers / f"{name}.hpp" for name in ("outer", "inner", "deep"))
    outer.write_text(f"#pragma once\n{line}  // a part\n")
    inner.write_text('#include "deep.hpp"\n#include "outer.hpp"\n')
    deep.write_text("// one")
    keys = [compiler.key(source, LEVEL)]
    for path in (outer, inner, deep):
        path.write_text(path.read_text() + "\n// more")
        keys.append(compiler.key(source, LEVEL))
    deep.rename(headers.parent / "deep.hpp")
    keys.append(compiler.key(source, LEVEL))
    (headers.parent / "deep.hpp").unlink()
    keys.append(compiler.key(source, LEVEL))
    assert len(set(keys)) == len(keys) == 6
    (headers / "extra.hpp").write_text("// one")
    (headers / "simd.hpp").write_text("// another")
    assert compiler.key(source, LEVEL) == keys[-1]


def test_a_header_beside_the_one_that_includes_it_stands_before_that_of_the_include_folder(headers):
    (headers / "outer.hpp").write_text('#include "factor.hpp"\n')
    (headers / "factor.hpp").write_text("#define FACTOR 2\n")
    (headers.parent / "factor.hpp").write_text("#define FACTOR 5\n")
    source = native.include("outer.hpp") + SCALE
    before = compiler.key(source, LEVEL)
    assert scaled(source) == 28
    (headers.parent / "factor.hpp").write_text("#define FACTOR 7\n")
    assert compiler.key(source, LEVEL) == before
    (headers / "factor.hpp").unlink()
    assert compiler.key(source, LEVEL) != before


def test_the_headers_in_the_key_are_those_that_the_compiler_reads(headers, tmp_path):
    sources = [*build.sources(), next(models()).source("float", 16)]
    for k, source in enumerate(sources):
        text = tmp_path / f"{k}.cpp"
        text.write_text(source)
        command = [shutil.which("g++"), "-std=c++17", "-MM", f"-I{headers.parent}", str(text)]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        read = {path.name for path in headers.iterdir() if f"/{path.name}" in listed}
        noted = set()
        for path in headers.iterdir():
            before, whole = compiler.key(source, LEVEL), path.read_text()
            path.write_text(whole + "//")
            if compiler.key(source, LEVEL) != before:
                noted.add(path.name)
            path.write_text(whole)
        assert noted == read


def test_a_header_that_is_not_there_is_left_to_the_compiler(headers):
    with pytest.raises(CompilerError, match=r"refused a kernel(.|\n)*missing\.hpp"):
        compiler.find(native.include("missing.hpp"), LEVEL)


def test_an_edited_header_is_compiled_on_next_use(headers, folder):
    (headers / "factor.hpp").write_text("#define FACTOR 2\n")
    source = native.include("factor.hpp") + SCALE
    assert scaled(source) == 28
    (headers / "factor.hpp").write_text("#define FACTOR 5\n")
    library._load.cache_clear()
    assert scaled(source) == 70
    assert len(list(folder.iterdir())) == 2


def test_a_header_edited_while_the_compiler_runs_gives_no_library_of_the_old_name(headers, written_compiler, folder):
    written_compiler(f'"$GXX" "$@"; echo "// new" >> "{headers}/simd.hpp"')
    with pytest.raises(CompilerError, match="edited"):
        compiler.find(native.include("simd.hpp") + SCALE, LEVEL)
    assert list(folder.iterdir()) == []


def test_a_library_is_replaced_and_never_written_over(folder):
    path = compiler.find(SCALE, LEVEL)
    with path.open("rb") as in_use:
        before = in_use.read()
        compiler.compile_to(path, SCALE.replace("FACTOR 3", "FACTOR 4"), LEVEL)
        in_use.seek(0)
        assert in_use.read() == before
    assert path.read_bytes() != before


def test_processes_that_compile_the_same_at_once_all_get_it(written_compiler, folder):
    written_compiler('sleep 0.3; exec "$GXX" "$@"')
    program = (
        "import sys, numpy as np; from spikeloom import native; x = np.array([14]); "
        f"native.load(sys.argv[1], {LEVEL!r}).call('scale', x); print(x[0])"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, SCALE], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["42"] * 3
    assert len(list(folder.iterdir())) == 1


def test_paths_with_spaces_do(tmp_path, monkeypatch, headers, written_compiler):
    monkeypatch.setenv(cache.SETTING, str(tmp_path / "the cache"))
    written_compiler('exec "$GXX" "$@"')
    assert scaled(native.include("simd.hpp") + SCALE) == 42
    assert compiler.find(native.include("simd.hpp") + SCALE, LEVEL).is_relative_to(tmp_path / "the cache")


def test_the_compiler_can_be_named_with_arguments(monkeypatch):
    monkeypatch.setenv(compiler.COMPILER_SETTING, "g++ -DFACTOR=2")
    assert compiler.compiler() == shutil.which("g++")
    assert scaled() == 28


def test_more_flags_make_another_library(monkeypatch, folder):
    assert scaled() == 42
    monkeypatch.setenv(compiler.FLAGS_SETTING, "-DFACTOR=2 -g")
    library._load.cache_clear()
    assert scaled() == 28
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("named", ["/nonexistent/g++", "no-such-compiler", "", "it's"])
def test_a_compiler_that_is_not_there_is_named(named, monkeypatch):
    monkeypatch.setenv(compiler.COMPILER_SETTING, named)
    assert compiler.compiler() is None
    assert compiler.compiler_version() is None
    with pytest.raises(CompilerError, match=r"CXX names .*which is no program") as caught:
        native.load(SCALE, LEVEL)
    assert repr(named) in str(caught.value)


def test_without_any_compiler_the_way_out_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerError, match=r"no C\+\+ compiler found; install g\+\+"):
        native.load(SCALE, LEVEL)


def test_what_the_compiler_says_against_a_kernel_is_told(folder):
    with pytest.raises(CompilerError, match=r"refused a kernel(.|\n)*NotAType"):
        native.load("NotAType x;", LEVEL)
    assert list(folder.iterdir()) == []


def test_a_program_that_cannot_be_run_is_no_compiler(tmp_path, monkeypatch):
    (tmp_path / "g++").write_bytes(b"\x7fELF")
    (tmp_path / "g++").chmod(0o755)
    monkeypatch.setenv(compiler.COMPILER_SETTING, str(tmp_path / "g++"))
    with pytest.raises(CompilerError, match="cannot be run"):
        native.load(SCALE, LEVEL)
    assert "cannot be run" in compiler.compiler_version()


def test_a_compiler_that_hangs_is_stopped_with_all_it_started(written_compiler, tmp_path, monkeypatch, folder):
    monkeypatch.setattr(compiler, "TIMEOUT", 0.5)
    written_compiler(f'sleep 60 & echo $! > "{tmp_path}/pid"; wait')
    begin = time.monotonic()
    with pytest.raises(CompilerError, match=r"did not end within 0\.5 s"):
        native.load(SCALE, LEVEL)
    assert time.monotonic() - begin < 30
    assert not is_running(int((tmp_path / "pid").read_text()))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_damaged_library_in_the_cache_is_compiled_again(damage, caplog):
    path = compiler.find(SCALE, LEVEL)
    path.write_bytes(damage(path.read_bytes()))
    assert scaled() == 42
    assert f"{path} is damaged" in caplog.text


def test_a_library_of_another_kind_of_machine_is_compiled_again(caplog):
    path = compiler.find(SCALE, LEVEL)
    path.write_bytes(b"\x7fELF" + bytes(60))
    cache.seal(path)
    assert scaled() == 42
    assert f"{path} does not load" in caplog.text


def test_a_library_that_never_loads_is_an_error_with_its_path(written_compiler, folder):
    written_compiler('while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"')
    with pytest.raises(CompilerError, match="was just compiled and does not load") as caught:
        native.load(SCALE, LEVEL)
    assert str(folder) in str(caught.value)


def test_a_library_of_the_package_that_does_not_load_is_left_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "BUILT", tmp_path)
    built = tmp_path / f"{compiler.key(SCALE, LEVEL)}.so"
    built.write_text("nonsense")
    with pytest.raises(CompilerError, match=r"of the package does not load.*install spikeloom again") as caught:
        native.load(SCALE, LEVEL)
    assert str(built) in str(caught.value)
    assert built.exists()


def test_a_cache_that_cannot_be_written_is_said_with_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.SETTING, str(tmp_path / "file"))
    with pytest.raises(CompilerError, match=r"cannot be written: .*name another folder by SPIKELOOM_CACHE"):
        native.load(SCALE, LEVEL)


def test_a_cache_that_is_read_only_serves_what_it_has(monkeypatch):
    path = compiler.find(SCALE, LEVEL)

    def refuse(*_, **__):
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    assert compiler.find(SCALE, LEVEL) == path
    with pytest.raises(CompilerError, match=r"cannot be written: .*read-only"):
        compiler.find(SCALE + "// more", LEVEL)


def test_the_cache_is_made_for_this_user_alone(folder):
    before = os.umask(0)
    try:
        compiler.find(SCALE, LEVEL)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702, 0o1777])
@pytest.mark.parametrize("holds_it", [True, False])
def test_a_cache_that_others_can_write_to_is_not_trusted(mode, holds_it, folder):
    if holds_it:
        compiler.find(SCALE, LEVEL)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)
    with pytest.raises(CompilerError, match=r"not trusted: others can write to it.*SPIKELOOM_CACHE"):
        native.load(SCALE, LEVEL)
    folder.chmod(0o700)
    assert scaled() == 42


def test_a_cache_of_another_user_is_not_trusted(folder, monkeypatch):
    compiler.find(SCALE, LEVEL)
    if os.geteuid() == 0:
        os.chown(folder, 54321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(CompilerError, match="not trusted: the folder belongs to user"):
        native.load(SCALE, LEVEL)


def test_the_libraries_used_longest_ago_go_first(tmp_path):
    for age, name in enumerate("abcd"):
        (tmp_path / f"{name}.so").write_bytes(bytes(100))
        os.utime(tmp_path / f"{name}.so", (1e9 - age, 1e9 - age))
    (tmp_path / "note.txt").write_bytes(bytes(1000))
    cache.touch(tmp_path / "d.so")
    cache.prune(tmp_path, limit=250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.so", "d.so", "note.txt"]


def test_what_a_stopped_compiler_left_goes_after_an_hour(tmp_path):
    for name, age in (("old", 4000), ("new", 3000)):
        (tmp_path / f"{cache.WORKING}{name}").mkdir()
        (tmp_path / f"{cache.WORKING}{name}" / "kernel.cpp").write_text("")
        os.utime(tmp_path / f"{cache.WORKING}{name}", (time.time() - age,) * 2)
    cache.prune(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{cache.WORKING}new"]


def test_compiling_prunes_the_cache(folder, monkeypatch):
    pruned = []
    monkeypatch.setattr(cache, "prune", pruned.append)
    for _ in range(2):
        compiler.find(SCALE, LEVEL)
    assert pruned == [folder]


def test_compiling_is_logged(caplog):
    caplog.set_level(logging.INFO)
    compiler.find(SCALE, LEVEL)
    assert "compiling a kernel for portable" in caplog.text
