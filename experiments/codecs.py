"""From a comparison to docs/codecs.md: quality against rate for noisebook and the codecs of the machine.

    noisebook compare CLIPS --out report --metrics all
    python -m experiments.codecs report [--out docs/codecs.md]

`experiments.results` does both and more. Every number is a mean over clips with its 95 % bootstrap interval. Duels are
paired: the same clips, the difference of the two, and its interval; one that holds zero is a draw.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.tables import Column, label_of, ordered, quality, rate_of, table, titled_kinds
from noisebook.metrics.distribution import bootstrap_interval

_KINDS = ("music", "speech", "effects")
_COLUMNS: tuple[Column, ...] = (
    ("visqol", "ViSQOL", None, "{:.2f}"),
    *(("visqol", kind, kind, "{:.2f}") for kind in _KINDS),
    ("zimtohrli", "Zimtohrli", None, "{:.2f}"),
    ("tuning_25", "in tune (music)", "music", "{:.2f}"),
    ("tuning_25", "in tune (speech)", "speech", "{:.2f}"),
    ("treble_level_db", "8-16 kHz level dB (music)", "music", "{:.1f}"),
    ("estoi", "ESTOI (speech)", "speech", "{:.2f}"),
    ("pesq_wb", "PESQ-wb (speech)", "speech", "{:.2f}"),
    ("mel_db_mae", "mel_db_mae dB", None, "{:.2f}"),
)
_TUNING = (
    ("tuning_10", "within 10 cents", "{:.2f}"),
    ("tuning_25", "within 25", "{:.2f}"),
    ("tuning_50", "within 50", "{:.2f}"),
    ("tuning_cents", "median cents", "{:.0f}"),
    ("tuning_grid", "more on a 50 Hz grid", "{:.2f}"),
)
_DUELS = {
    "visqol": _KINDS, "zimtohrli": _KINDS, "tuning_25": _KINDS[:2], "estoi": ("speech",), "pesq_wb": ("speech",),
}  # fmt: skip
_PAGE = """\
# Against other codecs

Written by `python -m experiments.codecs`, from `noisebook compare` on <COUNT> held-out clips (<KINDS>; no
source was trained on); embedded model `<MODEL>`. One channel at 48 kHz for everyone, and Codec2, Speex and MP3 below
32 kbit/s at their own rates; whole files are counted, container included; codecs with a delay are aligned by it,
noisebook has none. Programs: <PROGRAMS>.

## Quality against rate

Means over clips; in brackets half the width of the 95 % interval. ViSQOL and Zimtohrli at 48 kHz; *in tune*: share of
spectral peaks within 25 cents; 8-16 kHz: mean error of the level of that octave; ESTOI, PESQ and mel_db_mae at 16
kHz. "gen": phases are invented, which ViSQOL and Zimtohrli do not mind and PESQ does.

<QUALITY>

## In tune

Of the strongest spectral peaks of each quarter of a second, 60 to 1000 Hz ([tuning](metrics.md)): the share that
stays within some cents, the median distance, and how many more than of the original lie within 4 Hz of a multiple of
50 Hz. Music:

<MUSIC>

Speech:

<SPEECH>

## Duels

Each rival against the noisebook stream nearest below its rate, on the same clips: mean difference (positive:
noisebook is better), and in how many of the <DUELS> duels of metric and kind noisebook is ahead, even (the 95 %
interval of the difference holds zero), or behind.

<TOTALS>

<TABLE>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comparison", type=Path, help="folder that `noisebook compare` wrote")
    parser.add_argument("--out", type=Path, default=Path("docs/codecs.md"))
    args = parser.parse_args()
    results = json.loads((args.comparison / "results.json").read_text(encoding="utf-8"))
    results["model"] = (results["manifest"]["model"] or "none")[:4]
    args.out.write_text(page(results), encoding="utf-8")
    print(f"wrote {args.out}")


def page(results: dict[str, Any]) -> str:
    """docs/codecs.md of the results of a comparison, and of the model's name."""
    duels = _duels(results)
    methods = ordered(results)
    tuning = {
        kind: quality(results, methods, [(key, title, kind, form) for key, title, form in _TUNING], label_of)
        for kind in _KINDS[:2]
    }
    facts = {
        "COUNT": len(results["inputs"]),
        "KINDS": titled_kinds(results),
        "MODEL": results["model"],
        "PROGRAMS": "; ".join(dict.fromkeys(results["manifest"]["programs"].values())) or "none",
        "QUALITY": quality(results, methods, _COLUMNS, label_of),
        "MUSIC": tuning["music"],
        "SPEECH": tuning["speech"],
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


Duel = tuple[str, str, str, str, str, float, float, float, str]


def _duels(results: dict[str, Any]) -> list[Duel]:
    kinds = {one["id"]: one["kind"] for one in results["inputs"]}
    rates = {method["id"]: rate_of(results, method) for method in results["methods"]}
    own = [m for m in results["methods"] if m["family"] == "ddcm" and rates[m["id"]]]
    duels: list[Duel] = []
    for rival in ordered(results):
        rate = rates[rival["id"]]
        below = [m for m in own if rate and (rates[m["id"]] or 0.0) <= 1.02 * rate]  # the header of a short clip aside
        if rival["family"] != "codec" or not below:
            continue
        ours = max(below, key=lambda method: rates[method["id"]] or 0.0)
        for metric in _DUELS:
            for kind in _DUELS[metric]:
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
