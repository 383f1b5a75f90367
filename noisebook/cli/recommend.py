"""`recommend`."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from noisebook.cli import _files
from noisebook.cli._options import FILE, json_option
from noisebook.cli._shared import aligned, finite, report, wrong_usage

if TYPE_CHECKING:
    from noisebook.api.recommend import Recommendation

__all__ = ["recommend"]


@click.command()
@click.argument("source", metavar="IN", required=False, type=FILE)
@click.option(
    "--need", metavar="NEED", default="compress", show_default=True,
    help="compress, smallest or quality: to store the sound; reconstruct or bright: through the model, without bits; "
    "or transform.",
)  # fmt: skip
@click.option("--rules", "listing", is_flag=True, help="Show the table of rules, and do nothing else.")
@json_option
def recommend(source: str | None, need: str, listing: bool, **_: Any) -> None:
    """Listen to a sound and name the method and preset that suit it.

    Shows the whole command, what the sound is like, and the rule behind each choice. `compress --preset auto` goes
    by the same rules.

    \b
    noisebook recommend song.flac
    noisebook recommend talk.wav --need smallest
    noisebook recommend --rules
    """
    from noisebook import api

    if listing:
        rows = [
            {"aspect": rule.aspect, "need": ", ".join(rule.needs) or "any", "condition": rule.condition,
             "advice": rule.advice or "-", "why": rule.why}
            for rule in api.recommendation_rules()
        ]  # fmt: skip
        report({"rules": rows}, "\n".join(aligned([[*rows[0]], *([*row.values()] for row in rows)])))
        return
    if source is None:
        raise wrong_usage("Missing argument 'IN'")
    found = api.recommend(_files.read_sound(source), need=need, name=source)
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
