"""What suits a sound: the table of rules that `noisebook recommend` goes by.

One rule is a condition and what it advises. Of each aspect (method, preset, options) the first rule that applies
decides; of the remarks, all that apply are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from noisebook.errors import ConfigError
from noisebook.verification.listening import Traits

__all__ = ["ASPECTS", "NEEDS", "RULES", "Advice", "Rule", "advise"]

NEEDS = ("compress", "smallest", "quality", "reconstruct", "bright", "transform")
ASPECTS = ("method", "preset", "channels", "strength", "remark")
_OPTIONS = ("channels", "strength")  # aspects that are options of the command


@dataclass(frozen=True)
class Rule:
    """One row.

    Attributes:
        aspect: one of `ASPECTS`.
        needs: what it is a rule for, some of `NEEDS`; empty for all.
        condition: in words.
        applies: the same as a function of what the sound is like.
        advice: a method, a preset, a value of the option; empty for a remark.
        why: for the user.
    """

    aspect: str
    needs: tuple[str, ...]
    condition: str
    applies: Callable[[Traits], bool]
    advice: str
    why: str

    @property
    def reason(self) -> str:
        """The rule as told to the user."""
        told = f"{self.aspect} {self.advice} ({self.condition})" if self.advice else self.condition
        return f"{told}: {self.why}"


@dataclass(frozen=True)
class Advice:
    """What the rules say.

    Attributes:
        method: "compress", "reconstruct" or "transform".
        preset: of that method; of "transform" its `--method`.
        options: of the command, such as ("--channels", "mono").
        rules: those that decided, then the remarks.
    """

    method: str
    preset: str
    options: tuple[str, ...]
    rules: tuple[Rule, ...]


def _always(_: Traits) -> bool:
    return True


_CODED = ("compress", "smallest", "quality")
_REBUILT = ("reconstruct", "bright")

RULES: tuple[Rule, ...] = (
    Rule("method", _CODED, "to be stored", _always, "compress", "a stream of chosen noise (DDCM), the codec proper"),
    Rule("method", _REBUILT, "to be heard through the model, without bits", _always, "reconstruct",
         "the ceiling of every codec over this latent"),
    Rule("method", ("transform",), "to become something else", _always, "transform",
         "noises the latent and denoises it towards a prompt"),
    Rule("preset", ("smallest",), "speech, as small as possible", lambda t: t.kind == "speech", "1500",
         "words are the first thing that fewer bits lose"),
    Rule("preset", ("smallest",), "anything else, as small as possible", _always, "300",
         "the course of the sound stays, its detail is new"),
    Rule("preset", ("quality",), "the best there is", _always, "6000",
         "the most bits that a preset spends"),
    Rule("preset", ("compress",), "speech", lambda t: t.kind == "speech", "3000",
         "words are the first thing that fewer bits lose"),
    Rule("preset", ("compress",), "noise-like, with few onsets", lambda t: t.tonality < 0.35 and t.onsets < 1, "700",
         "noise comes near with few bits, and nobody follows its detail"),
    Rule("preset", ("compress",), "short, under 2 s", lambda t: t.seconds < 2, "3000",
         "so few bytes in all that saving more is not worth it"),
    Rule("preset", ("compress",), "music, tonal", lambda t: t.kind == "music" and t.tonality > 0.7, "6000",
         "steady partials show every error"),
    Rule("preset", ("compress",), "anything else", _always, "3000",
         "the default: beyond it the vocoder decides what is heard"),
    Rule("preset", ("reconstruct",), "speech or a short sound", lambda t: t.kind == "speech" or t.seconds < 2,
         "matched", "nothing but the model: no processing that could blur onsets"),
    Rule("preset", ("reconstruct",), "content above 6 kHz", lambda t: t.bandwidth > 6000, "v4-high-freq",
         "gives back what the autoencoder loses above 4 kHz"),
    Rule("preset", ("reconstruct",), "anything else", _always, "matched", "the least log-mel error of all presets"),
    Rule("preset", ("bright",), "highs wanted", _always, "v5-high-freq", "lifts highs from 4 kHz up by what was lost"),
    Rule("preset", ("transform",), "speech", lambda t: t.kind == "speech", "input-based",
         "noises the latent, so that little of the words goes at a mild strength"),
    Rule("preset", ("transform",), "many onsets, over 3 a second", lambda t: t.onsets > 3, "guided",
         "pulled towards the input at every step, so that the rhythm stays"),
    Rule("preset", ("transform",), "anything else", _always, "input-based", "a hard codebook, then denoising"),
    Rule("channels", _CODED, "stereo whose sides are nearly the same (side 30 dB below mid)",
         lambda t: t.side_db is not None and -inf < t.side_db < -30, "mono",
         "a tenth of the bits would go to where things are, and all is in the middle"),
    Rule("channels", _CODED, "more than two channels", lambda t: t.channels > 2, "mono",
         "mono and stereo can be coded"),
    Rule("strength", ("transform",), "speech", lambda t: t.kind == "speech", "0.2", "mild enough for words to survive"),
    Rule("remark", (), "highs above 10 kHz", lambda t: t.bandwidth > 10_000, "",
         "a model of 16 kHz, as AudioLDM 2 is, loses what is above 8 kHz"),
    Rule("remark", _CODED, "half of it is silence", lambda t: t.silence > 0.5, "",
         "digital silence takes no bits, nor with --variable-rate what is 60 dB below the peak"),
    Rule("remark", (), "an offset above -40 dBFS", lambda t: t.offset_dbfs > -40 and t.seconds > 0.5, "",
         "no sound: whatever codes a latent takes it away, with all below 20 Hz"),
    Rule("remark", (), "peaks at full scale", lambda t: t.peak_dbfs > -0.1, "",
         "a decode may peak higher: a limiter turns it down, and --bits float keeps it"),
    Rule("remark", (), "longer than a minute", lambda t: t.seconds > 60, "",
         "only the minute in its middle was listened to"),
    Rule("remark", (), "nothing louder than -60 dBFS", lambda t: t.peak_dbfs < -60, "",
         "close to silence: check that this is the sound that was meant"),
)  # fmt: skip


def advise(traits: Traits, need: str = "compress") -> Advice:
    """What the rules say of a sound.

    Raises:
        ConfigError: a need that there is no rule for.
    """
    if need not in NEEDS:
        raise ConfigError(f"need {need!r}: there are {', '.join(NEEDS)}")
    fitting = [rule for rule in RULES if (not rule.needs or need in rule.needs) and rule.applies(traits)]
    first = {rule.aspect: rule for rule in reversed(fitting) if rule.aspect != "remark"}
    decided = [first[aspect] for aspect in ASPECTS if aspect in first]
    options = [(f"--{rule.aspect}", rule.advice) for rule in decided if rule.aspect in _OPTIONS]
    return Advice(
        method=first["method"].advice,
        preset=first["preset"].advice,
        options=tuple(word for option in options for word in option),
        rules=(*decided, *(rule for rule in fitting if rule.aspect == "remark")),
    )
