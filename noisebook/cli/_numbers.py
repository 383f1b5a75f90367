"""Numbers that people write, and numbers for people."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import click

__all__ = ["RATE", "number"]

_RATE = re.compile(r"(?P<value>\d+(?:\.\d*)?|\.\d+)\s*(?P<kilo>k?)(?:bit/s|bits/s|bps|b/s|bit)?", re.IGNORECASE)


class _Rate(click.ParamType):
    """bit/s: 6000, 6k, 1.5kbit/s, 300bps."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        with suppress(ValueError):
            return float(value)  # what is possible is the codec's to tell
        found = _RATE.fullmatch(value.strip())
        if found is None:
            self.fail(f"{value!r} is no bitrate: give bit/s, such as 500, 6000 or 6k", param, ctx)
        return float(found["value"]) * (1000 if found["kilo"] else 1)


RATE = _Rate()


def number(value: float, digits: int = 4) -> str:
    """With that many significant digits, and all of those before the point: never with an exponent for large ones."""
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
