"""A PostgreSQL of a test's own, durable as installed, that can be killed, started again, stopped and let go on."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from bench.postgresql import UNPRIVILEGED, programs_folder
from bench.processes import HOST, CannotRun, free_port
from tests.conftest import skip_unless_ci

START_SECONDS = 60


class PostgresqlServer:
    """The processes of one server on one data folder."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._data = folder / "data"
        self._log = folder / "postgresql.log"
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            # PostgreSQL refuses to run as root.
            owner = pwd.getpwnam(self._user)
            os.chown(self._data, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-U", "accord", "--auth=trust", "--encoding=UTF8", "--no-sync").wait()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://accord@{HOST}:{self._port}/postgres"

    def start(self) -> None:
        """Start it on what the data folder holds; ready on return."""
        # The lock of a server that was killed: its processes are gone, whatever has their numbers now.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        settings = [f"listen_addresses={HOST}", "unix_socket_directories=", "fsync=on", "synchronous_commit=on"]
        options = [part for setting in settings for part in ("-c", setting)]
        self._process = self._run("postgres", "-p", str(self._port), *options)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()[-2_000:]
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to all of its processes, the first one last."""
        process = self._process
        if process is None:
            return
        # Stopped, it starts no others and cleans nothing up.
        os.kill(process.pid, signal.SIGSTOP)
        children = self._children()
        for pid in (*children, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        self._process = None
        deadline = time.monotonic() + 10
        while any(_runs(pid) for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def stop(self) -> None:
        """SIGSTOP to all of its processes: it accepts connections and never answers."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)
        for pid in self._children():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=5) as connection:
                return connection.execute("SELECT 1").fetchone() is not None
        except psycopg.OperationalError:
            return False

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as output:
            return subprocess.Popen(
                [programs_folder() / program, "-D", str(self._data), *arguments],
                cwd=self._data,
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A running server, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="accord-postgresql-"))
    # Its user passes through.
    folder.chmod(0o711)
    try:
        server = PostgresqlServer(folder)
    except (CannotRun, OSError) as error:
        skip_unless_ci(f"PostgreSQL does not start here: {error}")
        raise
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
