"""What the progress bar of a training shows."""

import pytest
from rich.console import Console

from spikeloom.training import progress


@pytest.mark.parametrize("loss", [0.3123, 2.3])
def test_the_figures_of_a_long_training_fit_a_line_of_80_columns_and_stay_in_their_places(loss, monkeypatch, capsys):
    monkeypatch.setattr(progress, "Console", lambda stderr: Console(stderr=stderr, width=80))
    with progress.Bar("train", 18760, done=3000) as bar:
        bar.step(label="epoch 10/20", loss=loss, accuracy=0.0731, rate_hz=6.24)
    line = capsys.readouterr().err.rstrip("\n")
    assert len(line.splitlines()) == 1
    assert line.startswith("epoch 10/20 ")
    assert f"loss {loss:.3f} accuracy  7.3% rate   6 Hz 00:00 elapsed" in line
    assert line.rstrip().endswith("left")


def test_a_clock_shows_hours_only_where_there_are_some():
    assert [progress._clock(s) for s in (0, 83, 3599, 7283)] == ["00:00", "01:23", "59:59", "2:01:23"]
