"""A sound's way from `api.compress` to bytes is short, and hardly ever turns back.

A *room* is a file of the package in which a function is handed the sound: a `Sound`, its samples, a latent, choices
or bytes. A *climb* is a pair of rooms of which the first hands it to the second, though that one was entered earlier:
there a reader has to turn back. What the model does behind `Backend` is not counted, nor are generators, which are
entered wherever they are read.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch

import noisebook
from noisebook import api
from noisebook.audio.waveform import Sound, Waveform
from noisebook.codec.options import EncodeOptions
from noisebook.coding.container import CodingParams
from noisebook.diffusion.backend import Backend

PACKAGE = Path(noisebook.__file__).parent
MOST_ROOMS, MOST_CLIMBS = 12, 3


def is_sound(value: Any) -> bool:
    """The sound in one of its forms; random words are unsigned integers and are none."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fi"
    if isinstance(value, list | tuple):
        return bool(value) and is_sound(value[0])
    return isinstance(value, Sound | torch.Tensor | bytes) and not isinstance(value, type)


@cache
def room_of(filename: str) -> str | None:
    path = Path(filename)
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else None


def is_handed_the_sound(frame: FrameType) -> bool:
    names, rest, _, values = inspect.getargvalues(frame)
    given = [values.get(name) for name in (*names, rest) if name not in (None, "self")]
    return any(is_sound(value) for value in given)


def walk(function: Callable[[], Any], model: Backend) -> list[tuple[str, str]]:
    """Each call that hands the sound to a function of the package, in order: (room of the caller, room)."""
    steps: list[tuple[str, str]] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or frame.f_code.co_flags & inspect.CO_GENERATOR:
            return
        room = room_of(frame.f_code.co_filename)
        if room is None or not is_handed_the_sound(frame):
            return
        callers: list[str] = []
        above = frame
        while above is not None:
            if above.f_locals.get("self") is model:
                return
            above = above.f_back
            if above is not None and (found := room_of(above.f_code.co_filename)) is not None:
                callers.append(found)
        steps.append((callers[0] if callers else "", room))

    sys.setprofile(watch)
    try:
        function()
    finally:
        sys.setprofile(None)
    return steps


@pytest.fixture(scope="module")
def steps(backend):
    noise = np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32)
    sound, compress = Waveform(0.1 * noise, 44100), inspect.unwrap(api.compress)
    options = EncodeOptions(params=CodingParams(7, 7, 8, 3, 80))
    compress(sound, backend=backend, options=options)  # modules are loaded
    return walk(lambda: compress(sound, backend=backend, options=options), backend)


def test_a_sounds_way_enters_few_rooms(steps):
    rooms = list(dict.fromkeys(room for _, room in steps))
    assert rooms[0] == "api/codec.py"
    assert rooms[-1] == "coding/container.py"
    assert {"codec/encoder.py", "codec/segment.py", "ddcm.py"} <= set(rooms), "what is measured is the whole way"
    assert len(rooms) <= MOST_ROOMS, rooms


def test_a_sounds_way_hardly_ever_turns_back(steps):
    order = {room: place for place, room in enumerate(dict.fromkeys(room for _, room in steps))}
    climbs = {(caller, room) for caller, room in steps if caller and order[room] < order.get(caller, -1)}
    assert len(climbs) <= MOST_CLIMBS, climbs
    assert ("diffusion/plan.py", "codec/segment.py") in climbs, "the loop asks for the noise of each step"
