"""The HTML templates of this package, filled in."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["render"]


def render(template: str, **facts: object) -> str:
    """One file of `templates/`, filled in. All text is escaped; a name that the template asks for and was not given
    raises. `asset(name)` puts in a style sheet or script of the same folder, as it is."""
    return _environment().get_template(template).render(**facts)


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("noisebook.report", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = _asset
    return environment


def _asset(name: str) -> Markup:
    text = files("noisebook.report").joinpath("templates", name).read_text(encoding="utf-8")
    assert not re.search(r"</(script|style)", text, re.IGNORECASE), f"{name} would end its own element"
    return Markup(text)
