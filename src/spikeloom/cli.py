"""The `spikeloom` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table

from .errors import SpikeloomError

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


@app.command()
def train(
    data: Annotated[Optional[str], typer.Option(help="'digits' (8x8, ships with scikit-learn) or 'mnist'.")] = None,
    mnist: Annotated[Optional[Path], typer.Option(help="Folder with the four MNIST idx files; implies --data mnist.")] = None,
    config: Annotated[Optional[Path], typer.Option(help="JSON or YAML file of settings; options below win over it.")] = None,
    hidden: Annotated[Optional[str], typer.Option(help="Sizes of the hidden layers, such as 200 or 400,200.")] = None,
    model: Annotated[Optional[str], typer.Option(help="Neuron model: if, lif, clif.")] = None,
    epochs: Annotated[Optional[int], typer.Option(help="How often the training set is seen.")] = None,
    batch_size: Annotated[Optional[int], typer.Option(help="Samples in a batch.")] = None,
    lr: Annotated[Optional[float], typer.Option(help="Learning rate.")] = None,
    time: Annotated[Optional[float], typer.Option(help="How long each sample is shown, in ms.")] = None,
    seed: Annotated[Optional[int], typer.Option(help="Seed of split, weights, order and spikes.")] = None,
    threads: Annotated[Optional[int], typer.Option(help="Threads of torch; one is best for small networks.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that the run's folder is made in.")] = Path("runs"),
    name: Annotated[Optional[str], typer.Option(help="Name of the run's folder (default: data and time).")] = None,
    resume: Annotated[Optional[Path], typer.Option(help="Folder of an interrupted run to go on with.")] = None,
) -> None:
    """Trains a spiking network, tests it, records the test and writes a report into runs/<name>/.

    Without options it trains on real handwritten digits in well under a minute. Ctrl-C leaves a checkpoint; `--resume
    runs/<name>` goes on from it exactly.
    """
    from .experiment import read_config, start_run, resume_run

    options = {
        "data": data or ("mnist" if mnist else None), "data_dir": mnist and str(mnist), "model": model, "epochs": epochs,
        "hidden": hidden and [int(n) if n.strip().isdigit() else n for n in hidden.split(",")],
        "batch_size": batch_size, "lr": lr, "time": time, "seed": seed, "threads": threads,
    }  # fmt: skip
    given = {key: value for key, value in options.items() if value is not None}
    if resume is not None:
        if given or config or name:
            raise typer.BadParameter("--resume takes its settings from the run; give no others")
        result = resume_run(resume)
    else:
        result = start_run({**(read_config(config) if config else {}), **given}, runs, name)
    test = result.test
    out.print(
        f"test accuracy [bold]{test.accuracy:.2%}[/bold] on {test.samples} samples, "
        f"loss {test.loss:.3f}, mean rate {test.rate_hz:.1f} Hz"
    )
    out.print(f"run    {result.folder}")
    out.print(f"report {result.folder / 'report.html'}")


@app.command()
def analyze(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session, such as runs/<name>/session.")],
    report: Annotated[Optional[Path], typer.Option(help="The HTML file to write (default: report.html in it).")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Whether to draw pictures.")] = True,
) -> None:
    """Analyses a recorded session: a summary in the terminal, and one HTML file with pictures."""
    from .analysis import SimulationAnalyzer, session_report

    with SimulationAnalyzer(session) as analyzer:
        out.print(analyzer.generate_summary_report(), markup=False)
    if plots:
        out.print(f"report {session_report(session, report)}")


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
    """Runs the command; errors of this package become one line, Ctrl-C says how to go on."""
    try:
        code: Any = app(arguments, standalone_mode=False)
    except typer.Exit as stop:
        code = stop.exit_code
    except KeyboardInterrupt as stop:
        err.print(str(stop) or "interrupted", markup=False)
        code = 130
    except SpikeloomError as error:
        err.print(f"error: {error}", markup=False)
        code = 1
    sys.exit(code)
