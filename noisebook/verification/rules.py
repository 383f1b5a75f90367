"""What suits a sound: the table of rules that `noisebook recommend` goes by (docs/verification.md).

Of each aspect (method, preset, options) the first rule that applies decides; of the remarks, all that apply are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from noisebook.errors import ConfigError
from noisebook.verification.listening import Traits

NEEDS = (
    "compress", "smallest", "quick-test", "high-frequency-music", "transformation", "highest-quality", "research",
    "production", "reconstruct",
)  # fmt: skip
OTHER_NAMES = {"quality": "highest-quality", "bright": "high-frequency-music", "transform": "transformation"}
# What a sound is taken for: the first that applies; none of them does for a long effect full of onsets.
SOUND_KINDS: dict[str, Callable[[Traits], bool]] = {
    "voice": lambda t: t.kind == "speech",
    "ambience": lambda t: t.tonality < 0.35 and t.onsets < 1,
    "short-effect": lambda t: t.seconds < 2,
    "classical": lambda t: t.kind == "music" and t.tonality > 0.7,
    "electronic": lambda t: t.kind == "music",
}
ASPECTS = ("method", "preset", "channels", "strength", "remark")


@dataclass(frozen=True)
class Rule:
    """One row."""

    aspect: str  # one of `ASPECTS`
    needs: tuple[str, ...]  # what it is a rule for, some of `NEEDS`; empty for all
    sounds: tuple[str, ...]  # for what kinds of sound, some of `SOUND_KINDS`; empty for all
    condition: str  # in words
    advice: str  # a method, a preset, a value of the option; empty for a remark
    why: str  # for the user; of presets with a measured number, and the page that has it
    second: str = ""  # the second best preset; empty where there is no choice
    applies: Callable[[Traits], bool] = lambda _: True  # what else has to be heard

    @property
    def reason(self) -> str:
        words = f"{self.aspect} {self.advice} ({self.condition})" if self.advice else self.condition
        return f"{words}: {self.why}{f'; second best {self.second}' if self.second else ''}"


@dataclass(frozen=True)
class Advice:
    """What the rules say."""

    method: str  # "compress", "reconstruct" or "transform"
    preset: str  # of that method; of "transform" its `--method`
    options: tuple[str, ...]  # of the command, such as ("--channels", "mono")
    rules: tuple[Rule, ...]  # those that decided, then the remarks
    sound: str | None  # the kind of sound, one of `SOUND_KINDS`; None for none of them


_CODED = ("compress", "smallest", "highest-quality", "production")
_REBUILT = ("reconstruct", "quick-test", "high-frequency-music")
_CHANGED = ("transformation", "research")

RULES: tuple[Rule, ...] = (
    Rule("method", _CODED, (), "to be stored", "compress", "a stream of chosen noise (DDCM), the codec proper"),
    Rule("method", _REBUILT, (), "to be heard through the model, without bits", "reconstruct",
         "the ceiling of every codec over this latent"),
    Rule("method", _CHANGED, (), "to become something else", "transform",
         "noises the latent and denoises it towards a prompt"),
    Rule("preset", ("smallest",), ("voice",), "speech, as small as possible", "1500",
         "words are the first thing that fewer bits lose: ESTOI 0.83, and 0.58 at 300 bit/s (results.md)", "300"),
    Rule("preset", ("smallest",), (), "anything else, as small as possible", "300",
         "the course of the sound stays, its detail is new: ViSQOL 3.01, 2.74 at 100 bit/s (results.md)", "100"),
    Rule("preset", ("highest-quality",), (), "the best there is", "6000",
         "ViSQOL 3.76, 3.65 at 3 kbit/s; the autoencoder without bits has 3.91 (results.md)", "3000"),
    Rule("preset", ("production",), (), "every day, on any machine", "3000",
         "checked bytes, errors by name, and ViSQOL 3.65, 3.50 at 1.5 kbit/s (results.md)", "1500"),
    Rule("preset", ("compress",), ("voice",), "speech", "3000",
         "words are the first thing that fewer bits lose: ESTOI 0.88, 0.83 at 1.5 kbit/s (results.md)", "1500"),
    Rule("preset", ("compress",), ("ambience",), "noise-like, with few onsets", "700",
         "nobody follows the detail of noise; effects gain 0.37 in ViSQOL from 300 to 1500 bit/s, music 0.42 "
         "(codecs.md)", "300"),
    Rule("preset", ("compress",), ("short-effect",), "short, under 2 s", "3000",
         "2 s are 750 bytes; effects have ViSQOL 3.40, 3.48 at 6 kbit/s (codecs.md)", "6000"),
    Rule("preset", ("compress",), ("classical",), "music, tonal", "6000",
         "steady partials show every error: ViSQOL of music 4.00, 3.90 at 3 kbit/s (codecs.md)", "3000"),
    Rule("preset", ("compress",), ("electronic",), "other music", "3000",
         "ViSQOL of music 3.90, 3.76 at 1.5 kbit/s (codecs.md)", "1500"),
    Rule("preset", ("compress",), (), "anything else", "3000",
         "the default: ViSQOL 3.65, 3.76 at 6 kbit/s; beyond it the vocoder is the limit (results.md)",
         "6000"),
    Rule("preset", ("quick-test",), (), "a first impression of the model", "matched",
         "no diffusion and no processing: features 2.37 dB off, ultimate-fix 2.43 (systems.md)",
         "ultimate-fix"),
    Rule("preset", ("high-frequency-music",), (), "highs wanted", "v4-high-freq",
         "lifts what is above 4 kHz by what was lost, where that comes nearer: 2.27 dB off, matched 2.45 (systems.md)",
         "v5-high-freq"),
    Rule("preset", ("reconstruct",), ("voice", "short-effect"), "speech or a short sound", "matched",
         "no processing that could blur onsets: features 2.37 dB off, final-optimized 2.44 (systems.md)",
         "final-optimized"),
    Rule("preset", ("reconstruct",), (), "content above 6 kHz", "v4-high-freq",
         "gives back what the autoencoder loses above 4 kHz: 2.27 dB off, matched 2.45 (systems.md)", "matched",
         lambda t: t.bandwidth > 6000),
    Rule("preset", ("reconstruct",), (), "anything else", "matched",
         "no processing: features 2.37 dB off, v4-high-freq 2.43 (systems.md)", "v4-high-freq"),
    Rule("preset", ("research",), (), "to study quantised latents", "improved",
         "soft and mixed: latent NMSE 0.01 at strength 0, hard 0.02 (systems.md)", "input-based"),
    Rule("preset", ("transformation",), (), "whatever it becomes", "full-diffusion",
         "nearest to the input for what it takes from the prompt: at strength 0.3 log-mels correlate by 0.77 and "
         "p(prompt) is 0.43, input-based 0.66 and 0.44 (systems.md)", "guided"),
    Rule("channels", _CODED, (), "stereo whose sides are nearly the same (side 30 dB below mid)", "mono",
         "a tenth of the bits would go to where things are, and all is in the middle",
         applies=lambda t: t.side_db is not None and -inf < t.side_db < -30),
    Rule("channels", _CODED, (), "more than two channels", "mono", "mono and stereo can be coded",
         applies=lambda t: t.channels > 2),
    Rule("strength", ("transformation",), ("voice",), "speech", "0.2", "mild enough for words to survive"),
    Rule("remark", ("highest-quality",), (), "for a new sound in place of this one", "",
         "transform --method full-diffusion is what the predecessor called so: at strength 0.15 its log-mel error is "
         "5.5 dB, that of the autoencoder 2.6 (systems.md)"),
    Rule("remark", (), (), "highs above 10 kHz", "",
         "a model of 16 kHz, as AudioLDM 2 is, loses what is above 8 kHz", applies=lambda t: t.bandwidth > 10_000),
    Rule("remark", _CODED, (), "half of it is silence", "",
         "digital silence takes no bits, nor with --variable-rate what is 60 dB below the peak",
         applies=lambda t: t.silence > 0.5),
    Rule("remark", (), (), "an offset above -40 dBFS", "",
         "no sound: whatever codes a latent takes it away, with all below 20 Hz",
         applies=lambda t: t.offset_dbfs > -40 and t.seconds > 0.5),
    Rule("remark", (), (), "peaks at full scale", "",
         "a decode may peak higher: a limiter turns it down, and --bits float keeps it",
         applies=lambda t: t.peak_dbfs > -0.1),
    Rule("remark", (), (), "longer than a minute", "", "only the minute in its middle was listened to",
         applies=lambda t: t.seconds > 60),
    Rule("remark", (), (), "nothing louder than -60 dBFS", "",
         "close to silence: check that this is the sound that was meant", applies=lambda t: t.peak_dbfs < -60),
)  # fmt: skip


def rules_for(need: str | None = None, sound: str | None = None) -> tuple[Rule, ...]:
    """The rows for a need, also by its other name, and a kind of sound; None is any. ConfigError for unknown ones."""
    need = OTHER_NAMES.get(need, need) if need else need
    if need not in (None, *NEEDS):
        raise ConfigError(f"need {need!r}: there are {', '.join(NEEDS)}")
    if sound not in (None, *SOUND_KINDS):
        raise ConfigError(f"kind of sound {sound!r}: there are {', '.join(SOUND_KINDS)}")
    return tuple(
        rule for rule in RULES
        if (need is None or not rule.needs or need in rule.needs)
        and (sound is None or not rule.sounds or sound in rule.sounds)
    )  # fmt: skip


def advise(traits: Traits, need: str = "compress", sound: str | None = None) -> Advice:
    """What the rules say of a sound for a need; its kind is the given one, or the one that is heard."""
    kind = sound or next((name for name, applies in SOUND_KINDS.items() if applies(traits)), None)
    fitting = [r for r in rules_for(need, sound) if (not r.sounds or kind in r.sounds) and r.applies(traits)]
    first = {rule.aspect: rule for rule in reversed(fitting) if rule.aspect != "remark"}
    decided = [first[aspect] for aspect in ASPECTS if aspect in first]
    options = [(f"--{rule.aspect}", rule.advice) for rule in decided if rule.aspect in ("channels", "strength")]
    return Advice(
        method=first["method"].advice,
        preset=first["preset"].advice,
        options=tuple(word for option in options for word in option),
        rules=(*decided, *(rule for rule in fitting if rule.aspect == "remark")),
        sound=kind,
    )
