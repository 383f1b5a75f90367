"""No code, no path and no address comes out of a stream: the source, scanned, and the decoder, watched."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz import targets
from fuzz.corpus import corpus_of
from fuzz.toy import ToyBackend
from noisebook import api
from noisebook.errors import StreamError
from noisebook.quantizers import files as shipped

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "noisebook"
DESERIALISERS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
NETWORK = {"socket", "socketserver", "ssl", "http", "requests", "httpx", "aiohttp", "urllib3", "ftplib", "smtplib",
           "telnetlib", "xmlrpc", "urllib.request", "huggingface_hub", "webbrowser"}  # fmt: skip
CALLS = {"eval", "exec", "__import__", "compile", "os.system", "os.popen", "torch.load", "np.load", "numpy.load",
         "import_module", "importlib.import_module", "yaml.load", "torch.hub.load", "torch.jit.load"}  # fmt: skip
ALLOWED = {
    (
        "backends/checkpoint_folder.py",
        "import_module",
    ): "libraries by literal names; the hub, for the model that is named",
    ("backends/pipeline.py", "import_module"): "modules of this package, by a table",
    ("cli/main.py", "import_module"): "commands of this package, by a table",
    ("comparison/neural.py", "import_module"): "codecs of other projects, by a table",
    ("metrics/signals.py", "import_module"): "optional packages, by literal names",
    ("comparison/neural.py", "huggingface_hub"): "asks whether a model is on this machine already; downloads nothing",
    ("studio/server.py", "socket"): "listens, where the user asks for the studio",
    ("cli/machine.py", "webbrowser"): "opens the studio's own page",
    ("metrics/perceptual.py", "torch.load"): "weights that lie in the package cdpam, whose code has just been imported",
}


def found_in(tree: ast.AST) -> Iterator[str]:
    """What could run code, open a shell or reach a network."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name for alias in node.names for name in named(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from named(node.module)
            yield from (name for alias in node.names for name in named(f"{node.module}.{alias.name}"))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS:
                yield name
            flags = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg}
            yield from (flag for flag in ("shell", "allow_pickle") if flags.get(flag, "False") != "False")


def named(module: str) -> Iterator[str]:
    parts = module.split(".")
    prefixes = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    yield from prefixes & (DESERIALISERS | NETWORK)


def test_nothing_dangerous_is_in_the_source_but_what_is_accounted_for():
    found = {
        (path.relative_to(PACKAGE).as_posix(), what)
        for path in PACKAGE.rglob("*.py")
        for what in found_in(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found - ALLOWED.keys() == set()
    there = {(file, what) for file, what in ALLOWED if (PACKAGE / file).exists()}
    assert there - found == set(), "no longer there: take it off the list"


def test_what_parses_streams_and_files_has_no_exception():
    for folder in ("coding", "codec", "quantizers", "audio", "api", "ddcm", "diffusion"):
        assert not [name for name, _ in ALLOWED if name.startswith(f"{folder}/")]


def test_the_one_loader_of_training_states_takes_weights_only():
    calls = [node for node in ast.walk(ast.parse((PACKAGE.parent / "training/run.py").read_text("utf-8")))
             if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"]  # fmt: skip
    assert [ast.unparse(k.value) for call in calls for k in call.keywords if k.arg == "weights_only"] == ["True"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pickle", {"pickle"}),
        ("from urllib import request", {"urllib.request"}),
        ("from urllib.parse import quote", set()),
        ("import http.client as c", {"http"}),
        ("def f():\n    from huggingface_hub import hf_hub_download", {"huggingface_hub"}),
        ("eval(x)\nmodel.eval()\nre.compile('a')", {"eval"}),
        ("subprocess.run(x, shell=True)", {"shell"}),
        ("subprocess.run(x, shell=False)", set()),
        ("np.load(f, allow_pickle=wanted)", {"np.load", "allow_pickle"}),
    ],
)
def test_the_scan_sees_what_it_looks_for(source, expected):
    assert set(found_in(ast.parse(source))) == expected


# --- watched ----------------------------------------------------------------------------------------------------

EVENTS = {"open", "socket.__new__", "socket.connect", "subprocess.Popen", "os.system", "exec", "pickle.find_class",
          "os.listdir", "os.scandir", "os.remove"}  # fmt: skip
_watched: list[tuple[str, object]] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _watched is not None and event in EVENTS:
        _watched.append((event, arguments[0] if arguments else None))


@pytest.fixture(scope="module")
def watch():
    """Collects what a call opens, runs or connects to, as the interpreter reports it."""
    sys.addaudithook(_watch)

    def collect(call):
        global _watched
        _watched = []
        try:
            call()
        except StreamError:
            pass
        finally:
            seen, _watched = _watched, None
        return seen

    return collect


def test_decoding_opens_nothing_and_asks_no_one(watch):
    for stream in corpus_of("decode"):
        book = targets._book(targets.container.parse_header(stream)[0])
        for _ in range(2):  # modules are loaded by the first
            seen = watch(lambda s=stream, b=book: api.decompress(s, backend=ToyBackend(), codebook=b, tail_steps=1))
        assert seen == []


def test_a_codebook_is_looked_for_inside_the_package_only(watch):
    streams = [stream for stream in corpus_of("decode") if targets.container.parse_header(stream)[0].latent]
    assert streams
    for stream in streams:
        for _ in range(2):  # modules are loaded by the first
            shipped._fingerprints.cache_clear()
            seen = watch(lambda s=stream: api.decompress(s, backend=ToyBackend()))
        assert {event for event, _ in seen} == {"os.scandir"}
        assert {Path(str(place)) for _, place in seen} == {shipped.FOLDER}


def test_the_watch_sees_a_file_that_is_opened(watch, tmp_path):
    (tmp_path / "a").touch()
    assert ("open", str(tmp_path / "a")) in watch(lambda: open(tmp_path / "a").close())
