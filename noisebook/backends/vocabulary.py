"""Words to tags: what a model that was trained with a few tags can make of a prompt."""

from __future__ import annotations

import re

from noisebook.errors import ConfigError

# By tag. A word under several of them counts in equal shares for each.
_WORDS = {
    "music": """
        accordion acoustic ambient arpeggio ballad band banjo bass bassoon beat bell blues brass cello chime choir
        chord chorus clarinet classical concert country cymbal dance disco drone drum drumming dubstep electro
        electronic ensemble flute folk funk guitar harmonica harmony harp harpsichord hiphop horn house instrument
        instrumental jazz keyboard loop lullaby mandolin march marimba melody metal musical musician oboe opera
        orchestra orchestral organ percussion piano pop punk rap rave reggae remix rhythm riff rock salsa saxophone
        sing singer sitar solo song soundtrack symphony string swing synth synthesizer techno theme timpani trance
        trombone trumpet tuba tune ukulele vibraphone viola violin vocal waltz xylophone
    """,
    "speech": """
        actor announcement announcer anchor audiobook boy chat child children choir conversation crowd debate dialog
        dialogue female girl human interview language lecture lecturer male man men monologue narration narrator news
        people person phone podcast poem prayer radio rap read reader recite say sermon shout sing singer speak speaker
        speech story storyteller talk tell telling vocal voice whisper woman women word
    """,
    "effects": """
        airplane alarm ambience animal applause bang bark beep bell bird blast boat boom brake breeze bubble buzz car
        cat chainsaw chime clap clatter click clock construction cow crackle crash creak cricket crowd dog door drill
        drip drop effect engine environment explosion fan fire firework foley footstep forest frog gear glass gun
        gunshot hail hammer helicopter hiss horn horse hum impact insect jet jungle key knock laser lightning machine
        machinery mechanical metal motor motorcycle nature night noise ocean phone plane pour rain raindrop ring
        rooster roar rumble rustle saw scratch sea sfx sheep shot siren sizzle slam snap spark splash squeak static
        steam step storm stream street switch thud thunder thunderstorm tick tool traffic train truck vehicle water
        waterfall wave weather whistle wind wood
    """,
}
# Without a meaning for any model of sound. Negations are not here: "without" is reported, since it has no effect.
_STOP_WORDS = """
    a about across all am an and are around as at audio be being but by clip for from has have her his i in inside into
    is it its me my near of off on one onto or our out outside over please recording some someone something sound that
    the their there these they this those through to two under up very was we were what when where which while who with
    you your
"""
_TABLE = {tag: frozenset(words.split()) for tag, words in _WORDS.items()}
_SILENT = frozenset(_STOP_WORDS.split())


def tag_weights(text: str, tags: tuple[str, ...]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Weights over "no tag" and `tags` that add up to 1, and the words of the text that are not known.

    Every known word counts the same. The empty text is "no tag". Stop words are neither counted nor reported. The
    ConfigError for a text without a known word says which are known.
    """
    if not text.strip():
        return (1.0, *(0.0 for _ in tags)), ()
    words = re.findall(r"\w+", text.lower())
    spoken = [word for word in words if word not in _SILENT and word.removesuffix("s") not in _SILENT]
    kinds = {word: _kinds(word, tags) for word in spoken}
    known = [found for found in kinds.values() if found]
    if not known:
        lists = (f"{tag} ({', '.join(sorted(_TABLE[tag])[4::9])}, ...)" if tag in _TABLE else tag for tag in tags)
        raise ConfigError(f"no word of the prompt {text!r} is known; known are words for {'; '.join(lists)}")
    weights = [sum((tag in found) / len(found) for found in known) / len(known) for tag in tags]
    return (0.0, *weights), tuple(word for word, found in kinds.items() if not found)


def _kinds(word: str, tags: tuple[str, ...]) -> list[str]:
    """The tags that a word stands for, by their own names and by the table; also of its stem."""
    for form in (word, *(word.removesuffix(ending) for ending in ("s", "es", "ing"))):
        found = [tag for tag in tags if form in (tag, tag.removesuffix("s")) or form in _TABLE.get(tag, ())]
        if found:
            return found
    return []
