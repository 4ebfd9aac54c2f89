"""Caches, archives, pictures and tables of labels: valid ones are read, changed ones raise nothing but our errors."""

from contextlib import suppress

import pytest
from data_set_files import READERS, valid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeloom.errors import SpikeloomError

KINDS = list(READERS)


@pytest.mark.parametrize("name", KINDS)
def test_valid_files_are_read(name, tmp_path):
    for number, content in enumerate(valid(name)):
        path = tmp_path / str(number)
        path.write_bytes(content)
        READERS[name](path)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cut_and_changed_files_raise_our_errors_or_none(name, tmp_path, data):
    content = bytearray(data.draw(st.sampled_from(valid(name)), label="file"))
    for _ in range(data.draw(st.integers(0, 3), label="changes")):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))), label="end")
    path = tmp_path / "file"
    path.write_bytes(content[:end])
    with suppress(SpikeloomError):
        READERS[name](path)
