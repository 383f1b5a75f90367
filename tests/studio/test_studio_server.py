"""The server: what it answers, and what not. And the command that starts it."""

from __future__ import annotations

import json
import re
import socket
import sys
from http.client import HTTPConnection, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from noisebook.cli.main import cli
from noisebook.errors import ConfigError, MissingExtra
from noisebook.studio.server import listen, url_of

running = run_path(str(Path(__file__).with_name("server.py")))["running"]


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server whose end is one line, though a page is open: `running` looks at what is printed."""
    if find_spec("gradio") is None:
        pytest.skip("the studio needs gradio")
    with running(tiny_model, tmp_path_factory.mktemp("studio"), "--max-mb", "0.1") as server:
        yield server
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.request("GET", "/gradio_api/heartbeat/someone")  # a page that stays open
        assert connection.getresponse().status == 200
    connection.close()


def ask(server: Any, path: str, *, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    """The answer to exactly this path, which no client has tidied up."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer, text


def test_the_page_may_load_from_here_only(server):
    answer, text = ask(server, "/")
    assert answer.status == 200
    policy = answer.getheader("content-security-policy")
    assert policy.startswith("default-src 'self' data: blob:;")
    assert "http" not in policy
    assert "noisebook-result" in text


def test_a_foreign_name_of_this_machine_is_not_answered(server):
    assert ask(server, "/", host="evil.example")[0].status == 400
    assert ask(server, "/", host="localhost:7860")[0].status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil.example"]
)
def test_what_a_foreign_page_sends_is_not_answered(server, origin):
    for path in ("/", "/gradio_api/queue/join"):
        assert ask(server, path, method="POST", origin=origin)[0].status == 403
    assert ask(server, "/", origin=origin)[0].status == 403
    assert ask(server, "/", origin=server.url.rstrip("/"))[0].status == 200
    assert ask(server, "/", method="POST", origin=server.url.rstrip("/"))[0].status == 405


def test_the_page_can_ask_whether_the_server_is_there(server):
    assert ask(server, "/alive")[0].status == 204


@pytest.mark.parametrize("path", ["x/a.wav", "..%2f..%2fsecret", "%2e%2e/secret", "../../secret", "x/..%2f..%2fsecret"])
def test_there_is_no_way_out_of_the_results(server, path):
    (server.folder / "secret").write_text("treasure")
    answer, text = ask(server, f"/results/{path}")
    assert answer.status == 404
    assert "treasure" not in text


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "secret", "{folder}/secret", "http://192.0.2.1/x"])
def test_files_of_the_machine_and_of_others_are_not_served(server, path):
    (server.folder / "secret").write_text("treasure")
    answer, text = ask(server, f"/gradio_api/file={path.format(folder=server.folder)}")
    assert answer.status in (403, 404)
    assert "treasure" not in text


def test_nothing_is_documented_shared_or_recorded(server):
    config = json.loads(ask(server, "/config")[1])
    assert (config["analytics_enabled"], config["footer_links"]) == (False, [])
    assert json.loads(ask(server, "/gradio_api/info")[1])["named_endpoints"] == {}
    assert not re.search(r"googleapis|cdnjs|jsdelivr", ask(server, "/")[1])
    for path in ("/docs", "/openapi.json", "/gradio_api/runs"):
        assert ask(server, path)[0].status in (403, 404), path


def send(server: Any, name: str, data: bytes) -> tuple[int, str]:
    """Upload a file under exactly this name: status and text of the answer."""
    head = f'--edge\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    body = head.encode() + data + b"\r\n--edge--\r\n"
    connection.request("POST", "/gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=edge"})
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, text


@pytest.mark.parametrize("name", ["../../evil.wav", "/tmp/evil.wav", "..\\\\evil.wav", "e" * 300 + "evil.wav"])
def test_uploads_stay_in_their_folder_whatever_their_names(server, name):
    status, text = send(server, name, b"RIFF")
    assert status == 200
    (path,) = json.loads(text)
    (uploads,) = server.folder.glob("noisebook-studio-*/uploads")
    assert Path(path).resolve().is_relative_to(uploads.resolve())
    assert Path(path).read_bytes() == b"RIFF"
    assert not list(server.folder.glob("*evil*"))
    assert not Path("/tmp/evil.wav").exists()


def test_large_uploads_are_refused_while_they_come(server):
    assert send(server, "large.wav", bytes(200_000))[0] == 413


def test_a_taken_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"cannot listen on 127\.0\.0\.1 port {port} \(.*\): give another --port"
        ):
            listen("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


def test_an_address_is_one_a_browser_takes():
    with listen("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_the_command_says_what_it_cannot_do(tiny_model, monkeypatch):
    runner = CliRunner()
    ran = runner.invoke(cli, ["studio", "--port", "0", "--no-open", "--model", "nowhere"])
    assert "model 'nowhere'" in str(ran.exception)
    assert "above 0 is possible" in str(runner.invoke(cli, ["studio", "--limit-seconds", "nan"]).exception)
    assert runner.invoke(cli, ["studio", "--port", "70000"]).exit_code == 2
    monkeypatch.setitem(sys.modules, "gradio", None)
    ran = runner.invoke(cli, ["studio", "--port", "0", "--no-open", "--model", str(tiny_model)])
    assert isinstance(ran.exception, MissingExtra)
    assert "noisebook[studio]" in str(ran.exception)
