"""`reconstruct`, `transform`, `generate` and `restore`: sounds that the model makes, in part or as a whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook import api
from noisebook.api import (
    DamageOptions,
    EncodeOptions,
    GenerateOptions,
    GenerateStreamOptions,
    ModelOptions,
    ReconstructOptions,
    RestoreOptions,
    TransformOptions,
    Waveform,
)
from noisebook.cli import _files
from noisebook.cli._options import FILE, in_out, options_of, output_option, refuse, sound_options
from noisebook.cli._shared import STANDARD, finite, number, progress, report, table, wrong_usage
from noisebook.diffusion.backend import Backend
from noisebook.errors import ConfigError
from noisebook.synthesis.options import TRANSFORM_METHODS

if TYPE_CHECKING:
    from noisebook.synthesis.damage import Damage

_CODING = ("preset", "bitrate", "quality", "tag")  # of restore --ddcm
_AXES = ("front_end", "posterior", "latent_limit", "vocoder", "post")  # of a reconstruction


@click.command()
@in_out("The sound to write; by default IN-PRESET.wav beside IN.", required=False)
@options_of(ReconstructOptions)
@click.option("--all", "every", is_flag=True, help="Every preset, as IN-PRESET.wav in the folder OUT.")
@click.option("--list", "listing", is_flag=True, help="Show the table of presets, and do nothing else.")
@sound_options
def reconstruct(source: str | None, every: bool, listing: bool, **options: Any) -> None:
    """Pass a sound through the autoencoder and a vocoder, without bits.

    The result is the best that a codec over this latent could do. A preset is one choice at each of five axes:
    front end, posterior, latent limit, vocoder and post-processing; options override single axes.
    The report says what ran at each axis, and how near the result is, with silence for comparison.

    \b
    noisebook reconstruct song.flac                      # song-matched.wav
    noisebook reconstruct song.flac bright.wav -p v4-high-freq
    noisebook reconstruct song.flac -p simple --front-end historical
    noisebook reconstruct song.flac folder --all
    """
    if listing:
        _list_presets()
        return
    if source is None:
        raise wrong_usage("Missing argument 'IN'")
    chosen = ReconstructOptions.among(options)
    api.reconstruction_preset(chosen)  # names a wrong choice before any work
    if every:
        outputs = _every_output(source, options)
    else:
        outputs = {chosen.preset: _files.sound_output(source, options["output"], options, added=f"-{chosen.preset}")}
    sound = _files.read_sound(source, outputs[chosen.preset])
    backend, results = ModelOptions.among(options).load(), []
    with progress("reconstructing", quiet=None if every else True) as work:
        for name, out in outputs.items():
            results.append(_reconstructed(out, sound, chosen.replaced(preset=name), backend))
            if work.on_step is not None:
                work.on_step(len(results), len(outputs))
    report({"outputs": results} if every else results[0], "\n".join(map(_reconstruction_text, results)))


def _every_output(source: str, options: Mapping[str, Any]) -> dict[str, _files.Output]:
    """The outputs of --all by preset, in their folder."""
    refuse(["preset"], "and --all exclude each other")
    target = options["output"]
    if STANDARD in (source, target):
        raise ConfigError("--all names its files after IN, in a folder; neither can be -")
    _files.check_source(source)
    folder, stem = str(Path(source).parent if target is None else target), Path(source).stem
    _files.make_folder(folder)
    paths = {preset.name: str(Path(folder, f"{stem}-{preset.name}.wav")) for preset in api.reconstruction_presets()}
    return {name: _files.sound_output(source, path, options) for name, path in paths.items()}


def _reconstructed(out: _files.Output, sound: Waveform, chosen: ReconstructOptions, backend: Backend) -> dict[str, Any]:
    """Reconstruct and write; what the report says of it."""
    with progress("reconstructing", quiet=True) as work:
        result = api.reconstruct(sound, backend=backend, options=chosen)
    held = out.write_sound(result.waveform)
    measures, silence = (
        {name: finite(round(value, 3)) for name, value in one.items()} for one in (result.measures, result.silence)
    )
    values = {"preset": chosen.preset, **_files.sound_values(out.path, result.waveform, work.seconds), "held": held}
    return {**values, "ran": vars(result.ran), "measures": measures, "silence": silence}


def _reconstruction_text(values: Mapping[str, Any]) -> str:
    what = f"{values['preset']}, {values['duration']:.2f} s, {values['seconds']:.1f} s"
    lines = [f"{values['output']}: {what}{_files.held_text(values['held'])}"]
    lines += [f"  {axis.replace('_', ' '):14}{choice}" for axis, choice in values["ran"].items()]
    for name, value in values["measures"].items():
        pair = ["-" if one is None else f"{one:.2f}" for one in (value, values["silence"][name])]
        lines.append(f"  {name.removesuffix('_db').replace('_', ' '):23}{pair[0]:>8} dB   silence {pair[1]:>8} dB")
    return "\n".join(lines)


def _list_presets() -> None:
    rows = [
        {"preset": preset.name, **{axis: str(getattr(preset, axis)) for axis in _AXES}}
        for preset in api.reconstruction_presets()
    ]
    lines = [table([[key.replace("_", " ") for key in rows[0]], *([*row.values()] for row in rows)])]
    lines += ["", "By default, with the front end matched, these write the same file:"]
    alike = [{"when": when, "presets": names} for when, names in api.same_reconstructions()]
    lines += [f"  {', '.join(one['presets'])}: {one['when']}" for one in alike]
    report({"presets": rows, "same": alike}, "\n".join(lines))


@click.command()
@in_out("The sound to write; by default IN-METHOD.wav beside IN.")
@options_of(TransformOptions)
@sound_options
def transform(source: str, **options: Any) -> None:
    """Lead a sound towards a prompt.

    The strength says how much of IN is given up, evenly from the sound itself to a new one that keeps only its length
    and level. Rate and channels stay. The prompt's words are those that generate knows. The suffix of OUT names the
    format as in decompress; IN may be - for standard input, OUT may be - for a WAV file on standard output.

    \b
    noisebook transform talk.wav --prompt music               # talk-input-based.wav
    noisebook transform song.flac calm.flac -p "rain and wind" -s 0.3
    noisebook transform song.flac x.wav -p speech -m guided -s 0.4 --scales 4
    noisebook transform song.flac x.wav -m improved --codebook own --temperature 0.1
    noisebook transform birds.wav x.wav -p rain -m full-diffusion --steps 50
    """
    method = options["method"]
    of_others = {name for names in TRANSFORM_METHODS.values() for name in names}.difference(TRANSFORM_METHODS[method])
    refuse(of_others, f"is no option of --method {method}")
    chosen = TransformOptions.among(options)
    out = _files.sound_output(source, options["output"], options, added=f"-{method}")
    sound = _files.read_sound(source, out)
    backend = ModelOptions.among(options).load()
    unknown = _unknown_words(backend, chosen.prompt, chosen.negative)
    with progress("transforming") as work:
        changed = api.transform(sound, backend=backend, options=chosen, on_step=work.on_step)
    held = out.write_sound(changed)
    values = {name: getattr(chosen, name) for name in ("method", "strength", "prompt", "seed")}
    values |= _files.sound_values(out.path, changed, work.seconds) | {"unknown_words": unknown, "held": held}
    text = f"{out.path}: {chosen.method}, strength {chosen.strength:g}, {changed.duration:.2f} s, {work.seconds:.1f} s"
    report(values, text + _files.held_text(held))


@click.command()
@output_option(
    "The sound or stream to write; by default generated.wav or .ddcm.", click.argument("prompt", metavar="PROMPT")
)
@options_of(GenerateOptions)
@click.option(
    "--ddcm", "K", type=int, metavar="K", help="Noise from codebooks of K atoms (4, 8, ...): OUT is a stream."
)
@options_of(GenerateStreamOptions, "candidates", prefix="With --ddcm: ")
@click.option("--wav", metavar="FILE", type=FILE, help="With --ddcm: write the sound too.")
@sound_options
def generate(prompt: str, **options: Any) -> None:
    """Make a new sound from a prompt.

    The model inside the package was trained with three kinds of sound, music, speech and effects, and knows some
    hundred words for them; a warning names those that it does not know. The empty PROMPT is any sound. The suffix of
    OUT names the format as in decompress; OUT may be - for a WAV file on standard output.

    \b
    noisebook generate music                                  # generated.wav, 10 s
    noisebook generate "man speaking in the rain" talk.flac --seconds 25 --seed 7
    noisebook generate effects wind.wav --preset detailed --negative speech
    noisebook generate music tune.ddcm --ddcm 64 --wav tune.wav
    """
    as_stream = options["K"] is not None
    sound_only = {*GenerateOptions.names()}.difference(GenerateStreamOptions.names())
    _refuse_by_ddcm(as_stream, sound_only=sound_only, stream_only=("candidates", "wav"))
    if options["output"] is None:
        options["output"] = "generated.ddcm" if as_stream else "generated.wav"
    (_generate_stream if as_stream else _generate_sound)(prompt, options)


def _generate_sound(prompt: str, options: Mapping[str, Any]) -> None:
    target = _files.sound_output(STANDARD, options["output"], options, stream_by="--ddcm 64")
    chosen, backend = GenerateOptions.among(options), ModelOptions.among(options).load()
    _unknown_words(backend, prompt, chosen.negative)
    with progress("generating") as work:
        made = api.generate(prompt, backend=backend, options=chosen, on_step=work.on_step)
    target.write_sound(made.sound)
    values = _files.sound_values(target.path, made.sound, work.seconds) | {
        "seed": made.seed,
        "unknown_words": made.unknown,
    }
    what = f"{made.sound.duration:.2f} s at {made.sound.sample_rate} Hz, seed {made.seed}, {work.seconds:.1f} s"
    if made.similarities:
        values["similarities"] = made.similarities
        what += f", the best of {len(made.similarities)}: {max(made.similarities):.3f} of CLAP"
    report(values, f"{target.path}: {what}")


def _generate_stream(prompt: str, options: Mapping[str, Any]) -> None:
    target, wav = _files.stream_output(STANDARD, options["output"], options), options["wav"]
    if wav == target.path:
        raise ConfigError(f"{wav} cannot be the stream and the sound; name another --wav")
    beside = None if wav is None else _files.sound_output(STANDARD, wav, options)
    chosen = GenerateStreamOptions.among({name: value for name, value in options.items() if value is not None})
    backend = ModelOptions.among(options).load()
    _unknown_words(backend, prompt, chosen.negative)
    with progress("generating") as work:
        made = api.generate_stream(prompt, backend=backend, options=chosen, on_step=work.on_step)
    target.write(made.data)
    if beside is not None:
        beside.write_sound(made.sound)
    size, duration = len(made.data), made.sound.duration
    values = _files.sound_values(target.path, made.sound, work.seconds)
    values |= _files.stream_values(target.path, size, duration, work.seconds)
    values |= {"seed": made.seed, "unknown_words": made.unknown, "wav": wav}
    rate = f"{size} bytes, {number(8 * size / duration)} bit/s"
    report(values, f"{target.path}: {rate}, {duration:.2f} s of sound, {work.seconds:.1f} s")


@click.command()
@in_out("What to write; by default IN-restored.wav, or .ddcm, beside IN.")
@click.option(
    "--task", type=click.Choice(["inpaint", "bandwidth", "declip"]), required=True,
    help="Fill gaps, invent what is above a cutoff, or undo clipping.",
)  # fmt: skip
@options_of(RestoreOptions)
@click.option("--ddcm", is_flag=True, help="Compress at the same time: OUT is a .ddcm stream.")
@options_of(EncodeOptions, *_CODING, prefix="With --ddcm: ")
@sound_options
def restore(source: str, ddcm: bool, **options: Any) -> None:
    """Restore a damaged sound: the model invents what is lost, in agreement with what is not.

    A restored band ends where what the model hears does; a sound of a lower sample rate gets the model's. Declipped
    sound that would exceed full scale is made quieter, and the report says by how much.

    \b
    noisebook restore talk.wav --task inpaint --gap 2.5:2.9    # talk-restored.wav
    noisebook restore phone.wav wide.wav --task bandwidth --cutoff 3400 --prompt speech
    noisebook restore loud.flac --task declip
    noisebook restore talk.wav talk.ddcm --task bandwidth --ddcm --preset 1500
    """
    sound_only = {*RestoreOptions.names()}.difference(DamageOptions.names(), EncodeOptions.names())
    _refuse_by_ddcm(ddcm, sound_only=sound_only, stream_only=_CODING)
    (_restore_stream if ddcm else _restore_sound)(source, options)


def _restore_sound(source: str, options: Mapping[str, Any]) -> None:
    out = _files.sound_output(source, options["output"], options, added="-restored", stream_by="--ddcm")
    sound = _files.read_sound(source, out)
    chosen, backend = RestoreOptions.among(options), ModelOptions.among(options).load()
    with progress("restoring") as work:
        made = api.restore(sound, options["task"], backend=backend, options=chosen, on_step=work.on_step)
    _tell_unknown(made.unknown)
    fitting, gain_db = (made.sound, 0.0) if out.bits == "float" else api.within_full_scale(made.sound)
    out.write_sound(fitting)
    found, what = _restored(made.damage, made.sound.sample_rate)
    values = _files.sound_values(out.path, made.sound, work.seconds) | found
    values |= {"gain_db": gain_db, "unknown_words": made.unknown}
    quieter = f"; made quieter by {-gain_db:g} dB to fit full scale" if gain_db else ""
    report(values, f"{out.path}: {what}, {made.sound.duration:.2f} s, {work.seconds:.1f} s{quieter}")


def _restore_stream(source: str, options: Mapping[str, Any]) -> None:
    out = _files.stream_output(source, options["output"], options, added="-restored")
    chosen, coding = DamageOptions.among(options), EncodeOptions.among(options)
    sound, backend = _files.read_sound(source), ModelOptions.among(options).load()
    with progress("restoring") as work:
        made = api.restore_stream(
            sound, options["task"], backend=backend, options=chosen, coding=coding, on_step=work.on_step
        )
    out.write(made.data)
    size, (found, what) = len(made.data), _restored(made.damage, sound.sample_rate)
    rate = f"{size} bytes, {number(8 * size / sound.duration, 5)} bit/s"
    values = _files.stream_values(out.path, size, sound.duration, work.seconds) | found
    report(values, f"{out.path}: {what}, {rate}, {work.seconds:.1f} s")


def _restored(damage: Damage, sample_rate: int) -> tuple[dict[str, Any], str]:
    """The damage that was given or found, as values and in words."""
    if damage.task == "inpaint":
        gaps = [[round(edge / sample_rate, 4) for edge in gap] for gap in damage.gaps]
        spans = ", ".join(f"{start:g}-{end:g} s" for start, end in gaps)
        return {"task": damage.task, "gaps": gaps}, f"inpainted {spans}"
    if damage.task == "bandwidth":
        cutoff = round(damage.cutoff, 1)
        return {"task": damage.task, "cutoff": cutoff}, f"restored above {cutoff:g} Hz"
    threshold = round(damage.threshold, 5)
    return {"task": damage.task, "threshold": threshold}, f"declipped at {threshold:g}"


def _refuse_by_ddcm(as_stream: bool, *, sound_only: Collection[str], stream_only: Collection[str]) -> None:
    """Refuse the options that need --ddcm where it is not given, and those that exclude it where it is."""
    if as_stream:
        refuse(sound_only, "does not go with --ddcm")
    else:
        refuse(stream_only, "goes with --ddcm only")


def _unknown_words(backend: Backend, *prompts: str | None) -> tuple[str, ...]:
    """The words of prompts that have no effect, after saying so: before the work begins."""
    return _tell_unknown(api.unknown_words(backend, *filter(None, prompts)))


def _tell_unknown(words: tuple[str, ...]) -> tuple[str, ...]:
    if words:
        click.echo(f"noisebook: words without effect: {', '.join(words)}", err=True)
    return words
