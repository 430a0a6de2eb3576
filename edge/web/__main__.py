"""Starts edge/web."""

from __future__ import annotations

from chassis import telemetry
from chassis.config import MeshSettings, read_settings
from chassis.server import run, serve
from edge.http_server import HttpServer
from edge.web.app import WebApp


class WebSettings(MeshSettings):
    """What edge/web reads from the environment besides the common variables."""

    http_listen: str
    """Where Envoy gets what browsers load, "host:port", mutual TLS."""


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(WebSettings)
    telemetry.configure(settings)
    await serve(settings, [], [HttpServer(settings, settings.http_listen, WebApp())])


if __name__ == "__main__":
    run(main())
