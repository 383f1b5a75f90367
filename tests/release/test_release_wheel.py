"""The wheel, built from the sdist, in an environment that has only what it asks for: the command works there.

    make release

With the other tests run all of these but some of the missing extras. The required packages are those of the running
environment, by links: nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# A call that needs the extra: its error names it.
NEEDS = {
    "audioldm2": "from noisebook import api; api.load_backend('cvssp/audioldm2', offline=True)",
    "batch": "import sys; sys.modules['fsspec'] = None;"  # torch happens to bring it
    "from noisebook.cli import main; main(['batch', 'compress', '.', 'out'])",
    "cdpam": "import numpy as n; from noisebook.metrics import evaluate; x = n.ones(16000, n.float32);"
    "evaluate(x, x, sample_rate=16000, names=['cdpam'])",
    "metrics": "import numpy as n; from noisebook.metrics import evaluate; x = n.ones(16000, n.float32);"
    "evaluate(x, x, sample_rate=16000, names=['visqol'])",
    "plot": "from noisebook.report.figures import check_installed; check_installed()",
    "ray": "from noisebook.batch.executors import RayActors; RayActors(None, 1)",
    "studio": "from noisebook.cli import main; main(['studio', '--no-open', '--port', '0'])",
}
FOR_DEVELOPERS = {"dev", "docs", "fuzz"}
ALWAYS = {"batch", "studio"}  # the others take seconds each, and rest on the same lines
EXTRAS = [
    pytest.param(extra, marks=() if extra in ALWAYS else pytest.mark.slow)
    for extra in sorted(set(PROJECT["optional-dependencies"]) - FOR_DEVELOPERS)
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel."""
    pytest.importorskip("build", reason="releases are built with build")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    for required in closure(PROJECT["dependencies"]):
        link(required, site)
    run(sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-deps", "--no-index", "--quiet", wheel)
    return interpreter


def run(*words: object, cwd: Path | None = None, status: int = 0) -> str:
    """What a command says on both channels; it sees no source tree."""
    hidden = ("PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*map(str, words)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == status, ran.stdout
    return ran.stdout


def closure(requirements: list[str]) -> list[Distribution]:
    """The installed distributions that some requirements need, and those that these need."""
    from packaging.requirements import Requirement

    found: dict[str, Distribution] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        if requirement.name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[requirement.name] = distribution(requirement.name)
        except PackageNotFoundError:
            assert requirement.name not in {Requirement(text).name for text in requirements}, requirement
            continue  # of a platform's own build, say
        waiting += [Requirement(text) for text in found[requirement.name].requires or ()]
    return list(found.values())


def link(required: Distribution, site: Path) -> None:
    """Makes a distribution visible in another site-packages."""
    for top in {Path(str(file)).parts[0] for file in required.files or ()} - {"..", "__pycache__", "bin"}:
        place = Path(str(required.locate_file(top)))
        if place.exists() and not (site / top).exists():
            (site / top).symlink_to(place)


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "noisebook").rglob("*") if path.is_file()}
    tracked = {name for name in package if "__pycache__" not in name}
    assert {name for name in names if ".dist-info/" not in name} == tracked
    for folder, suffix, count in (
        ("backends/weights", ".safetensors", 2),
        ("quantizers/codebooks", ".safetensors", 11),
        ("report/templates", "", 1),
        ("assets/controls", ".ogg", 1),
        ("assets", ".flac", 2),
        ("", "py.typed", 1),
    ):
        inside = [name for name in names if name.startswith(f"noisebook/{folder}") and name.endswith(suffix)]
        assert len(inside) >= count, folder
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_a_packager_needs(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "Makefile", "mkdocs.yml", "docs/format.md",
              "tests/conftest.py", "tests/fuzz/test_fuzz_targets.py", "fuzz/targets.py", "training/train.py",
              "experiments/study.py", "examples/demo.py"}  # fmt: skip
    assert wanted <= names
    assert any(name.startswith("fuzz/corpus/streams/") for name in names)


def test_the_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    import noisebook

    assert f"Version: {noisebook.__version__}" in lines
    assert f"Requires-Python: {PROJECT['requires-python']}" in lines
    assert {line.split()[1] for line in lines if line.startswith("Provides-Extra:")} == set(
        PROJECT["optional-dependencies"]
    )


def test_no_source_tree_is_seen(python: Path, tmp_path: Path) -> None:
    code = "import noisebook, sys; print(noisebook.__file__, noisebook.__version__)"
    place = run(python, "-c", code, cwd=tmp_path).split()[0]
    assert Path(place).is_relative_to(python.parents[1])


def test_the_command_works_without_extras(python: Path, tmp_path: Path) -> None:
    command = python.with_name("noisebook")
    assert json.loads(run(command, "doctor", "--json", cwd=tmp_path))
    sound, rate = soundfile.read(ROOT / "noisebook" / "assets" / "demo.flac", frames=12_000)
    soundfile.write(tmp_path / "demo.flac", sound, rate)
    run(command, "compress", "demo.flac", "--preset", "300", "--quiet", "--device", "cpu", cwd=tmp_path)
    run(command, "decompress", "demo.ddcm", "--quiet", "--device", "cpu", cwd=tmp_path)
    told = json.loads(run(command, "info", "demo.ddcm", "--json", cwd=tmp_path))
    assert told["intact"]
    assert (tmp_path / "demo.ddcm").stat().st_size < 100
    assert soundfile.info(tmp_path / "demo.wav").frames == 12_000


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_extra_says_which(python: Path, tmp_path: Path, extra: str) -> None:
    assert extra in NEEDS, "add a call that needs it"
    told = run(python, "-c", NEEDS[extra], cwd=tmp_path, status=1)
    assert "pip install 'noisebook[" in told
    assert extra in told.partition("noisebook[")[2].partition("]")[0].split(",")
