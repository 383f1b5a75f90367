"""The page: Gradio's components, and the events between them and the job runner. Nothing is computed here.

Only `server.application` imports this module, once Gradio is known to be installed. Annotations are evaluated (there is
no `from __future__ import annotations`), since Gradio looks at them to find out which argument is the request.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from noisebook.api import codebook_names, reconstruction_presets
from noisebook.audio.io import bundled_clips
from noisebook.codec.presets import PRESETS, QUALITIES
from noisebook.errors import ConfigError, Error
from noisebook.studio.jobs import CLIPS, Cancelled, Tell, compared
from noisebook.studio.rendering import message
from noisebook.studio.runner import JobRunner
from noisebook.studio.settings import MAX_COMPARED, METHODS, Settings, compared_methods
from noisebook.synthesis.options import TRANSFORM_METHODS

_OTHER = "other"  # in place of a preset: the slider
_STALE = "() => { document.querySelector('#result noisebook-result')?.stale(true); }"
_EMPTY = "Choose a sound and a method, then press Make. The result appears here."
_QUIET: Any = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}  # of an event


def theme() -> Any:
    """Colours and fonts of the reports; no font is loaded from anywhere."""
    sans, mono = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"), ("ui-monospace", "monospace")
    colours = {"primary_hue": "indigo", "secondary_hue": "indigo", "neutral_hue": "zinc"}
    return gr.themes.Base(font=sans, font_mono=mono, radius_size="md", **colours).set(
        body_text_color_subdued="#5b646e", body_text_color_subdued_dark="#a0a8b0",
        body_background_fill="#fcfcfa", body_background_fill_dark="#14171a", block_background_fill_dark="#1b1f23",
        block_label_text_color="*body_text_color_subdued",
        color_accent="#3f51b5", button_primary_background_fill="#3f51b5",
        button_primary_background_fill_hover="#344397", button_primary_text_color="white",
        button_primary_background_fill_dark="#5566cc", block_border_width="1px", block_shadow="none",
    )  # fmt: skip


def build(runner: JobRunner) -> Any:
    """The page of a job runner as Gradio blocks."""
    with gr.Blocks(title="noisebook studio", analytics_enabled=False, delete_cache=(300, 3600)) as page:
        info = runner.backend.info
        gr.Markdown(f"# noisebook studio\nSound as a list of choices · model {info.name}", elem_id="title")
        with gr.Tabs() as tabs:
            with gr.Tab("Make", id="make"):
                sound, clip, made = _make_tab(runner, page)
            with gr.Tab("Open a stream", id="open"):
                opened = _open_tab(runner)

        def take(event: gr.EventData) -> list[Any]:
            """A result becomes the next input."""
            found = runner.store.find(event.token, event.name)
            if found is None:
                raise gr.Error("this result is no longer here: make it again", print_exception=False)
            return [str(found), "", gr.update(selected="make")]

        for result in (made, opened):
            _keep_uploads(runner, sound, result.reuse(take, None, [sound, clip, tabs], **_QUIET).then)

        def leave(request: gr.Request) -> None:
            runner.close(str(request.session_hash))

        page.unload(leave)
    # Jobs wait in the runner, where they can be cancelled at once: Gradio lets all through, each in a thread.
    page.max_threads = runner.jobs + runner.waiting + 8
    page.queue(default_concurrency_limit=None)
    return page


def _make_tab(runner: JobRunner, page: Any) -> tuple[Any, Any, Any]:
    """Makes a result of a sound. Gives the components of the sound, of the bundled clip, and of the result."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            sound, parts = _choices(runner)
            # Not before the address is read: its settings would come over those that a visitor chose meanwhile.
            run, cancel = _buttons("Make", "make", interactive=False)
        with gr.Column(scale=3, min_width=300):
            empty = message(_EMPTY, problem=False)
            result = _result(empty, "result")

    def make(values: dict[Any, Any], session: str, tell: Tell) -> Iterator[str]:
        upload = Path(values[sound]) if values[sound] else None
        settings = _settings({name: values[part] for name, part in parts.items()})
        return runner.make(session, settings, upload, tell=tell)

    def address(request: gr.Request) -> list[Any]:
        """The page as its address says; what it does not name is left as it is. Without an address, the song."""
        query = {name: text for name, text in request.query_params.items() if not name.startswith("_")}
        html = gr.skip()
        try:
            settings = Settings.from_query(query or {"clip": next(iter(CLIPS))})
            html = runner.ready(settings.clip) if settings.clip in CLIPS else html
            if settings.method == "generate":
                runner.limits.check_seconds(settings.seconds, "the sound of this address would be")
        except Error as error:
            settings, html, query = Settings(), message(str(error)), {}
        clip = bundled_clips().get(settings.clip)
        shown = vars(settings) | {"methods": list(settings.methods), "bitrate": settings.bitrate or 500}
        shown |= {"seconds": min(settings.seconds, runner.limits.seconds)}
        shown |= {"preset": _OTHER} if settings.bitrate else {}
        named = {"clip", *query, *(("preset",) if settings.bitrate else ())}
        updates = [gr.update(value=shown[name]) if name in named else gr.skip() for name in parts]
        return [gr.skip() if clip is None else str(clip), html, gr.update(interactive=True), *updates]

    _job(run, cancel, runner, make, {sound, *parts.values()}, result)
    _keep_uploads(runner, sound, sound.upload, sound.stop_recording)
    for event in (sound.upload, sound.stop_recording, sound.clear):
        event(None, None, parts["clip"], js="() => ''", **_QUIET)
    parts["clip"].input(
        lambda name: [str(bundled_clips()[name]), runner.ready(name)] if name else [None, empty],
        parts["clip"], [sound, result], **_QUIET,
    )  # fmt: skip
    gr.on([sound.change, *(part.change for part in parts.values())], None, None, None, js=_STALE, **_QUIET)
    page.load(address, None, [sound, result, run, *parts.values()], queue=False, api_visibility="private")
    return sound, parts["clip"], result


def _open_tab(runner: JobRunner) -> Any:
    """Opens a stream. Gives the component of the result."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            stream = gr.File(label="A .ddcm stream", file_count="single", type="filepath", elem_id="upload", height=140)
            run, cancel = _buttons("Open", "open")
        with gr.Column(scale=3, min_width=300):
            empty = message("Drop a stream and press Open: it is decoded from its bytes alone.", problem=False)
            result = _result(empty, "opened")

    def open_stream(values: dict[Any, Any], session: str, tell: Tell) -> Iterator[str]:
        if not values[stream]:
            raise ConfigError("there is no stream: drop a .ddcm file")
        return runner.open(session, Path(values[stream]), tell=tell)

    _job(run, cancel, runner, open_stream, {stream}, result)
    _keep_uploads(runner, stream, stream.upload)
    return result


def _result(empty: str, name: str) -> Any:
    # Gradio's element passes on an event of the page: a result shall be the next input.
    on_load = "element.addEventListener('reuse', (event) => trigger('reuse', event.detail))"
    return gr.HTML(empty, min_height=150, apply_default_css=False, elem_id=name, js_on_load=on_load)


def _buttons(label: str, name: str, *, interactive: bool = True) -> tuple[Any, Any]:
    """One that starts a job and one that ends it, in a bar that is always in sight."""
    with gr.Row(elem_classes="actions"):
        run = gr.Button(label, variant="primary", elem_id=name, interactive=interactive, scale=3, min_width=120)
        cancel = gr.Button("Cancel", interactive=False, elem_id=f"cancel-{name}", scale=1, min_width=90)
    return run, cancel


def _job(run: Any, cancel: Any, runner: JobRunner, work: Any, inputs: set[Any], result: Any) -> None:
    """What the two buttons do. What is not an `Error` is a bug and raises."""
    bar = gr.Progress()

    def begin(request: gr.Request) -> list[Any]:
        runner.begin(str(request.session_hash))
        return [gr.update(interactive=False), gr.update(interactive=True), message("", problem=False)]

    def do(values: dict[Any, Any], request: gr.Request, progress: gr.Progress = bar) -> Iterator[str]:
        heard = False

        def tell(what: str, share: float) -> None:
            if not heard:  # then the bar would lie over what can be played
                progress(share, desc=what)

        try:
            for html in work(values, str(request.session_hash), tell):
                heard = True
                yield html
        except Cancelled:
            yield message("Cancelled. Nothing was kept.", problem=False)
        except Error as error:
            yield message(str(error))

    def end(request: gr.Request) -> None:
        runner.cancel(str(request.session_hash))

    begun = run.click(begin, None, [run, cancel, result], **_QUIET)
    done = begun.then(do, inputs, result, api_visibility="private")
    done.then(lambda: [gr.update(interactive=True), gr.update(interactive=False)], None, [run, cancel], **_QUIET)
    cancel.click(end, None, None, **_QUIET)
    to_result = f"() => document.getElementById('{result.elem_id}').scrollIntoView({{behavior: 'smooth'}})"
    run.click(None, None, None, js=to_result, api_visibility="private")


def _keep_uploads(runner: JobRunner, part: Any, *events: Callable[..., Any]) -> None:
    """The files of a component belong to the session that sent them."""

    def keep(path: str | None, request: gr.Request) -> None:
        if path:
            runner.keep_upload(str(request.session_hash), Path(path))

    for event in events:
        event(keep, part, None, **_QUIET)


def _choices(runner: JobRunner) -> tuple[Any, dict[str, Any]]:
    """The sound, and a component for each setting."""
    limits, start = runner.limits, Settings()
    clips = [*((title, name) for name, title in CLIPS.items()), ("My own", "")]
    methods = [(method.label, name) for name, method in METHODS.items()]
    parts: dict[str, Any] = {"clip": gr.Radio(clips, value="", label="Sound", elem_id="clip")}
    sound = gr.Audio(
        label=f"Up to {limits.seconds:g} s and {limits.megabytes:g} MB", sources=["upload", "microphone"],
        type="filepath", buttons=[], elem_id="sound",
    )  # fmt: skip
    with gr.Group():
        parts["method"] = gr.Radio(methods, value=start.method, label="Method", info=METHODS[start.method].about)
        parts |= _usual(limits.seconds)
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            parts |= _advanced()
    for name, part in parts.items():
        part.elem_id, part.visible = name, _is_shown(name, start.method, start.preset, start.task)

    def shown(method: str, preset: str, task: str) -> list[Any]:
        visible = {name: gr.update(visible=_is_shown(name, method, preset, task)) for name in parts}
        return list((visible | {"method": gr.update(info=METHODS[method].about)}).values())

    ruling = [parts[name] for name in ("method", "preset", "task")]
    for part in ruling:
        part.change(shown, ruling, [*parts.values()], **_QUIET)
    return sound, parts


def _usual(longest: float) -> dict[str, Any]:
    """A component for each setting of a method that many will change, by the setting's name."""
    start = Settings()
    presets = [*(preset.name for preset in PRESETS), _OTHER]
    tasks = [("Fill gaps", "inpaint"), ("Widen the band", "bandwidth"), ("Declip", "declip")]
    methods = [(compared(name)[0], name) for name in compared_methods()]
    return {
        "preset": gr.Radio(presets, value=start.preset, label="Bit/s"),
        "bitrate": gr.Slider(5, 8000, value=500, step=5, label="Bit/s, mono or stereo"),
        "task": gr.Radio(tasks, value=start.task, label="Damage"),
        "prompt": gr.Textbox(start.prompt, label="Prompt", placeholder="music, speech, a dog barking", max_lines=2),
        "strength": gr.Slider(0, 1, value=start.strength, step=0.05, label="Strength"),
        "seconds": gr.Slider(min(0.5, longest), longest, value=min(start.seconds, longest), step=0.5, label="Seconds"),
        "stream": gr.Checkbox(start.stream, label="As a .ddcm stream"),
        "gaps": gr.Textbox("", label="Gaps, in seconds", placeholder="2.5:2.9 4:4.2; empty looks for digital silence"),
        "cutoff": gr.Number(0, label="Cutoff in Hz; 0 looks for it"),
        "methods": gr.Dropdown(
            methods, value=list(start.methods), label="Methods", multiselect=True, max_choices=MAX_COMPARED
        ),
    }


def _advanced() -> dict[str, Any]:
    """The other settings, which few will change; among them the vocoders of before."""
    start = Settings()
    codebooks = [("—", ""), *((name, name) for name in codebook_names())]
    rows = [row.name for row in reconstruction_presets()]
    return {
        "quality": gr.Radio(list(QUALITIES), value=start.quality, label="Effort"),
        "codebook": gr.Dropdown(codebooks, value="", label="or, in place of that, the words of a codebook"),
        "reconstruction": gr.Dropdown(rows, value=start.reconstruction, label="Preset"),
        "transformation": gr.Dropdown(list(TRANSFORM_METHODS), value=start.transformation, label="Method"),
        "seed": gr.Number(start.seed, label="Seed, 0 to 255", precision=0),
    }


def _is_shown(name: str, method: str, preset: str, task: str) -> bool:
    """Whether a setting is for this method; the slider, gaps and cutoff only where they are meant."""
    if name in ("clip", "method", "seed"):
        return name != "clip" or method != "generate"
    wanted = {"bitrate": preset == _OTHER, "gaps": task == "inpaint", "cutoff": task == "bandwidth"}
    return name in METHODS[method].settings and wanted.get(name, True)


def _settings(values: dict[str, Any]) -> Settings:
    """The components' values as settings; an empty component leaves the default."""
    unused = {"bitrate" if values["preset"] != _OTHER else "preset"}
    unused |= {"methods"} if values["method"] != "compare" else set()
    return Settings(**{name: value for name, value in values.items() if value is not None and name not in unused})
