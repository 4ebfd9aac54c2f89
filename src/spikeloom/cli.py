"""The `spikeloom` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .errors import ParameterError, SpikeloomError

if TYPE_CHECKING:
    from .experiment import RunResult

app = typer.Typer(
    name="spikeloom",
    help="Spiking neural networks, from raw data to a running brain.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


Data = Annotated[str | None, typer.Option(help="'digits' (8x8, ships with scikit-learn) or 'mnist'.")]
Mnist = Annotated[Path | None, typer.Option(help="Folder with the four MNIST idx files; implies --data mnist.")]
Config = Annotated[Path | None, typer.Option(help="JSON or YAML file of settings; options below win over it.")]
Hidden = Annotated[str | None, typer.Option(help="Sizes of the hidden layers, such as 200 or 400,200.")]
Model = Annotated[str | None, typer.Option(help="Neuron model: if, lif, clif.")]
Epochs = Annotated[int | None, typer.Option(help="How often the training set is seen.")]
BatchSize = Annotated[int | None, typer.Option(help="Samples in a batch.")]
LearningRate = Annotated[float | None, typer.Option(help="Learning rate.")]
Time = Annotated[float | None, typer.Option(help="How long each sample is shown, in ms.")]
Seed = Annotated[int | None, typer.Option(help="Seed of split, weights, order and spikes.")]
Threads = Annotated[int | None, typer.Option(help="Threads of torch; one is best for small networks.")]
Runs = Annotated[Path, typer.Option(help="Folder that the run's folder is made in.")]
Name = Annotated[str | None, typer.Option(help="Name of the run's folder (default: data and time).")]
Resume = Annotated[Path | None, typer.Option(help="Folder of an interrupted run to go on with.")]


@app.command()
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
    runs: Runs = Path("runs"),
    name: Name = None,
    resume: Resume = None,
) -> None:
    """Trains a spiking network, tests it, records the test and writes a report into runs/<name>/.

    Without options it trains on real handwritten digits in well under a minute. Ctrl-C leaves a checkpoint; `--resume
    runs/<name>` goes on from it exactly.
    """
    from .experiment import Interrupted, read_config, resume_run, start_run

    settings = _given(
        data=data or ("mnist" if mnist else None), data_dir=mnist and str(mnist), hidden=hidden and hidden.split(","),
        model=model, epochs=epochs, batch_size=batch_size, lr=lr, time=time, seed=seed, threads=threads,
    )  # fmt: skip
    try:
        if resume is None:
            result = start_run({**(read_config(config) if config else {}), **settings}, runs, name)
        elif settings or config or name:
            raise ParameterError("--resume takes its settings from the run; give no others")
        else:
            result = resume_run(resume)
    except Interrupted as stop:
        err.print(str(stop), markup=False)
        raise typer.Exit(130) from stop
    _show(result)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _show(result: RunResult) -> None:
    test = result.test
    out.print(
        f"test accuracy [bold]{test.accuracy:.2%}[/bold] on {test.samples} samples, "
        f"loss {test.loss:.3f}, mean rate {test.rate_hz:.1f} Hz"
    )
    out.print(f"run    {result.folder}", markup=False)
    out.print(f"report {result.folder / 'report.html'}", markup=False)


@app.command()
def analyze(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session, such as runs/<name>/session.")],
    report: Annotated[Path | None, typer.Option(help="The HTML file to write (default: report.html in it).")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Whether to draw pictures.")] = True,
) -> None:
    """Analyses a recorded session: a summary in the terminal, and one HTML file with pictures."""
    from .analysis import SimulationAnalyzer, write_session_report

    with SimulationAnalyzer(session) as analyzer:
        out.print(analyzer.generate_summary_report(), markup=False)
        if plots:
            out.print(f"report {write_session_report(session, report)}", markup=False)


@app.command()
def info() -> None:
    """Shows versions, threads, and how each neuron model is computed."""
    from .experiment import environment
    from .neurons import NEURONS

    facts = Table(box=None, show_header=False)
    for name, value in environment().items():
        facts.add_row(name, str(value))
    out.print(facts)
    models = Table("model", "parameters", "computed by", title="neuron models", title_justify="left", box=None)
    for name in NEURONS:
        models.add_row(name, ", ".join(NEURONS[name].parameters()), "torch path")
    out.print(models)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; errors of this package become one line."""
    try:
        code: Any = app(arguments, standalone_mode=False)
    except typer.Exit as stop:
        code = stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        err.print("interrupted")
        code = 130
    except SpikeloomError as error:
        err.print(f"error: {error}", markup=False)
        code = 1
    sys.exit(code)
