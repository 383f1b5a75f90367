"""`recommend`."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from noisebook.cli import _files
from noisebook.cli._options import FILE, json_option
from noisebook.cli._shared import aligned, finite, report

if TYPE_CHECKING:
    from noisebook.api.recommend import Recommendation

__all__ = ["recommend"]


@click.command()
@click.argument("source", metavar="IN", required=False, type=FILE)
@click.option(
    "--need", metavar="NEED",
    help="compress (default), smallest, highest-quality or production: to store the sound; reconstruct, quick-test or "
    "high-frequency-music: through the model, without bits; transformation or research: to change it.",
)  # fmt: skip
@click.option(
    "--sound-kind",
    metavar="KIND",
    help="voice, classical, electronic, ambience or short-effect; by default what is heard.",
)
@click.option("--rules", "listing", is_flag=True, help="Show the table of rules, as without IN.")
@json_option
def recommend(source: str | None, need: str | None, sound_kind: str | None, listing: bool, **_: Any) -> None:
    """Listen to a sound and name the method and preset that suit it.

    Shows the whole command, what the sound is like, and the rule behind each choice, with the second best and the
    number that was measured. `compress --preset auto` goes by the same rules. Without IN it shows the rules for a need
    and a kind of sound, or all of them.

    \b
    noisebook recommend song.flac
    noisebook recommend talk.wav --need smallest
    noisebook recommend rain.wav --need transformation --sound-kind ambience
    noisebook recommend --need research
    noisebook recommend --sound-kind voice
    """
    from noisebook import api

    if listing or source is None:
        rows = [
            {"aspect": rule.aspect, "need": ", ".join(rule.needs) or "any", "sound": ", ".join(rule.sounds) or "any",
             "condition": rule.condition, "advice": rule.advice or "-", "second": rule.second or "-", "why": rule.why}
            for rule in api.recommendation_rules(need, sound_kind)
        ]  # fmt: skip
        report({"rules": rows}, "\n".join(aligned([[*rows[0]], *([*row.values()] for row in rows)])))
        return
    found = api.recommend(_files.read_sound(source), need=need or "compress", sound_kind=sound_kind, name=source)
    values = vars(found) | {"features": {name: finite(value) for name, value in found.features.items()}}
    report(values, _text(found))


def _text(found: Recommendation) -> str:
    return "\n".join(
        [found.command, *(f"  {reason}" for reason in found.reasons), f"  heard: {_heard(found.features)}"]
    )


def _heard(features: dict[str, Any]) -> str:
    likeness = ", ".join(f"{kind} {share:.2f}" for kind, share in features["likeness"].items())
    return (
        f"{features['seconds']:.2f} s, {_channels(features['channels'], features['side_db'])}, "
        f"up to {features['bandwidth']:.0f} Hz, {likeness}, {features['onsets']:.1f} onsets/s, "
        f"tonality {features['tonality']:.2f}, silence {features['silence']:.0%}"
    )


def _channels(count: int, side_db: float | None) -> str:
    if side_db is None:
        return "mono"
    if not isfinite(side_db):
        return f"{count} channels, the first two {'equal' if side_db < 0 else 'opposite'}"
    return f"{count} channels, side {side_db:.0f} dB"
