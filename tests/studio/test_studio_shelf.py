"""The shelf of results is bounded, and gives only what was put there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from noisebook.studio.shelf import Shelf


def test_files_are_found_by_token_and_name_only(tmp_path):
    shelf = Shelf(tmp_path)
    token = shelf.put("ann", {"a.wav": b"abc"})
    found = shelf.find(token, "a.wav")
    assert found.read_bytes() == b"abc"
    for name in ("b.wav", "../a.wav", "..", "", "/etc/passwd"):
        assert shelf.find(token, name) is None
    assert shelf.find("..", "a.wav") is None
    assert len(token) >= 20


def test_an_owner_keeps_the_last_two(tmp_path):
    shelf = Shelf(tmp_path, per_owner=2)
    tokens = [shelf.put("ann", {"a": b"x"}) for _ in range(4)]
    assert [shelf.find(token, "a") is not None for token in tokens] == [False, False, True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(tokens[2:])


def test_room_is_made_by_the_oldest_of_all(tmp_path):
    shelf = Shelf(tmp_path, megabytes=0.01)
    tokens = [shelf.put(str(owner), {"a": bytes(4000)}) for owner in range(5)]
    assert [shelf.find(token, "a") is not None for token in tokens] == [False] * 3 + [True] * 2
    assert shelf.size == 8000
    big = shelf.put("big", {"a": bytes(40_000)})  # more than the room: it stays until the next one comes
    assert shelf.find(big, "a") is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_an_owner_that_leaves_takes_everything_along(tmp_path):
    shelf = Shelf(tmp_path)
    ann, ben = shelf.put("ann", {"a": b"x"}), shelf.put("ben", {"a": b"x"})
    shelf.clear("ann")
    shelf.clear("nobody")
    assert (shelf.find(ann, "a"), shelf.find(ben, "a") is not None) == (None, True)


def test_many_threads_at_once(tmp_path):
    shelf = Shelf(tmp_path, megabytes=0.02)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: shelf.put(str(i % 3), {"a": bytes(1000)}), range(200)))
    assert shelf.size == 6000
    assert len(list(tmp_path.iterdir())) == 6
