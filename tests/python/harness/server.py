"""A server of the test's own, for what the shared one cannot show: another owner, a restart."""

import os
import signal
import socket
import subprocess
import urllib.request
from dataclasses import replace

from harness.environment import unique

READY_SECONDS = 10
POLL_SECONDS = 0.02


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One `hiroba serve` on the embedded store in its own folder, with further settings such as `PLAYER_SOCKETS_MAX`."""

    def __init__(self, environment, folder, **settings):
        self.folder = folder
        self._settings = {f"HIROBA_{name}": str(value) for name, value in settings.items()}
        self.environment = replace(
            environment, url=f"http://127.0.0.1:{_free_port()}", store="sqlite",
            owner_id=unique("owner"), client_id=unique("client"), client_secret=unique("secret"))
        self._process = None

    def start(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("HIROBA_")} | self._settings
        mine = self.environment
        with open(os.path.join(self.folder, "log.tmp"), "ab") as log:
            self._process = subprocess.Popen(
                [mine.binary, "serve", "--listen", mine.authority, "--data-dir", os.path.join(self.folder, "data"),
                 "--region", mine.region, "--owner-id", mine.owner_id,
                 "--client-id", mine.client_id, "--client-secret", mine.client_secret],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _attempt in range(int(READY_SECONDS / POLL_SECONDS)):
            if self._answers():
                return
            try:
                status = self._process.wait(POLL_SECONDS)
                raise RuntimeError(f"the server ended with {status}; see {self.folder}/log.tmp")
            except subprocess.TimeoutExpired:
                continue
        self.kill()
        raise RuntimeError(f"the server was not ready after {READY_SECONDS} s; see {self.folder}/log.tmp")

    def _answers(self):
        try:
            with urllib.request.urlopen(f"{self.environment.url}/healthz", timeout=1) as response:
                return response.status == 200
        except OSError:
            return False

    @property
    def log(self):
        with open(os.path.join(self.folder, "log.tmp"), encoding="utf-8") as log:
            return log.read()

    def stop(self):
        """Asks the server to stop as an operator does and gives its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(READY_SECONDS)

    def signing_secret(self, *arguments):
        """What the program prints of a key. It takes the settings of the server, which must not run meanwhile."""
        self.stop()
        env = {k: v for k, v in os.environ.items() if not k.startswith("HIROBA_")} | self._settings
        mine = self.environment
        done = subprocess.run(
            [mine.binary, "signing-secret", "--data-dir", os.path.join(self.folder, "data"), "--region", mine.region,
             "--owner-id", mine.owner_id, *arguments], env=env, capture_output=True, text=True, timeout=READY_SECONDS)
        self.start()
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self):
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
