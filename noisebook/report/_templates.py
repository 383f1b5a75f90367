"""The HTML templates of this package, filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["asset_of", "environment_of", "render"]


def render(template: str, **facts: object) -> str:
    """One file of `templates/`, filled in. All text is escaped; a name that the template asks for and was not given
    raises. `asset(name)` puts in a style sheet or script of the same folder, as it is."""
    return environment_of("noisebook.report", _asset).get_template(template).render(**facts)


@cache
def environment_of(package: str, asset: Callable[[str], Markup]) -> Environment:
    """The templates of a package, strict about names and escaping all text; `asset` is theirs to call."""
    environment = Environment(
        autoescape=True,
        loader=PackageLoader(package, "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    return environment


def asset_of(package: str, name: str) -> Markup:
    """A style sheet or script of a package's `templates/`, as it is."""
    text = files(package).joinpath("templates", name).read_text(encoding="utf-8")
    assert not re.search(r"</(script|style)", text, re.IGNORECASE), f"{name} would end its own element"
    return Markup(text)


def _asset(name: str) -> Markup:
    return asset_of("noisebook.report", name)
