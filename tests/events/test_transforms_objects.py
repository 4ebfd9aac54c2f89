"""Transform objects: frozen, composed, looked up by name, and told apart by their keys."""

import inspect
import json
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from event_streams import drawn, stream

from spikeloom.errors import ParameterError, UnknownNameError
from spikeloom.events import (
    EVENT_TRANSFORMS,
    AlignTime,
    BackgroundActivity,
    Compose,
    Crop,
    CropTime,
    Decimate,
    DropEvents,
    DropPixels,
    FlipPolarity,
    FlipX,
    HotPixels,
    RandomApply,
    Refractory,
    UniformNoise,
    background_activity,
    crop_time,
    flip_x,
    refractory,
)

BY_NAME = [name for name in EVENT_TRANSFORMS if name != "random_apply"]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_transform_has_the_parameters_and_defaults_of_its_function(name):
    transform = EVENT_TRANSFORMS[name]
    assert transform.function.__name__ == name
    parameters = inspect.signature(transform.function).parameters
    expected = {
        key: (parameter.default, parameter.kind)
        for key, parameter in parameters.items()
        if key not in ("events", "generator")
    }
    own = dict(inspect.signature(transform).parameters)
    assert {key: (p.default, p.kind) for key, p in own.items()} == expected
    assert [field.name for field in fields(transform)] == list(own)


def test_names_are_found_under_those_of_tonic_and_a_near_miss_is_answered():
    assert EVENT_TRANSFORMS["Denoise"] is BackgroundActivity
    assert EVENT_TRANSFORMS["RefractoryPeriod"] is Refractory
    assert EVENT_TRANSFORMS["Decimation"] is Decimate
    with pytest.raises(UnknownNameError, match=r"unknown event transform 'refractry'; did you mean 'refractory'"):
        EVENT_TRANSFORMS["refractry"]


def test_a_composition_does_one_after_the_other():
    events = drawn(300)
    chain = Refractory(0.05) | BackgroundActivity(0.05) | FlipX()
    expected = flip_x(background_activity(refractory(events, 0.05), 0.05))
    assert chain(events).equals(expected)
    assert Compose([Refractory(0.05), Compose([BackgroundActivity(0.05), FlipX()])])(events).equals(expected)
    assert (Refractory(0.05) | (BackgroundActivity(0.05) | FlipX())) == chain
    assert Compose([])(events) is events
    assert len(chain) == 3


def test_a_composition_hands_the_generator_on():
    events = drawn(300)
    chain = Compose([DropEvents(0.3), FlipX(), UniformNoise(20)])
    assert chain.random
    assert not (FlipX() | AlignTime()).random
    one, two = np.random.default_rng(5), np.random.default_rng(5)
    assert chain(events, one).equals(UniformNoise(20)(FlipX()(DropEvents(0.3)(events, two)), two))
    assert not chain(events, one).equals(chain(events, np.random.default_rng(6)))
    assert one.random() != two.random()


def test_a_transform_that_draws_nothing_needs_and_uses_no_generator():
    generator = np.random.default_rng(1)
    assert FlipX()(drawn(9), generator).equals(FlipX()(drawn(9)))
    assert FlipPolarity()(drawn(9), generator).equals(FlipPolarity(1.0)(drawn(9)))
    assert generator.random() == np.random.default_rng(1).random()
    assert FlipPolarity(0.5).random
    assert not FlipPolarity().random


def test_a_transform_holds_no_state_from_one_recording_to_the_next():
    short, long = stream([(t, 0, 0, 1) for t in range(10)]), stream([(t, 0, 0, 1) for t in range(100)])
    whole, hot = CropTime(), HotPixels(rate=1.0)
    assert (len(whole(short)), len(whole(long))) == (10, 100)
    assert len(hot(stream([(0, 3, 3, 1), (9, 3, 3, 1)]))) == 0
    assert len(hot(stream([(0, 3, 3, 1)]))) == 1
    assert crop_time(long).equals(long)


def test_transforms_are_values():
    assert Refractory(1.0) == Refractory(1.0) != Refractory(2.0)
    assert hash(DropPixels(np.array([[1, 2]]))) == hash(DropPixels([(1, 2)]))
    assert DropPixels([[1, 2]]).coordinates == ((1, 2),)
    assert repr(Refractory(1.0)) == "Refractory(time=1.0, by_polarity=False, restart='kept')"
    with pytest.raises(FrozenInstanceError):
        Refractory(1.0).time = 2.0


def test_keys_are_json_and_differ_where_the_transforms_do():
    chain = Crop((1, 2, 3, 4)) | RandomApply(Refractory(np.float32(0.5)), p=0.25) | DropPixels(np.array([[1, 2]]))
    assert json.loads(json.dumps(chain.key())) == {
        "name": "compose",
        "transforms": [
            {"name": "crop", "box": [1, 2, 3, 4], "centre": None},
            {
                "name": "random_apply",
                "transform": {"name": "refractory", "time": 0.5, "by_polarity": False, "restart": "kept"},
                "p": 0.25,
            },
            {"name": "drop_pixels", "coordinates": [[1, 2]]},
        ],
    }
    keys = [
        json.dumps(t.key()) for t in (FlipX(), AlignTime(), Refractory(1.0), Refractory(1.5), FlipX() | AlignTime())
    ]
    assert len(set(keys)) == 5


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Refractory(-1.0), ParameterError, "refractory.time must be a time from 0"),
        (lambda: BackgroundActivity("1"), ParameterError, "background_activity.time must be a time from 0"),
        (lambda: Decimate(0), ParameterError, "decimate.n must be an integer"),
        (lambda: Compose([FlipX(), 3]), ParameterError, r"Compose.transforms\[1\] must be a Transform, got 3"),
        (lambda: Compose(FlipX()), ParameterError, r"Compose.transforms must be transforms, got FlipX\(\); one alone"),
        (lambda: RandomApply(3), ParameterError, "RandomApply.transform must be a Transform"),
        (lambda: RandomApply(FlipX(), p=2), ParameterError, "random_apply.p must be a number in 0..1"),
        (lambda: FlipX() | 3, TypeError, "unsupported operand"),
        (lambda: Refractory(1.0, True), TypeError, "positional"),
    ],
)
def test_what_is_no_transform_is_refused_when_it_is_made(make, error, text):
    with pytest.raises(error, match=text):
        make()
