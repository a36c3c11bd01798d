"""nginx started from a folder of its own, touching nothing of the machine's configuration."""

import shutil
from pathlib import Path

from bench.processes import HOST, CannotRun

UPSTREAM = "holder"


def command(folder: Path, *, port: int, location: str, upstream: str | None = None) -> list[str]:
    """The command of one nginx process on ``port`` with this ``location /``. Raises :class:`CannotRun` without nginx.

    ``upstream``: ``host:port`` of the holder, reached as ``http://holder`` over kept connections.
    """
    program = shutil.which("nginx")
    if program is None:
        raise CannotRun("nginx is not installed (apt install nginx-light)")
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(_configuration(folder, port=port, location=location, upstream=upstream), encoding="utf-8")
    return [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(configuration)]


def _configuration(folder: Path, *, port: int, location: str, upstream: str | None) -> str:
    temporary = "\n  ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    pool = (
        f"upstream {UPSTREAM} {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}" if upstream else ""
    )
    return f"""\
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  {temporary}
  keepalive_requests 1000000000;
  large_client_header_buffers 4 16k;
  {pool}
  server {{
    listen {HOST}:{port};
    location / {{ {location} }}
  }}
}}
"""
