"""The native codecs and their NumPy references are one: any bytes, cut into any chunks, any events."""

import numpy as np
import pytest
from event_format_contract import events_for, slow
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.events import Events
from spikeloom.events.files import FORMATS, Columns, columns, es, evt3, evt21, words

CODECS = ("evt2", "evt2.1", "evt3", "dat", "es")
MODULES = (columns, es, evt3, evt21, words)


@pytest.fixture(scope="module", autouse=True)
def compiler():
    """These tests compare with native code, which the other machines run."""
    if columns.compiled(columns.HEADER) is None:
        pytest.skip("there is no C++ compiler")


def without_native(call):
    """What a call gives where there is no compiler."""
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            patch.setattr(module, "compiled", lambda header: None)
        return call()


def start(codec, legacy=False):
    """The decoder's state behind an ordinary header, the version 1 of DAT or swapped halves of EVT 2.1 if asked for."""
    head, _ = codec.head((1280, 720))
    if legacy:
        head = head.replace(b"Version 2", b"Version 1").replace(b"EVT21;", b"EVT21;endianness=legacy;")
        if codec.name == "es":
            head = head[:15] + bytes([es.ATIS]) + head[16:]
    return codec.header(head, len(head)).state


def decoded(codec, data, state, cuts=()):
    """Everything that decoding the bytes in chunks gives: columns, bytes used, state, the most events foretold."""
    out, used, most = Columns(), 0, 0
    for end in [*cuts, data.size]:
        chunk = data[used:end]
        foretold = codec.most(chunk, state)
        out.reserve(foretold)
        before = out.n
        step = codec.decode(chunk, state, out, end == data.size)
        assert out.n - before <= foretold
        used, state = used + step.used, step.state
        most += foretold
    columns = [getattr(out, name)[: out.n].tolist() for name in "txyp"]
    return columns, used, state.tolist()


def tame(codec, data):
    """Random bytes as words of the kinds that say most: half of them times and events, not all of them others."""
    size = {"evt2": 4, "evt2.1": 8, "evt3": 2}.get(codec.name)
    if size is None or data.size < size:
        return data
    data = data[: data.size // size * size].copy()
    tops = data[size - 1 :: size]
    kinds = np.array([8, 0, 1, 0, 1, 2, 3, 4, 5, 6, 4, 2, 8, 10, 14, 15], np.uint8)
    tops[:] = tops & 0x0F | kinds[tops >> 4] << 4
    return data


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("legacy", [False, True])
@slow
@given(content=st.binary(max_size=400), tamed=st.booleans())
def test_native_and_reference_decoders_agree_on_any_bytes(name, legacy, content, tamed):
    codec = FORMATS[name]()
    data = np.frombuffer(content, np.uint8)
    data = tame(codec, data) if tamed else data
    native = decoded(codec, data, start(codec, legacy))
    assert without_native(lambda: decoded(codec, data, start(codec, legacy))) == native


@pytest.mark.parametrize("name", CODECS)
@slow
@given(data=st.data())
def test_native_and_reference_encoders_write_the_same_bytes(name, data):
    codec = FORMATS[name]()
    events = data.draw(events_for(name))
    cut = data.draw(st.integers(0, len(events)))

    def encoded():
        _, state = codec.head(events.sensor_size)
        first, state = codec.encode(events[:cut], state)
        second, state = codec.encode(events[cut:], state)
        return first.tobytes() + second.tobytes(), state

    assert without_native(encoded) == encoded()


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("legacy", [False, True])
@slow
@given(content=st.binary(min_size=1, max_size=120), data=st.data())
def test_where_chunks_are_cut_leaves_no_trace(name, legacy, content, data):
    codec = FORMATS[name]()
    bytes_ = tame(codec, np.frombuffer(content, np.uint8))
    cuts = sorted(data.draw(st.lists(st.integers(0, bytes_.size), max_size=6)))
    assert decoded(codec, bytes_, start(codec, legacy), cuts) == decoded(codec, bytes_, start(codec, legacy))


@pytest.mark.parametrize("name", CODECS)
def test_a_stream_cut_at_every_byte_gives_the_same_events(name):
    codec = FORMATS[name]()
    t = np.array([3, 3, 3, 3, 70, 5000, 5000, 5001, 2_100_000, 2_100_001])
    x = np.array([32, 33, 35, 40, 7, 100, 101, 639, 0, 1])
    events = Events.from_arrays(t, x, t % 480, t % 2, (1280, 720))
    _, state = codec.head(events.sensor_size)
    data, _ = codec.encode(events, state)
    whole = decoded(codec, data, start(codec))
    assert whole[0] == [getattr(events, name).tolist() for name in "txyp"]
    for cut in range(data.size):
        assert decoded(codec, data, start(codec), [cut]) == whole


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("seed", range(4))
def test_long_streams_are_decoded_alike_event_by_event(name, seed):
    codec = FORMATS[name]()
    generator = np.random.default_rng(seed)
    n = 3000
    gaps = generator.choice([0, 1, 2, 90, 2**31 - 1 if name in ("evt2", "evt2.1", "dat") else 5000], n)
    gaps[generator.random(n) < 0.95] = 1
    t = np.minimum(np.cumsum(gaps), codec.latest - 1)
    x, y, p = (generator.integers(0, most, n) for most in (1280, 720, 2))
    events = Events.from_arrays(t, x, y, p, (1280, 720))
    _, state = codec.head(events.sensor_size)
    data, _ = codec.encode(events, state)
    native = decoded(codec, data, start(codec), sorted(generator.integers(0, data.size, 3).tolist()))
    assert native[0] == [getattr(events, name).tolist() for name in "txyp"]
    assert without_native(lambda: decoded(codec, data, start(codec))) == native


@slow
@given(n=st.integers(0, 3000), seed=st.integers(0, 9), size=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_facts_of_events_equal_their_reference(n, seed, size):
    generator = np.random.default_rng(seed)
    out = Columns()
    t = np.sort(generator.integers(0, 10**6, n)) if seed % 2 else generator.integers(-(10**6), 10**6, n)
    out.put(t, generator.integers(-1, 37, n), generator.integers(0, 41 if seed % 3 else 30, n), t & 1)
    assert out.facts(0, *size) == without_native(lambda: out.facts(0, *size))
