"""Prompts of the embedded model: which words mean which kinds of sound, and which mean nothing to it."""

from __future__ import annotations

import pytest

from noisebook.backends.vocabulary import tag_weights
from noisebook.errors import ConfigError

TAGS = ("music", "speech", "effects")


@pytest.mark.parametrize(
    ("prompt", "weights"),
    [
        ("", (1, 0, 0, 0)),
        ("  ", (1, 0, 0, 0)),
        ("music", (0, 1, 0, 0)),
        ("Speech!", (0, 0, 1, 0)),
        ("effect", (0, 0, 0, 1)),
        ("a man speaking", (0, 0, 1, 0)),
        ("the sound of a piano and a guitar", (0, 1, 0, 0)),
        ("rain, explosions", (0, 0, 0, 1)),
        ("piano in the rain", (0, 0.5, 0, 0.5)),
        ("singer", (0, 0.5, 0.5, 0)),
        ("speech with piano and violins over", (0, 2 / 3, 1 / 3, 0)),
    ],
)
def test_known_words(prompt, weights):
    assert tag_weights(prompt, TAGS) == (pytest.approx(weights), ())


def test_unknown_words_are_reported_once_and_in_order():
    weights, unknown = tag_weights("Sombre piano, sombre mood without drums", TAGS)
    assert unknown == ("sombre", "mood", "without")
    assert weights == (0, 1, 0, 0)


def test_a_prompt_of_unknown_words_is_refused_with_help():
    for prompt in ("qwertz", "the", "..."):
        with pytest.raises(ConfigError, match=r"music .*speech .*effects"):
            tag_weights(prompt, TAGS)


def test_other_tags_know_their_own_names_only():
    assert tag_weights("birdsong", ("birdsong", "speech")) == ((0, 1, 0), ())
    assert tag_weights("birdsong piano talk", ("birdsong", "speech")) == ((0, 0.5, 0.5), ("piano",))
    with pytest.raises(ConfigError, match="birdsong"):
        tag_weights("piano", ("birdsong",))
