"""Compiles the kernels when a wheel or an editable install is built."""

import importlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

MODULES = ("spikeloom.native.build", "spikeloom.kernels.builtin")
"""Those whose `sources()` are compiled."""


def sources() -> list[str]:
    """The libraries that come with the package."""
    sys.path.insert(0, str(Path(__file__).parent / "src"))
    return [source for module in MODULES for source in importlib.import_module(module).sources()]


class KernelHook(BuildHookInterface):
    """Puts the compiled kernels into the wheel, which then is one of this platform, for any Python 3."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles what is missing; without a compiler the wheel has no kernels, which is said."""
        wanted = sources()
        from spikeloom.errors import CompilerError
        from spikeloom.native.build import build

        try:
            built = build(wanted, partial(print, flush=True), here=version == "editable")
        except (CompilerError, OSError) as error:
            self.app.abort(f"{error}\nTo build spikeloom without its kernels, set CXX to nothing: CXX= pip install ...")
        if built:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{_platform()}"
            build_data["artifacts"] += [str(path.relative_to(self.root)) for path in built]


def _platform() -> str:
    """The platform without a promise about its C library, which only an audit could give."""
    return next(tag for tag in platform_tags() if not tag.startswith(("manylinux", "musllinux")))
