"""Every error that noisebook raises on purpose.

    Error
    |-- AudioError          sound that cannot be read, written or coded
    |-- ConfigError         an option or parameter outside its range
    |-- ModelError          weights that are missing, damaged or of the wrong kind
    |-- MissingExtra        an optional dependency is not installed
    `-- StreamError         bytes that are not a decodable .ddcm stream
        |-- NotAStream      wrong magic: some other kind of file
        |-- UnsupportedStream  a version, preset or layout this build does not know
        |-- TruncatedStream fewer bytes than the header promises
        |-- CorruptStream   checksum mismatch, or bytes past the end
        |-- WrongModel      made with another model than the one given
        `-- WrongCodebook   made with another latent codebook than the installed ones

A message says what was given, what is allowed and what to do. Anything that is not an `Error` is a bug.
"""

__all__ = [
    "AudioError",
    "ConfigError",
    "CorruptStream",
    "Error",
    "MissingExtra",
    "ModelError",
    "NotAStream",
    "StreamError",
    "TruncatedStream",
    "UnsupportedStream",
    "WrongCodebook",
    "WrongModel",
]


class Error(Exception):
    """Base of all deliberate errors."""


class AudioError(Error):
    """Sound that cannot be read, written or coded."""


class ConfigError(Error, ValueError):
    """An option or parameter outside its range."""


class ModelError(Error):
    """Weights that are missing, damaged or of the wrong kind."""


class MissingExtra(Error, ImportError):
    """An optional dependency is not installed; the message carries the install line."""


class StreamError(Error):
    """Bytes that are not a decodable .ddcm stream."""


class NotAStream(StreamError):
    """The magic bytes are not those of a .ddcm stream."""


class UnsupportedStream(StreamError):
    """A version, preset or layout that this build does not know."""


class TruncatedStream(StreamError):
    """Fewer bytes than the header promises."""


class CorruptStream(StreamError):
    """A checksum does not match, or bytes follow the end."""


class WrongModel(StreamError):
    """The stream was made with another model than the one given."""


class WrongCodebook(StreamError):
    """The stream was made with another latent codebook than the one given, or than the installed ones."""
