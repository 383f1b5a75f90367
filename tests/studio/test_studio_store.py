"""The store of results is bounded, and gives only what was put there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from noisebook.studio.files import ResultStore


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*"))


def test_files_are_found_by_token_and_name_only(tmp_path):
    store = ResultStore(tmp_path)
    token = store.put("ann", {"a.wav": b"abc"})
    found = store.find(token, "a.wav")
    assert found.read_bytes() == b"abc"
    for name in ("b.wav", "../a.wav", "..", "", "/etc/passwd"):
        assert store.find(token, name) is None
    assert store.find("..", "a.wav") is None
    assert len(token) >= 20


def test_an_owner_keeps_the_last_two(tmp_path):
    store = ResultStore(tmp_path, per_owner=2)
    tokens = [store.put("ann", {"a": b"x"}) for _ in range(4)]
    assert [store.find(token, "a") is not None for token in tokens] == [False, False, True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(tokens[2:])


def test_room_is_made_by_the_oldest_of_all(tmp_path):
    store = ResultStore(tmp_path, megabytes=0.01)
    tokens = [store.put(str(owner), {"a": bytes(4000)}) for owner in range(5)]
    assert [store.find(token, "a") is not None for token in tokens] == [False] * 3 + [True] * 2
    assert size(tmp_path) == 8000
    big = store.put("big", {"a": bytes(40_000)})  # more than the room: it stays until the next one comes
    assert store.find(big, "a") is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_an_owner_that_leaves_takes_everything_along(tmp_path):
    store = ResultStore(tmp_path)
    ann, ben = store.put("ann", {"a": b"x"}), store.put("ben", {"a": b"x"})
    store.clear("ann")
    store.clear("nobody")
    assert (store.find(ann, "a"), store.find(ben, "a") is not None) == (None, True)


def test_many_threads_at_once(tmp_path):
    store = ResultStore(tmp_path, per_owner=2, megabytes=0.02)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.put(str(i % 3), {"a": bytes(1000)}), range(200)))
    assert size(tmp_path) == 6000
    assert len(list(tmp_path.iterdir())) == 6


def test_what_belongs_to_nobody_stays(tmp_path):
    store = ResultStore(tmp_path, per_owner=1, megabytes=0.01)
    kept = [store.put(None, {"a": bytes(4000)}) for _ in range(2)]
    for owner in range(3):
        newest = store.put(str(owner), {"a": bytes(4000)})
    assert all(store.find(token, "a") for token in (*kept, newest))
    assert len(list(tmp_path.iterdir())) == 3
