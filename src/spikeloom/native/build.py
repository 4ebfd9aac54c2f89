"""Compiles the libraries that come with the package into its folder `built`, for each level of the processor's kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ..errors import CompilerError
from . import cache, compiler, levels
from .library import include

LIBRARIES = (
    "cochlea.hpp",
    "conv.hpp",
    "event_codecs.hpp",
    "event_frames.hpp",
    "event_text.hpp",
    "event_transforms.hpp",
    "eventprop.hpp",
    "events.hpp",
    "optimizer.hpp",
    "products.hpp",
    "saccades.hpp",
    "schedule.hpp",
    "spike_sort.hpp",
    "train_pairs.hpp",
)
"""The headers that are libraries as they are; the others are parts of generated kernels."""

WARNING = (
    "WARNING: no C++ compiler found (g++, clang++, c++, or the one that CXX names): spikeloom is built without its "
    "kernels and will compute on the slower torch path until there is a compiler"
)

_NONE_BUILT = "none, as the package was built without a C++ compiler; with one they are compiled on first use"


def sources() -> list[str]:
    """The libraries of the package that are headers."""
    return [include(header) for header in LIBRARIES]


def targets(*, here: bool = False) -> tuple[str, ...]:
    """The levels that the package is built for; here: the one of this machine, for a build that stays on it."""
    if here:
        return (levels.available()[0],)
    return tuple(level for level in levels.FLAGS if level != "portable") if levels.is_x86() else ("portable",)


def build(sources: Iterable[str], report: Callable[[str], None], *, here: bool = False) -> list[Path]:
    """The libraries of the sources, of which those that are not there are compiled, on all processors; others go.

    `report` is told of the progress, and warned where there is no compiler: then the libraries that are there come
    back. Raises CompilerError where the compiler refuses a source.
    """
    folder = compiler.BUILT
    wanted = {
        folder / f"{compiler.key(source, level)}.so": (source, level)
        for source in sources
        for level in targets(here=here)
    }
    for path in set(folder.glob("*.so")) - set(wanted):
        path.unlink()
    missing = {path: made_of for path, made_of in wanted.items() if not (path.is_file() and cache.is_whole(path))}
    report(f"kernels: {len(wanted)} for {', '.join(targets(here=here))}; {len(missing)} to be compiled")
    if missing and compiler.compiler() is None:
        report(WARNING)
        return sorted(set(wanted) - set(missing))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(compiler.compile_to, path, *made_of): path for path, made_of in missing.items()}
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                report(f"kernels: {done} of {len(jobs)} compiled")
        finally:
            pool.shutdown(cancel_futures=True)
    return sorted(wanted)


def facts() -> dict[str, str]:
    """Where kernels come from on this machine, in words: instruction set, compiler, libraries, cache."""
    program, version = compiler.compiler(), compiler.compiler_version()
    others = [level for level in levels.available() if level != levels.level()]
    built = len(list(compiler.BUILT.glob("*.so")))
    return {
        "instruction set": f"{levels.level()} (also: {', '.join(others) or 'none'})",
        "C++ compiler": "none found; install g++" if program is None else f"{program}, {version}",
        "kernels of the package": f"{built} in {compiler.BUILT}" if built else _NONE_BUILT,
        "kernels compiled here": _compiled_here(compiler.cache_folder()),
    }


def _compiled_here(folder: Path) -> str:
    if not folder.is_dir():
        return f"none in {folder}"
    try:
        cache.check(folder)
    except CompilerError as error:
        return str(error)
    return f"{len(list(folder.glob('*.so')))} in {folder}"
