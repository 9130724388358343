"""A stand-in for GitHub on loopback, and a server that asks it (K-03, SC-01, CH-34)."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from harness.environment import unique
from harness.sdk import Sdk, TRANSPORTS
from harness.server import Server

TOKEN = "github_pat_that_is_none"
CONTENTS = "/repos/owner/repository/contents/"


class GitHub:
    """Answers with the files it has: text by path and reference, or a status in place of a text."""

    def __init__(self):
        self.files, self.requests = {}, []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.requests.append(self)
                target = urlsplit(self.path)
                reference, = parse_qs(target.query)["ref"]
                assert target.path.startswith(CONTENTS), target.path
                found = hub.files.get((unquote(target.path[len(CONTENTS):]), reference), 404)
                status, body = (200, found) if isinstance(found, bytes) else (found, b'{"message": "No"}')
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.github.raw+json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def put(self, path, content, reference="refs/heads/main"):
        self.files[(path, reference)] = content.encode() if isinstance(content, str) else content

    def close(self):
        self._http.shutdown()
        self._http.server_close()


class Hub:
    """A server of its own that asks the stand-in, with a kept key, and the SDK over each transport."""

    def __init__(self, environment, folder):
        self.github = GitHub()
        self.server = Server(environment, folder, GITHUB_URL=self.github.url)
        self.server.start()
        self.environment = self.server.environment
        self.sdks = {transport: Sdk.login(self.environment, transport) for transport in TRANSPORTS}
        admin = self.sdks["rest"]
        admin.key.create_namespace(name="keys")
        admin.key.create_key(namespace_name="keys", name="sealer")
        self.api_key_id = admin.key.create_git_hub_api_key(
            namespace_name="keys", name="hub", api_key=TOKEN, encryption_key_name="sealer").item.api_key_id

    def checkout(self, setting, path, **members):
        """Fills the setting of an SDK module with a file on the branch `main` and these members."""
        members = {"api_key_id": self.api_key_id, "repository_name": "owner/repository", "source_path": path,
                   "reference_type": "branch", "branch_name": "main", **members}
        for name, value in members.items():
            getattr(setting, f"with_{name}")(value)
        return setting

    def file(self, content):
        """Path of a new file on the branch `main`."""
        path = f"folder/{unique()}.txt"
        self.github.put(path, content)
        return path

    def close(self):
        for sdk in self.sdks.values():
            sdk.close()
        self.server.kill()
        self.github.close()
