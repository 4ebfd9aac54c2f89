"""The `spikeloom` command."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from .cli_data import data_app
from .cli_session import session_app
from .errors import ParameterError, SpikeloomError
from .terminal import Command, Commands, err, out, plain_lines, waiting

if TYPE_CHECKING:
    from .experiment import RunResult
    from .training import Metrics


app = typer.Typer(
    name="spikeloom",
    cls=Commands,
    help="Spiking neural networks, from raw data to a trained network, its recorded activity and a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(data_app, name="data")
app.add_typer(session_app, name="session")

_MODEL = (
    "Neuron model that spikes and has tau_m, such as lif, clif or alif (default: lif); others with their parameters in "
    "--config. `spikeloom info` lists all."
)

Data = Annotated[str | None, typer.Option(help="'digits' (8x8, ships with scikit-learn) or 'mnist' (default: digits).")]
Mnist = Annotated[Path | None, typer.Option(help="Folder with the four MNIST idx files; implies --data mnist.")]
Config = Annotated[Path | None, typer.Option(help="JSON or YAML file of settings; options below win over it.")]
Hidden = Annotated[str | None, typer.Option(help="Sizes of the hidden layers, such as 400,200 (default: 200).")]
Model = Annotated[str | None, typer.Option(help=_MODEL)]
Epochs = Annotated[int | None, typer.Option(help="How often the training set is seen (default: 20).")]
BatchSize = Annotated[int | None, typer.Option(help="Samples in a batch (default: 64).")]
LearningRate = Annotated[float | None, typer.Option(help="Learning rate (default: 0.005).")]
Time = Annotated[float | None, typer.Option(help="How long each sample is shown, in ms (default: 30).")]
Seed = Annotated[int | None, typer.Option(help="Seed of split, weights, order and spikes (default: 0).")]
Threads = Annotated[int | None, typer.Option(help="Threads of torch; one is best for small networks (default: 1).")]
Runs = Annotated[Path | None, typer.Option(help="Folder that the run's folder is made in (default: runs).")]
Name = Annotated[str | None, typer.Option(help="Name of the run's folder (default: data set and date).")]
Resume = Annotated[Path | None, typer.Option(help="Folder of a run that was stopped, to go on with.")]


def _version(asked: bool) -> None:
    if asked:
        out.print(f"spikeloom {version('spikeloom')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, metavar="", help="Shows the version.")
]


@app.callback()
def before(shown: Version = False) -> None:
    """Takes what stands before a command."""


@app.command(cls=Command)
def train(
    data: Data = None,
    mnist: Mnist = None,
    config: Config = None,
    hidden: Hidden = None,
    model: Model = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    time: Time = None,
    seed: Seed = None,
    threads: Threads = None,
    runs: Runs = None,
    name: Name = None,
    resume: Resume = None,
) -> None:
    """Trains a spiking network, tests it, records the test and writes a report into runs/<name>/.

    Without options it trains on real handwritten digits in well under a minute.
    Ctrl-C leaves a checkpoint; `--resume runs/<name>` goes on from it exactly.
    """
    settings = _given(
        data="mnist" if mnist and data is None else data, data_dir=mnist and str(mnist), hidden=hidden, model=model,
        epochs=epochs, batch_size=batch_size, lr=lr, time=time, seed=seed, threads=threads,
    )  # fmt: skip
    if mnist and settings["data"].lower() != "mnist":
        raise ParameterError(f"--mnist goes with --data mnist, not with --data {data}; leave one of them out")
    try:
        _show_place(_run(settings, config, runs, name, resume))
    except KeyboardInterrupt as stop:
        err.print(str(stop) or "interrupted", markup=False)
        raise typer.Exit(130) from stop


def _run(
    settings: dict[str, Any], config: Path | None, runs: Path | None, name: str | None, resume: Path | None
) -> RunResult:
    from .experiment import read_config, resume_run, start_run

    if resume is None:
        return start_run({**(read_config(config) if config else {}), **settings}, runs or Path("runs"), name, _show)
    if settings or any(option is not None for option in (config, runs, name)):
        raise ParameterError("--resume takes its settings from the run; give no others")
    return resume_run(resume, _show)


def _show_place(result: RunResult) -> None:
    if result.is_old:
        err.print(f"{result.folder} was finished already; this is its result", markup=False)
    out.print(f"run    {result.folder}", markup=False)
    if result.no_report is not None:
        err.print(f"no report: {result.no_report}", markup=False)
        raise typer.Exit(1)
    out.print(f"report {result.folder / 'report.html'}", markup=False)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _show(test: Metrics) -> None:
    out.print(
        f"test accuracy [bold]{test.accuracy:.2%}[/bold] on {test.samples} samples, "
        f"loss {test.loss:.3f}, mean rate {test.rate_hz:.1f} Hz"
    )


@app.command(cls=Command)
def analyze(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session, such as runs/<name>/session.")],
    report: Annotated[Path | None, typer.Option(help="The HTML file to write (default: report.html in it).")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", metavar="", help="Whether to draw pictures.")] = True,
) -> None:
    """Analyses a recorded session: a summary, one HTML file to send on, and its pictures in the folder plots."""
    if report is not None and not plots:
        raise ParameterError("--report goes with pictures; leave it or --no-plots out")
    from .sim_analyzer import analyze_session

    with waiting("reading the session") as bar:
        text, written = analyze_session(session, report, plots=plots, progress=bar)
    out.print(text, markup=False)
    for name, path in written.items():
        out.print(f"{name:<7}{path}", markup=False)


@app.command(cls=Command)
def info() -> None:
    """Shows versions, threads, where kernels come from, and how each neuron model is computed."""
    from .backends import PATHS
    from .experiment import environment
    from .native.build import facts as kernels
    from .neurons import NEURONS

    for name, value in (environment() | kernels()).items():
        out.print(f"{name:<24}{value}", markup=False)
    models = Table("model", "parameters", "computed by", title="neuron models", title_justify="left", box=None)
    for name in NEURONS:
        model = NEURONS[name]
        paths = f"torch path (coupled, {model.coupled})" if model.coupled else ", ".join(PATHS)
        models.add_row(name, ", ".join(model.parameters()), paths)
    out.print(models)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command and exits; errors of this package become one line, wrong usage a short message and code 2."""
    try:
        app(arguments)
    except SpikeloomError as error:
        err.print(f"error: {plain_lines(error)}", markup=False)
        sys.exit(1)
