"""Which method and preset suit a sound, and why."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import as_waveform, checked
from noisebook.verification.listening import listen
from noisebook.verification.rules import NEEDS, Rule, advise, rules_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.audio.waveform import Sound, Waveform

_PRESET_OPTION = {"compress": "--preset", "reconstruct": "--preset", "transform": "--method"}


@dataclass(frozen=True)
class Recommendation:
    """A method for a sound."""

    method: str  # a verb of the command: "compress", "reconstruct" or "transform"
    preset: str  # of that method; of "transform" its `--method`
    second: str  # the second best preset
    sound: str | None  # "voice", "ambience", "short-effect", "classical" or "electronic"; None for none of them
    command: str  # the whole command line
    reasons: list[str]  # one for each rule that decided, and remarks
    features: dict[str, Any]  # what the sound is like, by name (`verification.Traits`)


@checked
def recommend(
    sound: Waveform | ArrayLike,
    *,
    sample_rate: int | None = None,
    need: str = "compress",
    sound_kind: str | None = None,
    name: str = "IN",
) -> Recommendation:
    """Listen to a sound and name a method, a preset and the command, with the reasons.

    Args:
        sound, sample_rate: as the waveform of `compress`.
        need: "compress", "smallest", "highest-quality", "production" (which store the sound), "reconstruct",
            "quick-test", "high-frequency-music" (which pass it through the model without bits), "transformation" or
            "research" (which change it).
        sound_kind: "voice", "ambience", "short-effect", "classical" or "electronic"; by default found by listening.
        name: of the sound's file, for the command.

    Raises:
        ConfigError: another need or kind of sound.
    """
    traits = listen(as_waveform(sound, sample_rate))
    advice = advise(traits, need, sound_kind)
    reasons = [rule.reason for rule in advice.rules]
    prompt = ("--prompt", "WORDS") if advice.method == "transform" else ()
    words = ("noisebook", advice.method, name, _PRESET_OPTION[advice.method], advice.preset, *advice.options, *prompt)
    second = next(rule.second for rule in advice.rules if rule.aspect == "preset")
    return Recommendation(
        advice.method, advice.preset, second, advice.sound, shlex.join(words), reasons, vars(traits).copy()
    )


@checked
def auto_preset(sound: Sound | ArrayLike, *, sample_rate: int | None = None) -> tuple[str, list[str]]:
    """The preset of `compress` that suits a sound, and the reasons: what `--preset auto` means."""
    advice = advise(listen(as_waveform(sound, sample_rate)))
    return advice.preset, [rule.reason for rule in advice.rules if rule.aspect == "preset"]


@checked
def recommendation_rules(need: str | None = None, sound_kind: str | None = None) -> tuple[Rule, ...]:
    """The rows of the table of rules for a need and a kind of sound; None is any.

    Raises:
        ConfigError: a need or a kind of sound that there is not.
    """
    return rules_for(need, sound_kind)


def recommendation_needs() -> tuple[str, ...]:
    """What a recommendation can be asked for."""
    return NEEDS
