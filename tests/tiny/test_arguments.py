"""Every public call, every argument, values of wrong types: an error with a name that says what to pass."""

from __future__ import annotations

import inspect
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

import noisebook
from noisebook import api
from noisebook.api.arguments import KINDS
from noisebook.errors import AudioError, ConfigError, Error, StreamError
from noisebook.options import Options

WRONG = (object(), "nonsense", b"nonsense", 1.5, -1, 10**9, True, [], [1], [object()], {}, Path("nowhere.wav"), print)
FUNCTIONS = sorted(
    {
        name
        for names in (api.__all__, noisebook.__all__)
        for name in names
        if inspect.isfunction(getattr(api, name, None))
    }
)
SOUND = (0.1 * np.sin(np.arange(2000) / 5)).astype(np.float32)


@pytest.fixture(scope="module")
def good(backend):
    """Right values of the arguments that have no default."""
    sound = api.Waveform.of(SOUND, 16000)
    stream = api.compress(sound, backend=backend, search="none", quality="fast")
    from noisebook.coding.container import parse_header

    return {
        "waveform": sound, "sound": sound, "sounds": [sound], "reference": sound, "estimate": sound,
        "references": [sound] * 4, "estimates": [sound] * 4, "backend": backend, "data": stream, "prompt": "music",
        "task": "declip", "threshold": 0.09, "model": "mini", "name": "frame-residual", "fingerprint": b"\x01",
        "codebook": "frame-residual", "frames_per_second": 25.0, "header": parse_header(stream)[0],
        "info": backend.info, "text": "music", "sample_rate": 16000, "curve": None, "texts": "music",
        "source": "nowhere.wav",
    }  # fmt: skip


def parameters_of(function: str) -> dict[str, inspect.Parameter]:
    """All but those of any name, which the table of presets, or `Options`, checks."""
    found = inspect.signature(getattr(api, function)).parameters
    return {name: one for name, one in found.items() if name not in ("axes", "keywords")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_wrong_types_are_named(function):
    for name, parameter in parameters_of(function).items():
        if isinstance(parameter.default, Options):
            continue  # one class is asked for
        annotation = str(parameter.annotation)
        kind = KINDS[frozenset(annotation.split(" | ")) - {"None"}]  # every argument is checked
        told = []
        for value in WRONG:
            try:
                taken = kind(name, value)
                if hasattr(taken, "__next__"):
                    list(taken)
            except (AudioError, ConfigError, StreamError) as error:
                told.append(str(error))
        assert told, name
        assert all(line.startswith((f"{name} is ", f"each of {name} is ")) for line in told), told


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_option_is_a_keyword_that_is_checked(function, good):
    called, parameters = getattr(api, function), parameters_of(function)
    needed = {key: good[key] for key in parameters if key in good and key != "sample_rate"}
    options = (one.default.names() for one in parameters.values() if isinstance(one.default, Options))
    for name in chain.from_iterable(options):
        if name != "params":
            assert f"    {name}: " in called.__doc__
            with pytest.raises(ConfigError, match=rf"^{name} is .*, not object: <object"):
                called(**(needed | {name: object()}))


def test_an_option_that_there_is_not_is_told(backend):
    with pytest.raises(ConfigError, match=r"^there is no option presset \(did you mean preset\?\); there are preset, "):
        api.compress(SOUND, sample_rate=16000, backend=backend, presset="300")


def test_options_and_keywords_give_the_same(backend):
    options = api.EncodeOptions(preset="100", search="none")
    given = api.compress(SOUND, sample_rate=16000, backend=backend, options=options, seed=3)
    assert given == api.compress(SOUND, sample_rate=16000, backend=backend, preset=100, search="none", seed=3)
    assert options.to_dict() == {"preset": "100", "search": "none"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_checks(function, good):
    """An object that is nothing at all is refused before anything else happens."""
    called, parameters = getattr(api, function), parameters_of(function)
    needed = {key: good[key] for key, one in parameters.items() if one.default is one.empty and key in good}
    for name in parameters:
        given = needed | {name: object()}
        texts = given.pop("texts", ())  # any number of them, by position
        with pytest.raises(Error, match=rf"^{name} is .*, not object: <object"):
            next(called(*((given.pop("backend"), texts) if texts else ()), **given), None)


def test_neighbouring_types_are_taken(backend):
    plain = api.compress(SOUND, sample_rate=16000, backend=backend, preset="300", seed=3, search="none")
    for options in (
        {"preset": 300, "seed": 3},
        {"preset": np.int64(300), "seed": np.uint8(3)},
        {"preset": 300.0, "seed": 3.0, "sample_rate": 16000.0, "progressive": np.False_},
    ):
        assert api.compress(SOUND, backend=backend, **{"sample_rate": 16000, "search": "none", **options}) == plain
    tensor = torch.from_numpy(SOUND).requires_grad_()
    assert api.compress(tensor, sample_rate=16000, backend=backend, preset=300, seed=3, search="none") == plain
    sound = api.decompress(bytearray(plain), backend=backend)
    assert np.array_equal(api.decompress(memoryview(plain), backend=backend).samples, sound.samples)


def test_names_are_taken_of_paths_and_of_torch(tiny_model):
    assert api.load_backend(tiny_model, device=torch.device("cpu"), dtype=torch.float32).info.name == "mini"
    assert api.load_backend(str(tiny_model)).info == api.model_info(tiny_model)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda b: api.decompress("song.ddcm", backend=b), StreamError, "Path('song.ddcm').read_bytes()"),
        (lambda b: api.decompress(Path("song.ddcm"), backend=b), StreamError, "Path('song.ddcm').read_bytes()"),
        (lambda b: api.read_info("song.ddcm"), StreamError, "Path('song.ddcm').read_bytes()"),
        (lambda b: api.decompress(SOUND, backend=b), StreamError, "data is the bytes of a stream, not ndarray"),
        (lambda b: api.compress("song.wav", backend=b), AudioError, "noisebook.audio.io.read('song.wav')"),
        (lambda b: api.compress((SOUND, 16000), backend=b), AudioError, "give the array and the rate apart"),
        (
            lambda b: api.compress([[1.0], [1.0, 2.0]], sample_rate=8000, backend=b),
            AudioError,
            "[N] or [C, N], not list",
        ),
        (lambda b: api.compress(SOUND, sample_rate=8000, backend="mini"), ConfigError, "load_backend('mini')"),
        (lambda b: api.compress(SOUND, sample_rate="8k", backend=b), ConfigError, "sample_rate is a whole number"),
        (lambda b: api.compress(SOUND, sample_rate=8000, backend=b, preset=301), ConfigError, "6000 and auto"),
        (lambda b: api.compress(SOUND, sample_rate=8000, backend=b, bitrate="6k"), ConfigError, "bitrate is a number"),
        (lambda b: api.fit_codebook("folder", backend=b), AudioError, "sounds is several sounds"),
        (lambda b: api.fit_codebook(["a.wav"], backend=b), AudioError, "each of sounds is a Waveform"),
        (lambda b: api.Waveform([0.0], 8000), AudioError, "use Waveform.of"),
        (lambda b: api.Waveform.of([[1.0], [1.0, 2.0]], 8000), AudioError, "rows of unequal length"),
    ],
)
def test_the_likely_mistakes_lead_on(call, error, told, backend):
    with pytest.raises(error) as raised:
        call(backend)
    assert told in str(raised.value)
