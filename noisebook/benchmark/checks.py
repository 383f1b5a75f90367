"""What the measurements have to keep to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noisebook.codec.presets import DEFAULT

__all__ = ["Check", "checks"]

_LONG = 30  # seconds from which a second of sound costs always the same
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Check:
    """A measured value and its limit; `at_most` says on which side of it the value has to be."""

    name: str
    value: float
    limit: float
    at_most: bool = True

    @property
    def ok(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "ok": self.ok}


def checks(results: dict[str, Any]) -> list[Check]:
    """Those that the measurements allow."""
    return [*_waste(results["presets"]), *_against(results["rivals"]), *_length(results["durations"])]


def _waste(presets: list[dict[str, Any]]) -> list[Check]:
    worst = max((row["encode_seconds"] / row["allowance"] for row in presets), default=None)
    return [] if worst is None else [Check("encoding / (its calls of the denoiser + mel + autoencoder)", worst, 1.2)]


def _against(rows: list[dict[str, Any]]) -> list[Check]:
    ours = [row for row in rows if row["faster"] is None]
    found = []
    for title, least in (("classic", 30), ("turbo", 5)):
        for row in rows:
            if row["engine"] == title:
                found.append(Check(f"encodes faster than {title}, times", row["faster"], least, at_most=False))
    for row in rows:
        if row["faster"] is not None and row["nmse_db"] is not None:
            better = row["nmse_db"] - ours[0]["nmse_db"]
            found.append(Check(f"latent error below {row['engine']}, dB", better, 0, at_most=False))
    return found


def _length(rows: list[dict[str, Any]]) -> list[Check]:
    found = []
    for way in ("encode", "decode"):
        usual = [row[f"{way}_real_time"] for row in rows if row["preset"] == DEFAULT and row["seconds"] >= _LONG]
        if usual:
            found.append(Check(f"{way} at preset {DEFAULT}, of real time", max(usual), 0.5))
        for preset in dict.fromkeys(row["preset"] for row in rows):
            same = [row[f"{way}_real_time"] for row in rows if row["preset"] == preset and row["seconds"] >= _LONG]
            if len(same) > 1:
                title = f"{way} at preset {preset}, {_LONG} s and longer: dearest / cheapest second"
                found.append(Check(title, max(same) / min(same), 1.1))
    peaks = [row["resident"] for row in rows if row["resident"] is not None]
    return [*found, Check("most memory, MiB", max(peaks) / _MEBIBYTE, 2048)] if peaks else found
