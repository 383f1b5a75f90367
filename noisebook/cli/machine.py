"""`models` and `doctor`: what is installed, and whether it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from noisebook.cli._options import FILE, json_option
from noisebook.cli._shared import report

if TYPE_CHECKING:
    from noisebook.benchmark.doctor import Check

__all__ = ["doctor", "models"]

_COLOURS = {"ok": "green", "missing": "yellow", "failed": "red"}


@click.command()
@click.option(
    "--install", metavar="FOLDER", type=FILE, help="Copy a model of noisebook's own into your folder of models first."
)
@json_option
def models(install: str | None, **_: Any) -> None:
    """List the models at hand, where they are, and their fingerprints and training.

    They are inside the package, in your folder of models (NOISEBOOK_MODELS, or noisebook/models in the folder of the
    user's data), or in installed packages. A stream finds the one that made it among them.

    \b
    noisebook models
    noisebook models --install downloads/model
    """
    from noisebook import api
    from noisebook.benchmark.doctor import list_models

    if install is not None:
        found = api.install_model(install)
        click.echo(f"noisebook: {found.name} is in {found.folder} ({found.source})", err=True)
    rows = list_models()
    report({"models": rows}, "\n".join(line for row in rows for line in _lines(row)))


@click.command()
@click.option("--model", metavar="MODEL", help="Check this model: a name, an id of the hub, or a folder.")
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="Whose memory to compare with.")
@json_option
def doctor(model: str | None, device: str, **_: Any) -> int:
    """Check that noisebook works here; exit status 1 if it does not.

    With --model: what of it is here, what is missing and how to get it, and in what precision it fits into memory.

    \b
    noisebook doctor
    noisebook doctor --model audioldm2-music --device cuda
    noisebook doctor --json
    """
    from noisebook.benchmark.doctor import diagnose, diagnose_model

    checks = diagnose() if model is None else diagnose_model(model, device)
    report({"checks": [vars(check) for check in checks]}, "\n".join(map(_line, checks)))
    return int(any(check.state == "failed" for check in checks))


def _lines(model: dict[str, Any]) -> list[str]:
    """A model's own line, and one for each of its files."""
    size = f"{model['parameters'] / 1e6:.1f} M parameters"
    place = f"{model['source']}, {model['folder']}"
    first = f"{model['name']}: stream id {model['fingerprint'][:4]}, {model['fingerprint'][:16]}, {size}, {place}"
    lines = [first]
    for file, record in model["training"].items():  # what `training.train` notes, of which each part may be absent
        units = {"minutes": "{:.0f} minutes", "steps": "{} steps", "data_hours": "{:.1f} h of audio"}
        told = ", ".join(text.format(record[key]) for key, text in units.items() if key in record)
        lines.append(f"  {file}: {told or 'no training record'}")
    return lines


def _line(check: Check) -> str:
    state = click.style(f"{check.state:8}", fg=_COLOURS[check.state])  # click takes the colour out for files and pipes
    return f"{state}{check.name:18}{check.detail}"
