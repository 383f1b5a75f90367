"""What a sound is heard as, and which rules follow from it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import noisebook
from noisebook.api.recommend import auto_preset, recommend
from noisebook.audio.io import read
from noisebook.audio.waveform import Waveform
from noisebook.cli.codec import compress
from noisebook.cli.synthesis import reconstruct, transform
from noisebook.codec import presets
from noisebook.errors import ConfigError
from noisebook.synthesis import reconstruction_presets
from noisebook.synthesis.options import TRANSFORM_METHODS
from noisebook.verification.controls import bundled_clips
from noisebook.verification.listening import KINDS, STATISTICS, kind_statistics, listen
from noisebook.verification.rules import ASPECTS, NEEDS, OTHER_NAMES, RULES, SOUND_KINDS, advise, rules_for

ROOT = Path(noisebook.__file__).parents[1]
ASSETS = ROOT / "noisebook" / "assets"
RATE = 16_000


def sound(samples: np.ndarray, rate: int = RATE) -> Waveform:
    return Waveform.of(samples, rate)


def tone(frequency: float, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def noise(seconds: float = 2.0) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))


def test_speech_and_music_that_were_never_trained_on_are_told_apart():
    assert listen(read(ASSETS / "demo-speech.flac")).kind == "speech"
    assert listen(read(ASSETS / "demo.flac")).kind == "music"


def test_most_bundled_clips_are_heard_as_what_they_are():
    heard = [(clip.kind, listen(sound(clip.samples)).kind) for clip in bundled_clips()]
    assert sum(is_kind == heard_kind for is_kind, heard_kind in heard) >= 21
    assert sum(heard_kind == "speech" for is_kind, heard_kind in heard if is_kind == "speech") >= 9


def test_likeness_is_a_probability_and_does_not_depend_on_the_level():
    clip = bundled_clips()[12].samples
    loud, soft = listen(sound(clip)), listen(sound(0.05 * clip))
    assert list(loud.likeness) == list(KINDS)
    assert sum(loud.likeness.values()) == pytest.approx(1)
    assert soft.likeness == pytest.approx(loud.likeness, abs=0.02)
    assert soft.peak_dbfs == pytest.approx(loud.peak_dbfs - 26.02, abs=0.01)


def test_statistics_of_kinds_say_what_their_names_say():
    def of(samples: np.ndarray) -> dict[str, float]:
        return dict(zip(STATISTICS, kind_statistics(samples), strict=True))

    steady, hiss = of(tone(440, 4)), of(noise(4))
    assert steady["steady for 512 ms"] > 0.8
    assert hiss["steady for 512 ms"] < 0.1
    assert steady["peaks of 250 to 500 Hz"] > 0.5  # the others are beside the peak
    assert steady["semitone grid"] > 0.99
    assert steady["entropy of pitch classes"] < 0.5
    glide = of(0.3 * np.sin(2 * np.pi * (300 * np.arange(4 * RATE) / RATE + 50 * (np.arange(4 * RATE) / RATE) ** 2)))
    assert glide["steady for 512 ms"] < 0.2
    assert glide["semitone grid"] < 0.3
    speech = of(np.concatenate([noise(1), np.zeros(RATE), noise(2)]))
    assert speech["pauses"] == pytest.approx(0.25, abs=0.02)
    assert hiss["flatness"] > steady["flatness"] + 2


def test_tones_are_tonal_and_noise_is_not():
    assert listen(sound(tone(440))).tonality > 0.95
    assert listen(sound(noise())).tonality < 0.2


@pytest.mark.parametrize(("frequency", "rate"), [(1000, 16_000), (5000, 44_100), (15_000, 44_100)])
def test_bandwidth_is_that_of_the_highest_partial(frequency, rate):
    found = listen(sound(tone(200, rate=rate) + 0.1 * tone(frequency, rate=rate), rate))
    assert found.bandwidth == pytest.approx(frequency, abs=100)


def test_onsets_are_counted():
    clicks = 1e-4 * noise(4)
    for start in range(0, len(clicks), RATE // 2):
        clicks[start + 2000 : start + 3000] += noise(1000 / RATE)
    assert listen(sound(clicks)).onsets == pytest.approx(2, abs=0.3)
    assert listen(sound(tone(440))).onsets == 0


def test_silence_and_shares_of_it():
    half = np.concatenate([noise(1), np.zeros(RATE)])
    assert listen(sound(half)).silence == pytest.approx(0.5, abs=0.02)
    none = listen(sound(np.zeros(RATE)))
    assert (none.silence, none.tonality, none.onsets, none.bandwidth, none.peak_dbfs) == (1, 0, 0, 0, -np.inf)
    assert none.likeness == dict.fromkeys(KINDS, 1 / 3)


def test_an_offset_and_full_scale_are_told():
    shifted = listen(sound(0.3 * tone(440) + 0.05))
    assert shifted.offset_dbfs == pytest.approx(20 * np.log10(0.05), abs=0.1)
    assert listen(sound(np.zeros(RATE))).offset_dbfs == -np.inf
    remarks = [rule.condition for rule in advise(shifted).rules if rule.aspect == "remark"]
    assert remarks == ["an offset above -40 dBFS"]
    plain = listen(sound(0.3 * tone(440)))
    assert (shifted.tonality, shifted.bandwidth) == pytest.approx((plain.tonality, plain.bandwidth), rel=0.01)
    loud = listen(sound(tone(440) / np.abs(tone(440)).max()))
    assert [rule.condition for rule in advise(loud).rules if rule.aspect == "remark"] == ["peaks at full scale"]


def test_stereo_is_measured_by_its_side():
    left, right = noise(), tone(500)
    assert listen(sound(left)).side_db is None
    assert listen(sound(np.stack([left, left]))).side_db == -np.inf
    assert listen(sound(np.stack([left, -left]))).side_db == np.inf
    assert listen(sound(np.stack([left, left + 0.01 * right]))).side_db < -30


def test_a_single_sample_and_a_long_sound_can_be_heard():
    assert listen(sound(np.array([0.5]))).seconds == 1 / RATE
    long = listen(sound(np.resize(noise(1), 100 * RATE)))
    assert long.seconds == 100
    assert advise(long).rules[-1].condition == "longer than a minute"


@pytest.mark.parametrize("need", NEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_need_and_kind_gets_a_command_that_exists(need, kind):
    clip = next(clip for clip in bundled_clips() if clip.kind == kind)
    found = recommend(sound(clip.samples), need=need, name="my song.wav")
    known = {
        "compress": [preset.name for preset in presets.PRESETS],
        "reconstruct": [preset.name for preset in reconstruction_presets.PRESETS],
        "transform": list(TRANSFORM_METHODS),
    }[found.method]
    assert found.preset in known
    assert found.command.startswith(f"noisebook {found.method} 'my song.wav' --")
    verb = {"compress": compress, "reconstruct": reconstruct, "transform": transform}[found.method]
    options = {name for parameter in verb.params for name in parameter.opts}
    assert {word for word in found.command.split() if word.startswith("--")} <= options
    assert len(found.reasons) >= 2
    assert found.features["seconds"] == 4


def test_every_rule_decides_for_some_sound_and_no_need_is_without():
    traits = listen(sound(noise()))
    assert {rule.aspect for rule in RULES} == set(ASPECTS)
    assert {need for rule in RULES for need in rule.needs} == set(NEEDS)
    assert {sound for rule in RULES for sound in rule.sounds} == set(SOUND_KINDS)
    for rule in RULES:
        assert rule.condition
        assert rule.why
        assert isinstance(rule.applies(traits), bool | np.bool_)
    for need in NEEDS:
        advice = advise(traits, need)
        assert advice.rules[0].aspect == "method"
        assert advice.rules[1].advice == advice.preset


@pytest.mark.parametrize(("change", "need", "expected"), [
    ({"kind": "speech"}, "smallest", "1500"),
    ({"kind": "music"}, "smallest", "300"),
    ({}, "highest-quality", "6000"),
    ({}, "quality", "6000"),
    ({}, "production", "3000"),
    ({}, "quick-test", "matched"),
    ({}, "research", "improved"),
    ({"kind": "music", "tonality": 0.5}, "compress", "3000"),
    ({"kind": "effects", "tonality": 0.1, "onsets": 0.0}, "transformation", "full-diffusion"),
    ({"kind": "speech", "tonality": 0.1, "onsets": 0.0}, "compress", "3000"),
    ({"kind": "effects", "tonality": 0.1, "onsets": 0.0}, "compress", "700"),
    ({"kind": "music", "tonality": 0.9}, "compress", "6000"),
    ({"kind": "speech"}, "reconstruct", "matched"),
    ({"kind": "music", "bandwidth": 12_000.0, "seconds": 9.0}, "reconstruct", "v4-high-freq"),
    ({}, "bright", "v4-high-freq"),
    ({"kind": "music", "onsets": 5.0}, "transform", "full-diffusion"),
])  # fmt: skip
def test_presets_by_rule(change, need, expected):
    traits = dataclasses.replace(listen(sound(tone(440))), **change)
    assert advise(traits, need).preset == expected


def test_both_tables_of_the_seeds_are_rows_with_a_second_best_and_a_measured_number():
    """Six needs and five kinds of sound; the page that a reason names has the numbers that it gives."""
    six = ("quick-test", "high-frequency-music", "transformation", "highest-quality", "research", "production")
    five = ("classical", "electronic", "voice", "ambience", "short-effect")
    assert set(six) < set(NEEDS)
    assert set(five) == set(SOUND_KINDS)
    for need, sound in (*((need, None) for need in six), *(("compress", sound) for sound in five)):
        row = next(rule for rule in rules_for(need, sound) if rule.aspect == "preset" and (not sound or rule.sounds))
        assert row.second not in ("", row.advice)
        assert re.search(r"\d", row.why)
    for rule in RULES:
        if rule.aspect == "preset":
            named = re.search(r"\((\w+\.md)\)$", rule.why)
            assert named, rule
            assert (ROOT / "docs" / named[1]).is_file()


def test_a_kind_of_sound_can_be_told_instead_of_heard():
    traits = dataclasses.replace(listen(sound(tone(440))), kind="music")
    assert advise(traits).sound == "classical"
    told = advise(traits, "compress", "ambience")
    assert (told.sound, told.preset) == ("ambience", "700")
    with pytest.raises(ConfigError, match="short-effect"):
        advise(traits, "compress", "birds")


def test_the_names_that_needs_had_before_mean_the_same():
    traits = listen(sound(noise()))
    assert all(advise(traits, old) == advise(traits, new) for old, new in OTHER_NAMES.items())


def test_options_and_remarks_by_rule():
    traits = listen(sound(np.stack([noise(), noise()])))
    traits = dataclasses.replace(traits, kind="speech", side_db=-40.0)
    assert advise(traits).options == ("--channels", "mono")
    assert advise(traits, "transform").options == ("--strength", "0.2")
    assert advise(dataclasses.replace(traits, channels=6, side_db=0.0)).options == ("--channels", "mono")
    assert advise(dataclasses.replace(traits, channels=2, side_db=-40.0)).options == ("--channels", "mono")
    assert not advise(dataclasses.replace(traits, channels=2, side_db=-np.inf)).options, "coded once as it is"
    wide = advise(dataclasses.replace(traits, bandwidth=16_000.0, silence=0.7)).rules
    assert [rule.condition for rule in wide if rule.aspect == "remark"] == [
        "highs above 10 kHz", "half of it is silence"
    ]  # fmt: skip


def test_auto_preset_is_that_of_the_recommendation():
    clip = sound(bundled_clips()[0].samples)
    preset, reasons = auto_preset(clip)
    assert preset == recommend(clip).preset
    assert len(reasons) == 1
    assert reasons[0] in recommend(clip).reasons


def test_an_unknown_need_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match="smallest"):
        recommend(noise(), sample_rate=RATE, need="tiny")


def test_an_offset_changes_nothing_that_is_heard():
    talk = read(ASSETS / "demo-speech.flac").samples[0]
    plain, shifted = listen(sound(talk)), listen(sound(talk + np.float32(0.3)))
    assert shifted.kind == plain.kind
    heard = [(traits.tonality, traits.silence, traits.onsets, traits.bandwidth) for traits in (plain, shifted)]
    assert heard[1] == pytest.approx(heard[0], rel=0.02, abs=0.01)


@pytest.mark.parametrize("rule", [rule for rule in RULES if ".md)" in rule.why], ids=lambda rule: rule.why[:40])
def test_a_measured_reason_stands_on_the_page_that_it_names(rule):
    """So that a number does not go stale when its page is measured again."""
    said, page = re.fullmatch(r"(.*) \((\w+\.md)\)", rule.why).groups()
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    numbers = re.findall(r"\d+\.\d\d?(?! kbit/s)", said)
    assert numbers
    assert [number for number in numbers if not re.search(rf"\b{re.escape(number)}\b", text)] == []
