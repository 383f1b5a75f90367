"""Related or not: the score of an estimate against the scores that unrelated sounds get.

Families of controls, each an answer to one objection:

    other music, speech, effects   the bundled clips of a kind in the estimate's place, each turned to six places:
                                   "any sound would do"
    other times                    the estimate itself, turned by 0.4 s and more, and played backwards at any turn:
                                   "any sound of this kind would do"
    other pitches                  the estimate with its mel bands turned by three and more:
                                   "any sound of this rhythm would do"

If the estimate knew nothing of the reference, no shift of it would be better than another (random shifts around a
torus: Lotwick & Silverman 1982). An estimate is called related if it beats all but 5 % of the controls of *each*
family; the p-value is the largest of theirs, `(1 + controls >= score) / (1 + controls)` (Davison & Hinkley 1997,
chapter 4). `scipy.stats.permutation_test` draws its controls from the two samples, and has no such families.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisebook.verification.controls import bundled_clips
from noisebook.verification.similarity import FRAME_RATE, Features, at_every_shift, likeness, similarity

LEVEL = 0.05  # of significance
_FEWEST = round(1 / LEVEL) - 1  # controls with which a p-value can come down to the level
_SHORTEST = FRAME_RATE // 5  # frames in which a sound can move
_TURNS = 6  # places to which a bundled clip is turned
_GUARD = 2 * FRAME_RATE // 5  # frames within which a sound resembles itself
_NEIGHBOURS = 3  # mel bands from which on another one is another pitch
_STEP, _MOST = 2, 200  # frames between two shifts, or more, so that there are at most so many


@dataclass(frozen=True)
class Family:
    """The controls of one kind."""

    name: str  # "other music", ... as above; "other sounds" for a steady reference
    count: int
    threshold: float  # what a score has to exceed to beat all but 5 % of them
    p_value: float


@dataclass(frozen=True)
class Verdict:
    """Whether an estimate is related to a reference: whether its score exceeds the threshold, p <= 0.05."""

    related: bool
    score: float  # similarity, -1 to 1
    threshold: float  # the largest of the families'
    p_value: float  # likewise
    families: tuple[Family, ...]
    reason: str  # in a sentence

    @property
    def n_controls(self) -> int:
        return sum(family.count for family in self.families)


def judge(
    reference: Features, estimate: Features, *, lag: int = 0, others: dict[str, np.ndarray] | None = None
) -> Verdict:
    """The verdict on the `features` of two sounds of equal length that are aligned.

    Args:
        lag: frames between the two alignments of which the better one was taken; 0 where there was no choice. Every
            control is given the same choice.
        others: `other_sounds` of the reference and lag, where they are known already.
    """
    if reference.frames < _SHORTEST:
        return _undecided(f"{reference.frames / FRAME_RATE:.2f} s in common are too short to tell: 0.2 s are needed")
    for sound, name in ((reference, "reference"), (estimate, "estimate")):
        if sound.silent:
            return _undecided(f"the {name} is silent: there is nothing to compare")
    controls = dict(other_sounds(reference, lag) if others is None else others)
    if not reference.steady:
        controls["other times"] = _other_times(reference, estimate, lag)
        turns = range(_NEIGHBOURS, estimate.movement.shape[1] - _NEIGHBOURS + 1)
        pitches = (similarity(reference.movement, np.roll(estimate.movement, turn, axis=1)) for turn in turns)
        controls["other pitches"] = np.array(list(pitches))
    score = likeness(reference, estimate)
    families = tuple(_family(name, score, scores) for name, scores in controls.items() if len(scores) >= _FEWEST)
    hardest = max(families, key=lambda family: family.p_value)
    related = hardest.p_value <= LEVEL
    reason = "above all but 5 % of the controls of every family"
    if not related:
        reason = f"not above {hardest.name}: {hardest.p_value:.0%} of them would do as well"
    if reference.steady:
        reason += "; the reference is steady, so that only its spectrum could be compared"
    elif not any(family.name == "other times" for family in families):
        reason += "; it is too short to be compared at other times"
    return Verdict(related, score, max(one.threshold for one in families), hardest.p_value, families, reason)


def other_sounds(reference: Features, lag: int = 0) -> dict[str, np.ndarray]:
    """Scores of the bundled clips of each kind in the estimate's place; of a steady reference, by spectrum."""
    if reference.steady:
        return {"other sounds": np.array([similarity(reference.spectrum, clip.spectrum) for clip in bundled_clips()])}
    scores: dict[str, list[float]] = {}
    for clip in bundled_clips():
        frames, bands = clip.movement.shape
        repeated = np.resize(clip.movement, (max(reference.frames, frames), bands))
        for turn in range(0, frames, -(-frames // _TURNS)):
            turned = (np.roll(repeated, place, axis=0)[: reference.frames] for place in {turn, turn + lag})
            best = max(similarity(reference.movement, movement) for movement in turned)
            scores.setdefault(f"other {clip.kind}", []).append(best)
    return {name: np.array(found) for name, found in scores.items()}


def _other_times(reference: Features, estimate: Features, lag: int) -> np.ndarray:
    """Scores of the estimate at other times, forwards away from its own time, and backwards."""
    frames = reference.frames
    shifts = np.arange(0, frames, max(_STEP, -(-frames // _MOST)))
    forwards, backwards = (
        at_every_shift(reference.movement, movement) for movement in (estimate.movement, estimate.movement[::-1])
    )
    forwards, backwards = (np.maximum(scores, np.roll(scores, -lag)) for scores in (forwards, backwards))
    turned = np.stack([shifts % frames, -shifts % frames, (shifts + lag) % frames, -(shifts + lag) % frames])
    away = turned.min(axis=0) >= _GUARD  # of no shift at all, either way around
    return np.concatenate([forwards[shifts[away]], backwards[shifts]])


def _family(name: str, score: float, controls: np.ndarray) -> Family:
    at_least = int((controls >= score).sum())
    allowed = int(LEVEL * (1 + len(controls)) + 1e-9) - 1  # controls that may reach the score
    threshold = float(np.sort(controls)[::-1][allowed])
    return Family(name, len(controls), threshold, (1 + at_least) / (1 + len(controls)))


def _undecided(reason: str) -> Verdict:
    return Verdict(False, 0.0, 1.0, 1.0, (), reason)
