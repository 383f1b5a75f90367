"""The page: Gradio's components, and the events between them and the workshop. Nothing is computed here.

Annotations are evaluated in this module (there is no `from __future__ import annotations`), since Gradio looks at them
to find out which argument is the request, and Gradio is imported late.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from noisebook.audio.io import bundled_clips
from noisebook.errors import Error, MissingExtra
from noisebook.studio.jobs import Cancelled
from noisebook.studio.rendering import message
from noisebook.studio.settings import MAX_COMPARED, METHODS, Settings, compared_methods
from noisebook.studio.workshop import Workshop

__all__ = ["STYLE", "build", "theme"]

_OTHER = "other"  # in place of a preset: the slider
_LABELS = {"codec": "Compress", "reconstruct": "Reconstruct", "transform": "Transform", "generate": "Generate",
           "restore": "Restore", "compare": "Compare"}  # fmt: skip
_ABOUT = {
    "codec": "To a .ddcm stream of a few bits a second, and back.",
    "reconstruct": "Through the autoencoder and a vocoder, without bits: the ceiling of every codec here.",
    "transform": "Towards the words of a prompt. Strength is the share that is left to the model.",
    "generate": "A new sound from words; as a stream it can be kept in some hundred bytes.",
    "restore": "Gaps, a lost band or clipping: the model invents what is missing.",
    "compare": f"The same sound through up to {MAX_COMPARED} methods.",
}
_EMPTY = "Choose a sound and a method, then press Make. The result appears here."
# Gradio's own look, made calmer and brought in line with the reports.
STYLE = """
.gradio-container { width: 100% !important; max-width: 78rem !important; margin: 0 auto !important; }
#title h1 { font-family: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, serif;
  font-weight: 600; font-size: 1.9rem; margin: 0.6rem 0 0; }
#title p { margin: 0.1rem 0 0.6rem; color: var(--body-text-color-subdued); }
#result .html-container, #opened .html-container { padding: 0; }
/* The count of steps in a line of its own: where it floats it lies over the bar of a narrow page. */
#result, #opened { min-height: 7rem; }
#result .progress-text, #opened .progress-text { position: static !important; transform: none !important; }
footer { display: none !important; }
@media (max-width: 40rem) { .gradio-container { padding: 0.5rem !important; } }
"""


def theme() -> Any:
    """Colours and fonts of the reports; no font is loaded from anywhere."""
    import gradio as gr

    sans, mono = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"), ("ui-monospace", "monospace")
    colours = {"primary_hue": "indigo", "secondary_hue": "indigo", "neutral_hue": "zinc"}
    return gr.themes.Base(font=sans, font_mono=mono, radius_size="md", **colours).set(
        body_text_color_subdued="#5b646e", body_text_color_subdued_dark="#a0a8b0",
        body_background_fill="#fcfcfa", body_background_fill_dark="#14171a", block_background_fill_dark="#1b1f23",
        block_label_text_color="*body_text_color_subdued", button_primary_background_fill="#3f51b5",
        button_primary_background_fill_hover="#344397", button_primary_text_color="white",
        button_primary_background_fill_dark="#5566cc", block_border_width="1px", block_shadow="none",
    )  # fmt: skip


def build(workshop: Workshop, *, jobs: int = 1, waiting: int = 32) -> Any:
    """The page of a workshop as Gradio blocks.

    Args:
        workshop: does the work.
        jobs: that Gradio lets through at the same time; as many as the workshop has places.
        waiting: visitors in the queue, beyond which Gradio says that it is full.

    Raises:
        MissingExtra: Gradio is not installed.
    """
    try:
        import gradio as gr
    except ImportError as error:
        raise MissingExtra("the studio needs Gradio: pip install 'noisebook[studio]'") from error

    with gr.Blocks(title="noisebook studio", analytics_enabled=False, delete_cache=(300, 3600)) as page:
        info = workshop.backend.info
        gr.Markdown(f"# noisebook studio\nSound as a list of choices · model {info.name}", elem_id="title")
        with gr.Tabs():
            with gr.Tab("Make"):
                _make_tab(workshop, page, jobs)
            with gr.Tab("Open a stream"):
                _open_tab(workshop, jobs)

        def leave(request: gr.Request) -> None:
            workshop.close(str(request.session_hash))

        page.unload(leave)
    page.queue(max_size=waiting, default_concurrency_limit=jobs)
    return page


def _make_tab(workshop: Workshop, page: Any, jobs: int) -> None:
    import gradio as gr

    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            sound, parts = _choices(workshop)
            # Not before the address is read: its settings would come over those that a visitor chose meanwhile.
            run = gr.Button("Make", variant="primary", elem_id="make", interactive=False)
            cancel = gr.Button("Cancel", visible=False, elem_id="cancel")
        with gr.Column(scale=3, min_width=300):
            result = gr.HTML(message(_EMPTY, problem=False), min_height=150, apply_default_css=False, elem_id="result")

    bar = gr.Progress()

    def make(values: dict[Any, Any], request: gr.Request, progress: gr.Progress = bar) -> str:
        upload = Path(values[sound]) if values[sound] else None
        return _answer(
            lambda: workshop.make(
                str(request.session_hash),
                _settings({name: values[part] for name, part in parts.items()}),
                upload,
                tell=lambda what, done, total: progress((done, total), desc=what, unit="steps"),
            )
        )

    def address(request: gr.Request) -> list[Any]:
        """The page as its address says; what it does not name is left as it is."""
        query, told = dict(request.query_params), gr.skip()
        try:
            settings = Settings.from_query(query)
            if settings.method == "generate":
                workshop.limits.check_seconds(settings.seconds, "the sound of this address would be")
        except Error as error:
            settings, told, query = Settings(), message(str(error)), {}
        clip = bundled_clips().get(settings.clip)
        values = _values(settings) | {"seconds": min(settings.seconds, workshop.limits.seconds)}
        named = {"preset", *query} if settings.bitrate else set(query)
        shown = [gr.update(value=values[name]) if name in named else gr.skip() for name in parts]
        return [gr.skip() if clip is None else str(clip), told, gr.update(interactive=True), *shown]

    _job(run, cancel, workshop, make, {sound, *parts.values()}, result, jobs)
    page.load(address, None, [sound, result, run, *parts.values()], queue=False, api_visibility="private")


def _open_tab(workshop: Workshop, jobs: int) -> None:
    import gradio as gr

    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            stream = gr.File(label="A .ddcm stream", file_count="single", type="filepath", elem_id="upload", height=140)
            run = gr.Button("Open", variant="primary", elem_id="open")
            cancel = gr.Button("Cancel", visible=False)
        with gr.Column(scale=3, min_width=300):
            empty = message("Drop a stream and press Open: it is decoded from its bytes alone.", problem=False)
            result = gr.HTML(empty, min_height=150, apply_default_css=False, elem_id="opened")

    bar = gr.Progress()

    def open_stream(values: dict[Any, Any], request: gr.Request, progress: gr.Progress = bar) -> str:
        if not values[stream]:
            return message("there is no stream: drop a .ddcm file")
        return _answer(
            lambda: workshop.open(
                str(request.session_hash),
                Path(values[stream]),
                tell=lambda what, done, total: progress((done, total), desc=what, unit="steps"),
            )
        )

    _job(run, cancel, workshop, open_stream, {stream}, result, jobs)


def _job(run: Any, cancel: Any, workshop: Workshop, work: Any, inputs: set[Any], result: Any, jobs: int) -> None:
    """A button that starts a job, and one that ends it and is there only meanwhile."""
    import gradio as gr

    def begin(request: gr.Request) -> list[Any]:
        workshop.begin(str(request.session_hash))
        return [gr.update(interactive=False), gr.update(visible=True), message("", problem=False)]

    def end(request: gr.Request) -> None:
        workshop.cancel(str(request.session_hash))

    quick: Any = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    begun = run.click(begin, None, [run, cancel, result], **quick)
    slow: Any = {"concurrency_limit": jobs, "concurrency_id": "job", "scroll_to_output": True}
    done = begun.then(work, inputs, result, api_visibility="private", **slow)
    done.then(lambda: [gr.update(interactive=True), gr.update(visible=False)], None, [run, cancel], **quick)
    cancel.click(end, None, None, **quick)


def _answer(work: Any) -> str:
    """The HTML of a result, or the sentence that says why there is none. What is not an `Error` is a bug and raises."""
    try:
        return str(work())
    except Cancelled:
        return message("Cancelled. Nothing was kept.", problem=False)
    except Error as error:
        return message(str(error))


def _choices(workshop: Workshop) -> tuple[Any, dict[str, Any]]:
    """The sound, and a component for each setting."""
    import gradio as gr

    limits = workshop.limits
    sound = gr.Audio(
        label=f"Sound, up to {limits.seconds:g} s and {limits.megabytes:g} MB", sources=["upload", "microphone"],
        type="filepath", buttons=[], elem_id="sound",
    )  # fmt: skip
    clips = [("—", ""), *((name, name) for name in bundled_clips())]
    parts: dict[str, Any] = {"clip": gr.Dropdown(clips, value="", label="or a bundled clip", elem_id="clip")}
    methods = [(label, name) for name, label in _LABELS.items()]
    with gr.Group():
        parts["method"] = gr.Radio(methods, value="codec", label="Method", info=_ABOUT["codec"], elem_id="method")
        parts |= _options(limits.seconds)

    def shown(method: str, preset: str, task: str) -> list[Any]:
        visible = {name: gr.update(visible=_is_shown(name, method, preset, task)) for name in parts}
        return list((visible | {"method": gr.update(info=_ABOUT[method])}).values())

    quick: Any = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    for name in ("method", "preset", "task"):
        ruling = [parts[name] for name in ("method", "preset", "task")]
        parts[name].change(shown, ruling, [*parts.values()], **quick)
    parts["clip"].input(lambda name: str(bundled_clips()[name]) if name else None, parts["clip"], sound, **quick)
    for event in (sound.upload, sound.stop_recording, sound.clear):
        event(lambda: "", None, parts["clip"], **quick)
    return sound, parts


def _options(longest: float) -> dict[str, Any]:
    """A component for each setting of a method, by the setting's name."""
    import gradio as gr

    from noisebook.api import codebook_names, reconstruction_presets
    from noisebook.codec.presets import PRESETS, QUALITIES

    start = Settings()
    presets = [*(preset.name for preset in PRESETS), _OTHER]
    tasks = [("Fill gaps", "inpaint"), ("Widen the band", "bandwidth"), ("Declip", "declip")]
    rows = [row.name for row in reconstruction_presets()]
    options = {
        "preset": gr.Radio(presets, value=start.preset, label="Bit/s"),
        "bitrate": gr.Slider(5, 8000, value=500, step=5, label="Bit/s, mono or stereo"),
        "quality": gr.Radio(list(QUALITIES), value=start.quality, label="Effort"),
        "codebook": gr.Dropdown(
            [("—", ""), *((name, name) for name in codebook_names())],
            value="",
            label="or, in place of that, the words of a codebook",
        ),
        "reconstruction": gr.Dropdown(rows, value=start.reconstruction, label="Preset"),
        "task": gr.Radio(tasks, value=start.task, label="Damage"),
        "prompt": gr.Textbox(start.prompt, label="Prompt", placeholder="music, speech, a dog barking", max_lines=2),
        "strength": gr.Slider(0, 1, value=start.strength, step=0.05, label="Strength"),
        "seconds": gr.Slider(min(0.5, longest), longest, value=min(start.seconds, longest), step=0.5, label="Seconds"),
        "stream": gr.Checkbox(start.stream, label="As a .ddcm stream"),
        "gaps": gr.Textbox("", label="Gaps, in seconds", placeholder="2.5:2.9 4:4.2; empty looks for digital silence"),
        "cutoff": gr.Number(0, label="Cutoff in Hz; 0 looks for it"),
        "methods": gr.Dropdown(
            list(compared_methods()),
            value=list(start.methods),
            label="Methods",
            multiselect=True,
            max_choices=MAX_COMPARED,
        ),
        "seed": gr.Number(start.seed, label="Seed, 0 to 255", precision=0),
    }
    for name, part in options.items():
        part.elem_id, part.visible = name, _is_shown(name, start.method, start.preset, start.task)
    return options


def _is_shown(name: str, method: str, preset: str, task: str) -> bool:
    """Whether a setting is for this method; the slider, gaps and cutoff only where they are meant."""
    if name in ("clip", "method", "seed"):
        return name != "clip" or method != "generate"
    wanted = {"bitrate": preset == _OTHER, "gaps": task == "inpaint", "cutoff": task == "bandwidth"}
    return name in METHODS[method] and wanted.get(name, True)


def _settings(values: dict[str, Any]) -> Settings:
    """The components' values as settings."""
    other = values["preset"] == _OTHER
    start = Settings()
    kept = values | {
        "preset": start.preset if other else values["preset"],
        "bitrate": float(values["bitrate"]) if other else 0.0,
        "methods": tuple(values["methods"]) if values["method"] == "compare" else start.methods,
        "seed": int(values["seed"] or 0),
        "cutoff": float(values["cutoff"] or 0),
        "clip": values["clip"] or "",
        "codebook": values["codebook"] or "",
    }
    return replace(start, **kept)


def _values(settings: Settings) -> dict[str, Any]:
    """Settings as the components' values, by name."""
    shown = vars(settings) | {"methods": list(settings.methods)}
    return shown | ({"preset": _OTHER} if settings.bitrate else {"bitrate": 500})
