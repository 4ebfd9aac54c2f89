"""Runs programs one after another, each in a process of its own that starts with the packages already imported.

A line of standard input is a folder with a page.py; the line that answers it is the exit code. What the program prints
goes into the files out and err of the folder.
"""

import os
import runpy
import sys
from pathlib import Path

import matplotlib.pyplot
import sklearn.datasets
import torch

import spikeloom.backends
import spikeloom.training

IMPORTED = (matplotlib.pyplot, sklearn.datasets, spikeloom.backends, spikeloom.training, torch)


def run(folder: Path) -> None:
    """Runs the program of a folder in it; for the child of a fork, which then exits."""
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
    runpy.run_path("page.py", run_name="__main__")


if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            run(Path(line.strip()))
            break
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()
