"""From a comparison to docs/codecs.md: quality against rate for noisebook and the codecs of the machine.

    noisebook compare CLIPS --out report --limit-seconds 10 --metrics visqol,zimtohrli,estoi,pesq_wb,mel_db_mae
    python -m noisebook.recipes.codecs report [--out docs/codecs.md]

Every number is a mean over clips with its 95 % bootstrap interval. Duels are paired: the same clips, the difference of
the two, and its interval; one that holds zero is a draw.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noisebook.metrics.distribution import bootstrap_interval
from noisebook.recipes._tables import table

_KINDS = ("music", "speech", "effects")
_COLUMNS = (
    ("visqol", "ViSQOL", None),
    ("visqol", "music", "music"),
    ("visqol", "speech", "speech"),
    ("visqol", "effects", "effects"),
    ("zimtohrli", "Zimtohrli", None),
    ("estoi", "ESTOI", "speech"),
    ("pesq_wb", "PESQ-wb", "speech"),
    ("mel_db_mae", "mel_db_mae dB", None),
)
_DUELS = ("visqol", "zimtohrli", "estoi", "pesq_wb")
_PAGE = """\
# Against other codecs

Written by `python -m noisebook.recipes.codecs`, from `noisebook compare` on <COUNT> held-out clips of up to 10 s
(<KINDS>; no source was trained on). One channel at 16 kHz for everyone; whole files are counted, container included;
codecs with a delay are aligned by it, noisebook has none. Programs: <PROGRAMS>.

## Quality against rate

Means over clips; in brackets half the width of the 95 % interval. ESTOI and PESQ are of speech alone. "gen": phases are
invented, which ViSQOL and Zimtohrli do not mind and PESQ does.

<QUALITY>

## Duels

Each rival against the noisebook stream nearest below its rate, on the same clips: mean difference (positive: noisebook
is better), and in how many of the <DUELS> duels of metric and kind noisebook is ahead, even (the 95 % interval of the
difference holds zero), or behind.

<TOTALS>

<TABLE>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comparison", type=Path, help="folder that `noisebook compare` wrote")
    parser.add_argument("--out", type=Path, default=Path("docs/codecs.md"))
    args = parser.parse_args()
    results = json.loads((args.comparison / "results.json").read_text(encoding="utf-8"))
    args.out.write_text(page(results), encoding="utf-8")
    print(f"wrote {args.out}")


def page(results: dict[str, Any]) -> str:
    """docs/codecs.md of the results of a comparison."""
    kinds = [one["kind"] for one in results["inputs"]]
    duels = _duels(results)
    facts = {
        "COUNT": len(kinds),
        "KINDS": ", ".join(f"{kinds.count(kind)} {kind}" for kind in _KINDS),
        "PROGRAMS": "; ".join(dict.fromkeys(results["manifest"]["programs"].values())) or "none",
        "QUALITY": _quality(results),
        "DUELS": len(duels),
        "TOTALS": _totals(duels),
        "TABLE": table(
            ["rival", "bit/s", "noisebook", "metric", "kind", "difference", "95 %", ""],
            ([*duel[:5], f"{duel[5]:+.2f}", f"{duel[6]:+.2f} to {duel[7]:+.2f}", duel[8]] for duel in duels),
        ),
    }
    text = _PAGE
    for name, value in facts.items():
        text = text.replace(f"<{name}>", str(value))
    return text


def _quality(results: dict[str, Any]) -> str:
    kinds = {one["id"]: one["kind"] for one in results["inputs"]}
    lines = []
    for method in _by_rate(results):
        rows = [row for row in results["rows"] if row["method"] == method["id"]]
        rate = _rate(results, method)
        chosen = [[row for row in rows if kind in (None, kinds[row["input"]])] for _, _, kind in _COLUMNS]
        cells = [_cell(some, name) for some, (name, _, _) in zip(chosen, _COLUMNS, strict=True)]
        lines.append([_label(method), "" if rate is None else f"{rate:.0f}", *cells])
    return table(["", "bit/s", *(title for _, title, _ in _COLUMNS)], lines)


def _label(method: dict[str, Any]) -> str:
    group = {"ceiling": "ceiling: ", "control": "control: "}.get(method["family"], "")
    label = method["label"].removeprefix("Control: ").removeprefix("control: ")
    return f"{group}{label}{' (gen)' if method['generative'] and not group else ''}"


def _cell(rows: Sequence[dict[str, Any]], metric: str) -> str:
    values = [row["metrics"][metric] for row in rows if row["metrics"].get(metric) is not None]
    if not values:
        return ""
    mean, low, high = bootstrap_interval(values)
    return f"{mean:.2f} ({(high - low) / 2:.2f})"


def _by_rate(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Codecs from low to high rates, then ceilings, then controls."""
    groups = {"ceiling": 1, "control": 2}
    return sorted(
        results["methods"], key=lambda method: (groups.get(method["family"], 0), _rate(results, method) or 0.0)
    )


def _rate(results: dict[str, Any], method: dict[str, Any]) -> float | None:
    """Mean bit/s of the whole files."""
    rows = [row for row in results["rows"] if row["method"] == method["id"]]
    rates = [row["bit_per_second"] for row in rows if row["bit_per_second"]]
    return float(np.mean(rates)) if rates else None


Duel = tuple[str, str, str, str, str, float, float, float, str]


def _duels(results: dict[str, Any]) -> list[Duel]:
    kinds = {one["id"]: one["kind"] for one in results["inputs"]}
    rates = {method["id"]: _rate(results, method) for method in results["methods"]}
    own = [m for m in results["methods"] if m["family"] == "ddcm" and rates[m["id"]]]
    duels: list[Duel] = []
    for rival in _by_rate(results):
        rate = rates[rival["id"]]
        below = [m for m in own if rate and (rates[m["id"]] or 0.0) <= 1.02 * rate]  # the header of a short clip aside
        if rival["family"] != "codec" or not below:
            continue
        ours = max(below, key=lambda method: rates[method["id"]] or 0.0)
        for metric in _DUELS:
            for kind in _KINDS if metric in ("visqol", "zimtohrli") else ("speech",):
                found = _paired(results, ours["id"], rival["id"], metric, [i for i in kinds if kinds[i] == kind])
                if found is not None:
                    duels.append((rival["label"], f"{rate:.0f}", ours["label"], metric, kind, *found, _said(*found)))
    return duels


def _paired(
    results: dict[str, Any], ours: str, rival: str, metric: str, inputs: Sequence[str]
) -> tuple[float, float, float] | None:
    """Mean of the differences and its interval, over inputs that both have."""
    values = {(row["method"], row["input"]): row["metrics"].get(metric) for row in results["rows"]}
    pairs = [(values.get((ours, one)), values.get((rival, one))) for one in inputs]
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    return bootstrap_interval(differences) if differences else None


def _said(mean: float, low: float, high: float) -> str:
    return "ahead" if low > 0 else "behind" if high < 0 else "even"


def _totals(duels: Sequence[Duel]) -> str:
    lines = []
    for metric in _DUELS:
        said = [duel[8] for duel in duels if duel[3] == metric]
        lines.append([metric, *(str(said.count(word)) for word in ("ahead", "even", "behind"))])
    return table(["metric", "ahead", "even", "behind"], lines)


if __name__ == "__main__":
    main()
