"""The plan of the house, checked: floors, what may be imported where, sizes, docstrings."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "noisebook"
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [path for folder in ("training", "experiments", "examples") for path in sorted((ROOT / folder).rglob("*.py"))]
NUMPY_ONLY = ("coding", "rng", "config", "options", "errors")  # torch is not imported at all
TORCH_INSIDE = ("audio", "metrics", "diffusion/plan", "diffusion/backend", "codec/timeline",
                "codec/stream", "codec/options", "codec/presets", "verification",
                "api", "cli", "benchmark/doctor", "quantizers/config",
                "quantizers/files")  # torch within functions only  # fmt: skip
ALL_TENSORS = {"audio/band_synthesis", "audio/mel_synthesis", "audio/voicing"}  # which others import when they call it
NEVER_ON_TOP = {"matplotlib", "ray", "gradio", "diffusers", "transformers", "librosa"}
LATE = {"studio/page": {"gradio"}}  # modules that are only imported once the library is known to be there

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(node: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Top names of what is imported when the module is loaded, and when its functions run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.split(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level:
            yield (child.module or "").split(".")[0]
        elif not is_type_checking(child) and (inside_functions or not isinstance(child, Function)):
            yield from imported(child, inside_functions=inside_functions)


def functions() -> dict[str, int]:
    """Lines of every function of the package and of the scripts."""
    return {
        f"{name_of(path)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES + SCRIPTS
        for node in ast.walk(tree_of(path))
        if isinstance(node, Function)
    }


def lint_imports(config: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", code, "--no-cache", "--config", str(config)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_imports_go_down_the_floors():
    result = lint_imports(ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 kept, 0 broken" in result.stdout


def test_a_wrong_floor_would_be_noticed(tmp_path):
    upside_down = tmp_path / "wrong.ini"
    upside_down.write_text(
        "[importlinter]\nroot_package = noisebook\n[importlinter:contract:1]\nname = Wrong\ntype = layers\n"
        "layers =\n    noisebook.ddcm\n    noisebook.codec\n"
    )
    result = lint_imports(upside_down)
    assert result.returncode == 1
    assert "noisebook.codec.segment -> noisebook.ddcm" in result.stdout


def test_heavy_libraries_wait_until_they_are_needed():
    def within(name: str, places: tuple[str, ...]) -> bool:
        return any(name == place or name.startswith(f"{place}/") for place in places)

    for path in MODULES:
        name = name_of(path).removesuffix(".py")
        on_load = set(imported(tree_of(path), inside_functions=False))
        assert not on_load & NEVER_ON_TOP - LATE.get(name, set()), name
        if within(name, NUMPY_ONLY):
            assert "torch" not in set(imported(tree_of(path), inside_functions=True)), name
        if within(name, TORCH_INSIDE) and name not in ALL_TENSORS:
            assert "torch" not in on_load, name


def test_what_needs_no_tensors_loads_no_torch():
    modules = "noisebook, noisebook.cli, noisebook.codec.presets, noisebook.coding.container, noisebook.metrics"
    code = f"import {modules}, sys; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_public_functions_and_classes_have_docstrings():
    bare = {
        f"{name_of(path)}:{node.name}"
        for path in MODULES + SCRIPTS
        for node in tree_of(path).body
        if isinstance(node, Function | ast.ClassDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
        if "overload" not in {ast.unparse(decorator) for decorator in node.decorator_list}
    }
    # The docstring of a script's main is the module's.
    assert not bare - {f"{name_of(path)}:main" for path in SCRIPTS if ast.get_docstring(tree_of(path))}


def test_only_the_command_line_prints():
    calls = {
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] != "cli"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert not calls


def test_functions_are_short():
    lengths = functions()
    assert not {name for name, lines in lengths.items() if lines > 80}
    assert median(lengths.values()) <= 10
    assert quantiles(lengths.values(), n=10)[-1] <= 30


def methods_of_classes() -> Counter[str]:
    """In how many classes of the package each method is."""
    classes = (node for path in MODULES for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef))
    return Counter(node.name for found in classes for node in found.body if isinstance(node, Function))


def short_helpers(tree: ast.Module, shared: Container[str] = ()) -> list[str]:
    """Private functions of less than four lines, docstring aside, that their module uses once, to call them.

    Not those with a decorator, nor methods that several classes have, of which each has its own.
    """
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    uses, calls = (
        Counter(getattr(node, "id", None) or getattr(node, "attr", None) for node in nodes)
        for nodes in (ast.walk(tree), called)
    )
    found = []
    for node in ast.walk(tree):
        if isinstance(node, Function) and re.match("_[^_]", node.name) and not node.decorator_list:
            docstring = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1 - (docstring.count("\n") + 1 if docstring else 0)
            if lines < 4 and uses[node.name] == calls[node.name] == 1 and node.name not in shared:
                found.append(node.name)
    return found


def test_no_helper_is_shorter_than_the_trouble_of_finding_it():
    shared = {name for name, count in methods_of_classes().items() if count > 1}
    found = {name_of(path): helpers for path in MODULES if (helpers := short_helpers(tree_of(path), shared))}
    assert found == {}


def test_the_checks_see_what_they_look_for():
    source = (
        "from typing import TYPE_CHECKING\nimport a.b\nif TYPE_CHECKING:\n    import c\n"
        "try:\n    from d.e import f\nexcept ImportError:\n    pass\ndef g():\n    import h\nclass I:\n    import j\n"
    )
    tree = ast.parse(source)
    assert list(imported(tree, inside_functions=False)) == ["typing", "a", "d", "j"]
    assert list(imported(tree, inside_functions=True)) == ["typing", "a", "d", "h", "j"]
    short = "def _a(x):\n    return x\n@wrapped\ndef _b():\n    pass\ndef _c():\n    pass\nf = _c\n_a(_b())\n"
    assert short_helpers(ast.parse(short)) == ["_a"]
    assert short_helpers(ast.parse(short), {"_a"}) == []
