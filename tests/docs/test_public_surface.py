"""`noisebook.__all__` is exactly what is public there."""

from __future__ import annotations

import inspect
import pkgutil
import types

import noisebook


def test_all_is_what_is_there():
    submodules = {module.name for module in pkgutil.iter_modules(noisebook.__path__)}
    public = {name for name in vars(noisebook) if not name.startswith("_") and name not in submodules}
    assert set(noisebook.__all__) == public | {"__version__"}


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
