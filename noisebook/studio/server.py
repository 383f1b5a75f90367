"""The web server of the studio: the page, the files of results, and nothing from anywhere else."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.errors import ConfigError, MissingExtra
from noisebook.studio.runner import JobRunner

if TYPE_CHECKING:
    from fastapi import FastAPI

_LOOPBACK = ("127.0.0.1", "localhost")
# The browser itself refuses whatever is not from here. Gradio builds its templates with `Function` and inline styles.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; form-action 'self'; base-uri 'self'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def application(runner: JobRunner, uploads: Path, *, host: str = "127.0.0.1") -> FastAPI:
    """The web application; MissingExtra where Gradio is not installed.

    Args:
        uploads: folder for what visitors send; exists.
        host: where it will listen; on the loopback only requests that name it, and come from its own page, are
            answered, so that no foreign page can reach it.
    """
    # Both are read when Gradio is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    try:
        import gradio as gr
        from fastapi import FastAPI
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.responses import FileResponse, PlainTextResponse
        from starlette.staticfiles import StaticFiles
    except ImportError as error:
        raise MissingExtra("the studio needs Gradio: pip install 'noisebook[studio]'") from error
    from noisebook.audio.io import bundled_clips
    from noisebook.studio.jobs import READY
    from noisebook.studio.page import build, theme
    from noisebook.studio.rendering import rendered

    def file(token: str, name: str) -> Any:
        """A file of a result."""
        path = runner.store.find(token, name)
        if path is None or not path.is_file():
            return PlainTextResponse("this result is no longer here; make it again", status_code=404)
        return FileResponse(path, media_type="application/octet-stream" if path.suffix == ".ddcm" else None)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host in _LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(_LOOPBACK))
    app.add_middleware(_Guarded, own_origin_only=host in _LOOPBACK)
    app.get("/alive", status_code=204)(lambda: None)
    app.get("/results/{token}/{name}", response_model=None)(file)
    app.mount("/ready", StaticFiles(directory=READY))
    return gr.mount_gradio_app(
        app, build(runner), path="", server_name=host,
        app_kwargs={"docs_url": None, "openapi_url": None}, footer_links=[], run_history=False, ssr_mode=False,
        max_file_size=int(runner.limits.megabytes * 1e6), allowed_paths=[str(p) for p in bundled_clips().values()],
        show_error=False, theme=theme(), css=rendered("gradio.css"), head=rendered("head.html.jinja"),
        enable_monitoring=False, mcp_server=False,
    )  # fmt: skip


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any that is free. Raises ConfigError where that cannot be."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot listen on {host} port {port} ({reason}): give another --port or --host") from error


def url_of(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: FastAPI, listener: socket.socket, on_end: Callable[[], None] = lambda: None) -> None:
    """Serve until interrupted; `on_end` is called then, before what is being answered is waited for."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            # Pages that are still open hold connections; that they are cut off is no news.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
            on_end()
            super().handle_exit(sig, frame)

    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    Server(config).run(sockets=[listener])


class _Guarded:
    """ASGI middleware that adds the headers and refuses what other pages ask for.

    (Starlette's function middleware would hold back streams.)
    """

    def __init__(self, app: Any, *, own_origin_only: bool) -> None:
        self._app, self._own_origin_only = app, own_origin_only

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        headers = dict(scope.get("headers", ()))
        origin, host = headers.get(b"origin"), headers.get(b"host", b"")
        if self._own_origin_only and origin is not None and origin not in (b"http://" + host, b"https://" + host):
            await send_guarded({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"this studio answers its own page only"})
            return
        await self._app(scope, receive, send_guarded if scope["type"] == "http" else send)
