"""Which Debian packages hold training sound, which hold the sound to judge on, and their licences.

All are in the `main` archive of Debian 12, hence free by its guidelines. `licence_read` is True only
where the package's own copyright file was read for this table; elsewhere the licence is what the
upstream project is known to say, to be checked before redistributing any clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from noisebook.errors import ConfigError


@dataclass(frozen=True)
class Package:
    """One package: its download in megabytes and `rules`, (kind, path pattern) pairs, first match wins."""

    name: str
    megabytes: float
    rules: tuple[tuple[str, str], ...]
    licence: str
    licence_read: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind for kind, _ in self.rules))

    def kind_of(self, path: str) -> str | None:
        """Kind of the file at `path` (inside the package, posix), or None when no rule names it."""
        return next((kind for kind, pattern in self.rules if fnmatchcase(path, pattern)), None)


ALL_MUSIC = (("music", "*"),)
ALL_SPEECH = (("speech", "*"),)
ALL_EFFECTS = (("effects", "*"),)
MUSIC_AND_SOUNDS = (
    ("music", "*/[Mm]usic/*"),
    ("effects", "*/[Ss]ound/*"),
    ("effects", "*/[Ss]ounds/*"),
    ("effects", "*/sfx/*"),
)
FILLETS = (("music", "*/music/*"), ("music", "*music*.ogg"), ("speech", "*/sound/*"))

TRAIN: tuple[Package, ...] = (
    Package(
        "0ad-data",
        1377.6,
        (("music", "*/audio/music/*"), ("speech", "*/audio/voice/*"), ("effects", "*/audio/*")),
        "CC-BY-SA-3.0",
    ),
    Package("asc-music", 10.3, ALL_MUSIC, "GPL-2+", True),
    Package("colobot-common-sounds", 60.7, MUSIC_AND_SOUNDS, "GPL-3+"),
    Package("fillets-ng-data", 70.6, FILLETS, "GPL-2"),
    Package("fillets-ng-data-cs", 39.0, FILLETS, "GPL-2", True),
    Package("fillets-ng-data-nl", 32.6, FILLETS, "GPL-2", True),
    Package("freedroidrpg-data", 228.3, MUSIC_AND_SOUNDS, "GPL-2+, some CC-BY and CC-BY-SA"),
    Package("fretsonfire-songs-muldjord", 29.3, ALL_MUSIC, "CC-BY-SA-3.0 (El Senator / Muldjord)", True),
    Package(
        "hedgewars-data",
        145.3,
        (("music", "*/Music/*"), ("speech", "*/Sounds/voices/*"), ("effects", "*/Sounds/*")),
        "GPL-2",
    ),
    Package("hyperrogue-music", 63.8, ALL_MUSIC, "CC-BY-SA"),
    Package("klettres-data", 39.5, ALL_SPEECH, "GPL-2+", True),
    Package("ktuberling-data", 46.7, ALL_SPEECH, "GPL-2+", True),
    Package("lincity-ng-data", 44.8, MUSIC_AND_SOUNDS, "GPL-2+", True),
    Package(
        "marsshooter-data",
        68.4,
        (("music", "*/audio/music/*"), ("effects", "*/audio/*")),
        "GPL-3+, music CC-BY-SA",
    ),
    Package("naev-data", 349.5, MUSIC_AND_SOUNDS, "GPL-3, CC-BY, CC-BY-SA and CC0, file by file"),
    Package("nexuiz-music", 84.0, ALL_MUSIC, "GPL-2+"),
    Package("planetblupi-music-ogg", 60.1, ALL_MUSIC, "GPL-3+", True),
    Package("qabcs-data", 33.6, (("effects", "*/noises/*"), ("speech", "*/sounds/*")), "GPL-3+", True),
    Package("sonic-pi-samples", 21.9, ALL_EFFECTS, "CC0", True),
    Package("starfighter-data", 45.6, MUSIC_AND_SOUNDS, "GPL-2+", True),
    Package("supertux-data", 161.6, MUSIC_AND_SOUNDS, "GPL-2+, CC-BY-SA"),
    Package("trigger-rally-data", 118.7, MUSIC_AND_SOUNDS, "GPL-2+, CC-BY-SA"),
    Package(
        "tuxpaint-stamps-default",
        160.9,
        (("speech", "*_desc*"), ("effects", "*/stamps/*")),
        "GPL-2+, some public domain",
    ),
    Package("ufoai-music", 210.2, ALL_MUSIC, "GPL-2, CC-BY-3.0, CC-BY-SA-3.0 (list in ufoai-sound)"),
    Package("ufoai-sound", 18.7, ALL_EFFECTS, "GPL-2+, CC-BY-3.0, CC-BY-SA-3.0, public domain, file by file", True),
    Package("warmux-data", 98.5, (("music", "*/music/*"), ("effects", "*")), "GPL-2+"),
    Package("warzone2100-music", 85.7, ALL_MUSIC, "GPL-2+, CC-BY-SA-3.0"),
    Package("wesnoth-1.16-data", 146.2, (("effects", "*/sounds/*"),), "GPL-2+, newer files CC-BY-SA-4.0"),
    Package("wesnoth-1.16-music", 153.2, ALL_MUSIC, "GPL-2+, newer files CC-BY-SA-4.0"),
    Package("widelands-data", 381.4, MUSIC_AND_SOUNDS, "GPL-2+"),
    Package("xmoto-data", 31.9, ALL_MUSIC, "GPL-2+", True),
)

HELD_OUT: tuple[Package, ...] = (
    Package("asterisk-core-sounds-en-g722", 10.6, ALL_SPEECH, "CC-BY-SA-3.0 (Allison Smith)", True),
    Package("asterisk-core-sounds-fr-g722", 10.8, ALL_SPEECH, "CC-BY-SA-3.0 (June Wallack)", True),
    Package("megaglest-data", 242.0, (("music", "*/music/*"), ("effects", "*")), "CC-BY-SA-3.0"),
    Package("openttd-opensfx", 9.9, ALL_EFFECTS, "CC-BY-SA-3.0", True),
    Package(
        "pocketsphinx-testdata",
        1.8,
        (("speech", "*/librivox/*"), ("speech", "*/cards/*")),
        "BSD-2-clause; the LibriVox readings are public domain",
        True,
    ),
    Package("singularity-music", 51.6, ALL_MUSIC, "CC-BY-SA-3.0 (Max McCracken, 'Maxstack')", True),
    Package("supertuxkart-data", 627.7, MUSIC_AND_SOUNDS, "GPL-3+, CC-BY, CC-BY-SA, CC0, file by file"),
)


def choose(names: str | None, kind: str, *, held_out: bool) -> tuple[Package, ...]:
    """Rows of one table by comma-separated `names` (None: all) that hold `kind` ("all": any). ConfigError for a name
    that is not in this table; the two tables never mix."""
    table, other = (HELD_OUT, TRAIN) if held_out else (TRAIN, HELD_OUT)
    by_name = {package.name: package for package in table}
    wanted = list(by_name) if names is None else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in by_name:
            elsewhere = any(package.name == name for package in other)
            why = "belongs to the other table, and the two never mix" if elsewhere else "is in no table"
            flag = "without" if held_out else "with"
            advice = f"give it {flag} --held-out and another folder" if elsewhere else "the licences verb lists both"
            raise ConfigError(f"package {name!r} {why}; {advice}")
    chosen = tuple(by_name[name] for name in dict.fromkeys(wanted))
    return tuple(package for package in chosen if kind == "all" or kind in package.kinds)


def is_held_out_name(name: str) -> bool:
    """Whether a clip's file name says that it came from a held-out package."""
    return any(f"-{package.name}-" in name or f"__{package.name}__" in name for package in HELD_OUT)
