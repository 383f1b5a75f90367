"""What studies share: clips, rows that are measured once, parts between markers, the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from experiments.__main__ import NAMES, main, study_of
from experiments.study import ROOT, Bench, Options, Row, clip_paths, fill, nmse_db, table
from noisebook.errors import ConfigError

CALLS: list[int] = []


def square(bench: Bench, number: int) -> Row:
    CALLS.append(number)
    return {"square": np.float32(number * number), "limit": bench.options.limit}


def options(tmp_path, model, **changes) -> Options:
    return Options(
        **{"study": "squares", "clips": tmp_path, "model": str(model), "report": tmp_path, "limit": 2} | changes
    )


def test_rows_are_measured_once_and_stand_in_the_order_of_their_settings(tmp_path, tiny_model, other_model):
    CALLS.clear()
    settings = [{"number": number} for number in (3, 2)]
    Bench(options(tmp_path, tiny_model)).rows(square, settings[:1])
    rows = Bench(options(tmp_path, tiny_model)).rows(square, settings)
    assert rows == [{"number": 3, "square": 9, "limit": 2}, {"number": 2, "square": 4, "limit": 2}]
    assert CALLS == [3, 2]
    for changed in (options(tmp_path, tiny_model, limit=1), options(tmp_path, other_model)):
        Bench(changed).rows(square, settings[:1])
    assert CALLS == [3, 2, 3, 3], "of other clips and of another model nothing is known"


def test_what_was_written_in_part_is_measured_again(tmp_path, tiny_model):
    Bench(options(tmp_path, tiny_model)).rows(square, [{"number": 3}])
    kept = tmp_path / "studies" / "squares.jsonl"
    with kept.open("a") as file:
        file.write('{"key": "cut')
    CALLS.clear()
    assert [row["square"] for row in Bench(options(tmp_path, tiny_model)).rows(square, [{"number": 3}])] == [9]
    assert [row["square"] for row in Bench(options(tmp_path, tiny_model)).rows(square, [{"number": 4}])] == [16]
    assert CALLS == [4]


def test_processes_measure_the_same(tmp_path, tiny_model):
    rows = Bench(options(tmp_path, tiny_model, jobs=2)).rows(square, [{"number": number} for number in (3, 2, 1)])
    assert [row["square"] for row in rows] == [9, 4, 1]
    assert len((tmp_path / "studies" / "squares.jsonl").read_text().splitlines()) == 3


def test_a_part_stands_between_its_markers_on_every_page_that_has_them(tmp_path):
    pages = [tmp_path / "a.md", tmp_path / "b.md"]
    for page in pages:
        page.write_text(
            "# x\n\n<!-- numbers s one -->\n\nold\n\n<!-- end -->\nafter\n<!-- numbers s two -->\n<!-- end -->\n"
        )
    fill(pages, {"s one": "| new |\n"})
    fill(pages, {"s one": "| new |\n"})
    for page in pages:
        assert page.read_text().startswith("# x\n\n<!-- numbers s one -->\n\n| new |\n\n<!-- end -->\nafter\n")
    with pytest.raises(ConfigError, match="s three"):
        fill(pages, {"s three": "x"})


def test_every_marker_of_the_pages_is_of_a_study():
    import re

    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        text = page.read_text(encoding="utf-8")
        names = re.findall(r"<!-- numbers (\w+) ", text)
        assert set(names) <= set(NAMES), page
        assert len(names) == text.count("<!-- end -->"), page
        for name in names:
            assert page.relative_to(ROOT).as_posix() in study_of(name).pages


def test_the_list_says_what_there_is(capsys):
    main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*NAMES, "numbers"]
    assert float(lines[-1].split()[1]) <= 180, "90 minutes on two cores"


def test_a_study_can_be_printed(tiny_model, clips, tmp_path, monkeypatch, capsys):
    from experiments import picture

    monkeypatch.setattr(picture, "OUT", tmp_path / "decode.webp")
    main(["picture", str(clips), "--model", str(tiny_model), "--report", str(tmp_path), "--print"])
    assert "## picture about\n\nMeasured, model `" in capsys.readouterr().out
    assert (tmp_path / "decode.webp").exists()


def test_clips_take_turns_and_are_as_long_as_asked(bench):
    clips = bench.clips(seconds=3.0, sample_rate=8000)
    assert [clip.name for clip in clips] == ["music-a", "speech-a", "sfx-a"]
    assert {clip.sound.samples.shape for clip in clips} == {(1, 24_000)}
    assert not clips[0].sound.samples[:, 17_000:].any()


def test_packages_have_equal_shares(tmp_path):
    names = ("megaglest-data-a", "megaglest-data-b", "megaglest-data-c", "singularity-music-a", "supertuxkart-data-a")
    for name in names:
        (tmp_path / f"music-{name}.flac").touch()
    kept = [name for name in names if name != "megaglest-data-c"]
    assert [path.stem for path in clip_paths(tmp_path, 4)] == [f"music-{name}" for name in kept]


def test_clips_are_evenly_spread_over_their_names(tmp_path):
    for name in ("music-a", "music-b", "music-c", "music-d", "speech-a"):
        (tmp_path / f"{name}.flac").touch()
    assert [path.stem for path in clip_paths(tmp_path, 2)] == ["music-a", "music-c", "speech-a"]


def test_a_folder_without_clips_is_told(tmp_path):
    (tmp_path / "music-a.txt").touch()
    with pytest.raises(ConfigError, match="no clips"):
        clip_paths(tmp_path, 1)


def test_table():
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_errors_are_over_what_both_are_long():
    latent = torch.ones(1, 2, 8, 4)
    assert nmse_db(1.1 * latent, latent[:, :, :5]) == pytest.approx(-20, abs=1e-3)
    assert nmse_db(latent, latent) == float("-inf")


def test_rows_are_json(tmp_path, tiny_model):
    Bench(options(tmp_path, tiny_model)).rows(square, [{"number": 3}])
    (line,) = (tmp_path / "studies" / "squares.jsonl").read_text().splitlines()
    assert json.loads(line)["row"] == {"square": 9.0, "limit": 2}
