"""Dumps, cleans and imports through the SDK, and the files behind their URLs (BEHAVIOUR section 13)."""

import io
import json
import urllib.error
import urllib.request
import zipfile

from harness.environment import unique

SECONDS = 30


def download(url):
    """Status, content type and content of a URL, without any token."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers["Content-Type"], refusal.read()


def upload(url, content):
    """Status of a PUT without any token."""
    request = urllib.request.Request(url, content, {"Content-Type": "application/zip"}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def entries(archive):
    """The lines of a dump by file, but for its manifest."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert files.testzip() is None
        return {
            name: [json.loads(line) for line in files.read(name).decode().splitlines()]
            for name in files.namelist() if name != "manifest.json"
        }


def manifest(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return json.loads(files.read("manifest.json"))


def renamed(found, before, after):
    """The same entries with another player's id."""
    return json.loads(json.dumps(found).replace(before, after))


class UserData:
    """What one service holds of players."""

    def __init__(self, sdk, name, service):
        self.name, self.service = name, service
        self.missing = f"{name}.userData.userData.error.notFound"
        self.bad_token = f"{name}.userData.uploadToken.error.invalid"

    def dump(self, user):
        """Dumps a player's data and answers the file."""
        self.service.dump_user_data_by_user_id(user_id=user)
        url = self.service.check_dump_user_data_by_user_id(user_id=user).url
        status, kind, content = download(url)
        assert (status, kind) == (200, "application/zip")
        return content

    def entries(self, user):
        return entries(self.dump(user))

    def clean(self, user):
        self.service.clean_user_data_by_user_id(user_id=user)
        self.service.check_clean_user_data_by_user_id(user_id=user)

    def prepare(self, user):
        prepared = self.service.prepare_import_user_data_by_user_id(user_id=user)
        return prepared.upload_token, prepared.upload_url

    def bring(self, user, content):
        """Imports a file and answers the log."""
        token, url = self.prepare(user)
        assert upload(url, content) == 200
        self.service.import_user_data_by_user_id(user_id=user, upload_token=token)
        return self.log(user, token)

    def log(self, user, token):
        url = self.service.check_import_user_data_by_user_id(user_id=user, upload_token=token).url
        status, _kind, content = download(url)
        assert status == 200
        return content.decode()


def check_life_cycle(sdk, data, refusals, user, count):
    """What holds in every service alike, of a player with so many entries. U-01 to U-08."""
    BadRequest, NotFound = refusals
    stranger = unique("user")
    for check in ("check_dump_user_data_by_user_id", "check_clean_user_data_by_user_id"):
        with sdk.refuses(NotFound, data.missing):
            getattr(data.service, check)(user_id=stranger)
    with sdk.refuses(NotFound, data.missing):
        data.service.check_import_user_data_by_user_id(user_id=stranger, upload_token="unknown")
    with sdk.refuses(BadRequest, data.bad_token):
        data.service.import_user_data_by_user_id(user_id=stranger, upload_token="unknown")

    archive = data.dump(user)
    found = entries(archive)
    assert sum(map(len, found.values())) == count
    assert all(name.startswith(f"{data.name}/") and name.endswith(".jsonl") for name in found)
    described = manifest(archive)
    assert (described["service"], described["userId"]) == (data.name, user)
    assert {file["name"]: file["entries"] for file in described["files"]} == {
        name: len(lines) for name, lines in found.items()}

    # Importing what is there changes nothing.
    log = data.bring(user, archive)
    assert " 0 added" in log and data.entries(user) == found
    data.clean(user)
    assert data.entries(user) == {}
    data.clean(user)
    # Into another player's id (U-05), and twice.
    for _ in range(2):
        log = data.bring(stranger, archive)
        assert data.entries(stranger) == renamed(found, user, stranger), log

    # A refused file changes nothing, and the log says why (U-04, U-05).
    token, url = data.prepare(stranger)
    assert upload(url, archive[:-40]) == 200
    with sdk.refuses(BadRequest, data.bad_token):
        data.service.import_user_data_by_user_id(user_id=stranger, upload_token=token)
    assert "refused; nothing was changed" in data.log(stranger, token)
    assert upload(url + "x", archive) == 404
    url = data.service.check_dump_user_data_by_user_id(user_id=stranger).url
    assert download(url[:-1] + ("0" if url[-1] != "0" else "1"))[0] == 403
    data.clean(stranger)
