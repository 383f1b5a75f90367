"""`noisebook.__all__` is exactly what is public there."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import types
from pathlib import Path

import pytest

import noisebook


def test_all_is_what_is_there():
    """What is there for tools that read the package, and what it loads when it is asked for."""
    submodules = {module.name for module in pkgutil.iter_modules(noisebook.__path__)}
    tree = ast.parse(Path(noisebook.__file__).read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(noisebook.__all__) == {alias.name for node in imports for alias in node.names}
    for name in noisebook.__all__:
        assert getattr(noisebook, name) is not None
    public = {name for name in dir(noisebook) if not name.startswith("_") and name not in submodules}
    assert set(noisebook.__all__) == public | {"__version__"}


def test_what_is_not_there_is_told():
    assert noisebook.api.StreamInfo is noisebook.StreamInfo
    with pytest.raises(AttributeError, match="module 'noisebook' has no attribute 'kompress'"):
        noisebook.kompress  # noqa: B018


def test_all_is_sorted_and_unique():
    assert noisebook.__all__ == sorted(set(noisebook.__all__))


def test_everything_public_is_documented():
    for name in set(noisebook.__all__) - {"__version__"}:
        value = getattr(noisebook, name)
        assert not isinstance(value, types.ModuleType)
        assert inspect.getdoc(value), name


def test_no_name_hides_a_submodule():
    """`import noisebook.x` must mean the module x, whatever `noisebook.x` is."""
    submodules = {module.name for module in pkgutil.iter_modules(noisebook.__path__)}
    assert submodules.isdisjoint(noisebook.__all__)
