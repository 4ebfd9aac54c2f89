"""Draws the pictures of the documentation: runs the Python blocks of each page and keeps the PNG and GIF files.

    python tools/draw_docs.py [page.md ...]

A page's blocks are one program, run in an empty folder; what it prints is shown here.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"


def program(page: Path) -> str:
    """The Python blocks of a page."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))


def draw(page: Path) -> list[str]:
    """The names of the pictures that a page drew."""
    with TemporaryDirectory() as folder:
        environment = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", program(page)], cwd=folder, env=environment, check=True)
        pictures = sorted(path for path in Path(folder).iterdir() if path.suffix in (".png", ".gif"))
        for picture in pictures:
            shutil.copy(picture, IMAGES / picture.name)
        return [picture.name for picture in pictures]


def main() -> None:
    pages = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "docs").rglob("*.md"))
    for page in pages:
        if ".png" in program(page):
            print(page, *draw(page), sep="\n  ")


if __name__ == "__main__":
    main()
