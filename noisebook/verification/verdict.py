"""Related or not: the score of an estimate against the scores that unrelated sounds get.

Families of controls, each an answer to one objection:

    other music, speech, effects   the bundled clips of a kind in the estimate's place, each turned to six places:
                                   "any sound would do"
    other times                    the estimate itself, turned by 0.4 s and more, and played backwards at any turn:
                                   "any sound of this kind would do"
    other pitches                  the estimate with its mel bands turned by three and more:
                                   "any sound of this rhythm would do"

A control at another time has the estimate's own spectrum, rhythm and density, so it is as hard as any unrelated clip of
that kind: if the estimate knew nothing of the reference, no shift of it would be better than another (random shifts
around a torus: Lotwick & Silverman 1982). An estimate is called related if it beats all but 5 % of the controls of
*each* family; the p-value is the largest of theirs, `(1 + controls >= score) / (1 + controls)` (Davison & Hinkley
1997, chapter 4). `scipy.stats.permutation_test` draws its controls from the two samples, and has no such families.

A loop resembles its own shifts by whole periods; turned around its end it falls out of step with the reference, so that
a true copy is still the best of all shifts. So is another loop of the same tempo that happens to be in phase, and only
the pitches tell the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisebook.verification.controls import bundled_clips, bundled_movements, bundled_spectra
from noisebook.verification.similarity import FRAME_RATE, Features, at_every_shift, likeness, similarity

__all__ = ["LEVEL", "Family", "Verdict", "judge", "other_sounds"]

LEVEL = 0.05  # of significance
_FEWEST = round(1 / LEVEL) - 1  # controls with which a p-value can come down to the level
_SHORTEST = FRAME_RATE // 5  # frames in which a sound can move
_TURNS = 6  # places to which a bundled clip is turned
_GUARD = 2 * FRAME_RATE // 5  # frames within which a sound resembles itself
_NEIGHBOURS = 3  # mel bands from which on another one is another pitch
_STEP, _MOST = 2, 200  # frames between two shifts, or more, so that there are at most so many


@dataclass(frozen=True)
class Family:
    """The controls of one kind.

    Attributes:
        name: "other music", "other speech", "other effects", "other times" or "other pitches";
            "other sounds" for a steady reference.
        count: of controls.
        threshold: what a score has to exceed to beat all but 5 % of them.
        p_value: of the score.
    """

    name: str
    count: int
    threshold: float
    p_value: float


@dataclass(frozen=True)
class Verdict:
    """Whether an estimate is related to a reference.

    Attributes:
        related: whether the score exceeds the threshold, which is to say that the p-value is at most 0.05.
        score: similarity, -1 to 1.
        threshold: the largest of the families'.
        p_value: the largest of the families'.
        families: of controls, those that there are.
        reason: the verdict in a sentence.
    """

    related: bool
    score: float
    threshold: float
    p_value: float
    families: tuple[Family, ...]
    reason: str

    @property
    def n_controls(self) -> int:
        """Of all families together."""
        return sum(family.count for family in self.families)


def judge(
    reference: Features, estimate: Features, *, lag: int = 0, others: dict[str, np.ndarray] | None = None
) -> Verdict:
    """The verdict on two sounds of equal length that are aligned.

    Args:
        reference: `features` of the reference.
        estimate: of the estimate.
        lag: frames between the two alignments of which the better one was taken; 0 where there was no choice. Every
            control is given the same choice.
        others: `other_sounds` of the reference and lag, where they are known already.
    """
    if reference.frames < _SHORTEST:
        return _undecided(f"{reference.frames / FRAME_RATE:.2f} s in common are too short to tell: 0.2 s are needed")
    for sound, name in ((reference, "reference"), (estimate, "estimate")):
        if sound.silent:
            return _undecided(f"the {name} is silent: there is nothing to compare")
    found = dict(other_sounds(reference, lag) if others is None else others)
    if not reference.steady:
        found["other times"] = _other_times(reference, estimate, lag)
        turns = range(_NEIGHBOURS, estimate.movement.shape[1] - _NEIGHBOURS + 1)
        pitches = (similarity(reference.movement, np.roll(estimate.movement, turn, axis=1)) for turn in turns)
        found["other pitches"] = np.array(list(pitches))
    score = likeness(reference, estimate)
    families = tuple(_family(name, score, scores) for name, scores in found.items() if len(scores) >= _FEWEST)
    return _verdict(score, families, reference)


def other_sounds(reference: Features, lag: int = 0) -> dict[str, np.ndarray]:
    """Scores of the bundled clips of each kind in the estimate's place; of a steady reference, by spectrum."""
    if reference.steady:
        return {"other sounds": np.array([similarity(reference.spectrum, other) for other in bundled_spectra()])}
    scores: dict[str, list[float]] = {}
    for clip, movement in zip(bundled_clips(), bundled_movements(), strict=True):
        repeated = np.resize(movement, (max(reference.frames, len(movement)), movement.shape[1]))
        turns = range(0, len(movement), -(-len(movement) // _TURNS))

        def turned(turn: int, repeated: np.ndarray = repeated) -> float:
            return similarity(reference.movement, np.roll(repeated, turn, axis=0)[: reference.frames])

        found = (max(turned(place) for place in {turn, turn + lag}) for turn in turns)
        scores.setdefault(f"other {clip.kind}", []).extend(found)
    return {name: np.array(found) for name, found in scores.items()}


def _other_times(reference: Features, estimate: Features, lag: int) -> np.ndarray:
    """Scores of the estimate at other times, forwards away from its own time, and backwards."""
    frames, step = reference.frames, max(_STEP, -(-reference.frames // _MOST))
    forwards, backwards = (
        at_every_shift(reference.movement, movement) for movement in (estimate.movement, estimate.movement[::-1])
    )

    def distance(shifts: np.ndarray) -> np.ndarray:
        """From no shift at all, either way around."""
        return np.minimum(shifts % frames, -shifts % frames)

    shifts = np.arange(0, frames, step)
    away = (distance(shifts) >= _GUARD) & (distance(shifts + lag) >= _GUARD)
    forwards, backwards = (np.maximum(found, np.roll(found, -lag)) for found in (forwards, backwards))
    return np.concatenate([forwards[shifts[away]], backwards[shifts]])


def _family(name: str, score: float, controls: np.ndarray) -> Family:
    at_least = int((controls >= score).sum())
    allowed = int(LEVEL * (1 + len(controls)) + 1e-9) - 1  # controls that may reach the score
    threshold = float(np.sort(controls)[::-1][allowed])
    return Family(name, len(controls), threshold, (1 + at_least) / (1 + len(controls)))


def _verdict(score: float, families: tuple[Family, ...], reference: Features) -> Verdict:
    hardest = max(families, key=lambda family: family.p_value)
    related = hardest.p_value <= LEVEL
    if related:
        reason = "above all but 5 % of the controls of every family"
    else:
        reason = f"not above {hardest.name}: {hardest.p_value:.0%} of them would do as well"
    if reference.steady:
        reason += "; the reference is steady, so that only its spectrum could be compared"
    elif not any(family.name == "other times" for family in families):
        reason += "; it is too short to be compared at other times"
    threshold = max(family.threshold for family in families)
    return Verdict(related, score, threshold, hardest.p_value, families, reason)


def _undecided(reason: str) -> Verdict:
    return Verdict(False, 0.0, 1.0, 1.0, (), reason)
