"""What the studio does, without a page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest

from noisebook import api
from noisebook.comparison.programs import available_codecs
from noisebook.errors import AudioError, ConfigError, WrongModel
from noisebook.studio.jobs import CLIPS, READY, Cancelled, open_stream, ready_made
from noisebook.studio.jobs import run as run_in_stages
from noisebook.studio.settings import Settings


class Counting:
    """The backend, with its denoiser's calls counted."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.calls = backend, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def denoise(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return self.backend.denoise(*arguments, **options)


def run(*arguments: Any, **options: Any) -> Any:
    """The result when all is done."""
    *_, result = run_in_stages(*arguments, **options)
    return result


def test_a_sound_can_be_heard_before_it_is_judged(backend, sound):
    told: list[str] = []
    settings = Settings(method="compare", methods=("codec-100", "reconstruct-matched"))
    stages = run_in_stages(settings, sound, backend=backend, tell=lambda what, *_: told.append(what))
    first = next(stages)
    assert "judging" not in told
    assert [track.verification for track in first.tracks] == [None, None]
    (last,) = stages
    assert "judging" in told
    assert [track.sound for track in last.tracks] == [track.sound for track in first.tracks]
    assert all(track.verification for track in last.tracks)
    assert len(list(run_in_stages(Settings(method="generate", seconds=1), None, backend=backend))) == 1


def test_the_codec_gives_the_stream_and_what_it_decodes_to(backend, sound):
    result = run(Settings(preset="300", seed=3), sound, backend=backend, name="song")
    (track,) = result.tracks
    assert track.stream == api.compress(sound, backend=backend, preset="300", seed=3)
    np.testing.assert_array_equal(track.sound.samples, api.decompress(track.stream, backend=backend).samples)
    assert track.bitrate == 8 * len(track.stream)
    assert track.ratio == 32000 / len(track.stream)
    assert {row.name for row in track.verification.metrics} == {"similarity", "mel_db_mae"}
    assert {"silence", "pink noise", "another clip"} < set(track.verification.metrics[0].controls)


def test_a_bitrate_takes_the_place_of_the_preset(backend, sound):
    result = run(Settings(preset="8", bitrate=500, quality="fast"), sound, backend=backend)
    assert result.tracks[0].label == "asked for 500"
    assert result.tracks[0].stream == api.compress(sound, backend=backend, bitrate=500, quality="fast")


@pytest.mark.parametrize(
    "settings",
    [
        Settings(method="reconstruct", reconstruction="simple"),
        Settings(method="transform", prompt="music", strength=0.2),
        Settings(method="restore", task="inpaint", gaps="0.4:0.5"),
        Settings(method="restore", task="bandwidth", cutoff=3000, prompt="speech"),
    ],
    ids=lambda settings: f"{settings.method}-{settings.task}",
)
def test_other_methods_keep_the_length(backend, sound, settings):
    (track,) = run(settings, sound, backend=backend).tracks
    assert track.stream is None
    assert track.sound.sample_count == sound.sample_count
    assert (track.verification is None) == (settings.method == "restore")  # a damaged original says nothing
    assert np.abs(track.sound.samples).max() <= 1 or settings.method == "reconstruct"


def test_the_method_of_a_transformation_is_the_chosen_one(backend, sound):
    chosen = Settings(method="transform", prompt="music", transformation="full-diffusion", strength=0.4)
    (track,) = run(chosen, sound, backend=backend).tracks
    made = api.transform(sound, "music", backend=backend, method="full-diffusion", strength=0.4, seed=chosen.seed)
    np.testing.assert_array_equal(track.sound.samples, api.within_full_scale(made)[0].samples)
    assert Settings.from_query(dict(parse_qsl(chosen.query()))) == chosen


def test_a_generated_sound_has_no_original(backend):
    plain = run(Settings(method="generate", prompt="music", seconds=1), None, backend=backend)
    assert plain.original is None
    assert plain.tracks[0].sound.duration == 1
    stream = run(Settings(method="generate", prompt="music", seconds=1, stream=True), None, backend=backend)
    made = stream.tracks[0]
    np.testing.assert_array_equal(made.sound.samples, api.decompress(made.stream, backend=backend).samples)


def test_words_that_have_no_effect_are_told(backend):
    result = run(Settings(method="generate", prompt="music flurb", seconds=1), None, backend=backend)
    assert result.tracks[0].notes == ("words that the model does not know: flurb",)


def test_a_comparison_goes_on_where_one_method_fails(backend, sound):
    methods = ("codec-100", "vq-frame-kmeans", "reconstruct-matched")  # the codebook is of another model
    result = run(Settings(method="compare", methods=methods), sound, backend=backend)
    assert [track.label for track in result.tracks] == ["preset 100", "reconstructed, matched"]
    assert [bool(track.verification.metrics[0].controls) for track in result.tracks] == [True, False]
    ((label, sentence),) = result.failures
    assert label == "codebook frame-kmeans"
    assert "the codebook was fitted for autoencoder" in sentence


needs_opus = pytest.mark.skipif("opus-6k" not in available_codecs(), reason="this machine has no Opus")


@needs_opus
def test_codecs_of_the_machine_can_be_compared(backend, sound):
    result = run(Settings(method="compare", methods=("opus-6k", "reconstruct-matched")), sound, backend=backend)
    opus, _ = result.tracks
    assert (opus.label, opus.suffix, opus.stream[:4]) == ("Opus 6 kbit/s", ".opus", b"OggS")
    assert opus.sound.samples.shape == sound.samples.shape
    assert opus.sound.sample_rate == sound.sample_rate
    assert np.corrcoef(opus.sound.samples[0], sound.samples[0])[0, 1] > 0.5  # in its place, to the sample
    assert opus.verification.metrics


@needs_opus
def test_a_compressed_sound_has_what_people_know_beside_it(backend, sound, monkeypatch):
    monkeypatch.setattr("noisebook.studio.jobs.YARDSTICK", "opus-6k")
    result = run(Settings(preset="8"), sound, backend=backend)
    assert result.yardstick.label == "Opus 6 kbit/s"
    assert result.yardstick.verification.metrics[1].value < result.tracks[0].verification.metrics[1].value
    fails = replace(available_codecs()["opus-6k"], run=lambda job: (_ for _ in ()).throw(AudioError("opusenc is ill")))
    monkeypatch.setitem(available_codecs(), "opus-6k", fails)
    result = run(Settings(preset="8"), sound, backend=backend)
    assert result.failures == (("opus-6k", "opusenc is ill"),)
    assert result.tracks[0].verification.metrics


def test_one_method_that_fails_is_an_error(backend, sound):
    with pytest.raises(ConfigError, match=r"music flurb|known|words"):
        run(Settings(method="transform", prompt="flurb"), sound, backend=backend)
    with pytest.raises(ConfigError, match="a gap '1-2': write START:END"):
        run(Settings(method="restore", gaps="1-2"), sound, backend=backend)
    with pytest.raises(ConfigError, match="there is no sound: drop a file"):
        run(Settings(), None, backend=backend)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (Settings(preset="3000"), "compressing"),
        (Settings(preset="3000"), "decompressing"),
        (Settings(method="transform", prompt="music"), "transforming"),
        (Settings(method="generate", seconds=1), "generating"),
        (Settings(method="restore", gaps="0.4:0.5"), "restoring"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_cancelled_job_stops_at_the_next_call_of_the_denoiser(backend, sound, settings, what):
    counting, started = Counting(backend), []

    def tell(doing: str, share: float) -> None:
        if doing == what:
            started.append(counting.calls)
        if len(started) > 2:  # its begin, and two steps
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        run(settings, sound, backend=counting, tell=tell)
    assert started
    assert counting.calls - started[0] <= 4  # two steps, each with and without the prompt at most


def test_progress_is_one_count_over_all_stages(backend, sound):
    told: list[tuple[str, float]] = []
    settings = Settings(method="compare", methods=("codec-300", "reconstruct-matched"))
    run(settings, sound, backend=backend, tell=lambda *what: told.append(what))
    assert list(dict.fromkeys(what for what, _ in told)) == [
        "compressing",
        "decompressing",
        "reconstructing",
        "judging",
    ]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert dict(reversed(told)) == {"compressing": 0, "decompressing": 1 / 3, "reconstructing": 2 / 3, "judging": 1}


@pytest.mark.parametrize("clip", CLIPS)
def test_what_is_ready_is_of_this_model_and_small(clip):
    result = ready_made(clip)
    for track in result.tracks:
        assert api.find_model(track.stream) == api.EMBEDDED, "make sounds"
        assert track.sound.sample_count == pytest.approx(10 * track.sound.sample_rate, abs=1)
        assert api.read_info(track.stream).duration == pytest.approx(result.original.duration)
    assert sum(path.stat().st_size for path in READY.iterdir()) < 400_000


def test_an_opened_stream_says_what_it_is(backend, sound):
    data = api.compress(sound, backend=backend, preset="700")
    result = open_stream(data, backend=backend, name="song")
    assert (result.facts["preset"], result.facts["intact"], result.facts["sample rate"]) == ("700", "yes", "16000")
    assert result.tracks[0].sound.sample_count == sound.sample_count
    assert result.settings is None


def test_a_stream_of_another_model_is_refused(backend, other_model, sound):
    data = api.compress(sound, backend=backend, preset="8")
    with pytest.raises(WrongModel):
        open_stream(data, backend=api.load_backend(str(other_model)))
