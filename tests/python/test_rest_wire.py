"""REST, byte for byte, as the other SDKs send it. BEHAVIOUR T-01 to T-14, I-03 to I-06, core.json."""

import gzip
import json
from urllib.parse import quote, unquote

import pytest

from harness.environment import unique

MIXED = "あ𠮷"
NO_MUTEX = "lock.mutex.mutex.error.notFound"
NO_NAMESPACE = "lock.namespace.namespace.error.notFound"
LOGIN = "/identifier/projectToken/login"
COMPRESS_FROM = 1024


@pytest.fixture
def credential(environment):
    return {"client_id": environment.client_id, "client_secret": environment.client_secret}


@pytest.fixture
def mutex(namespace):
    """Path of a mutex."""
    return f"/lock/{namespace}/user/user-1/mutex/property-1"


def gzipped(body):
    return gzip.compress(json.dumps(body).encode())


class TestLogin:
    def test_answer_i03_i04(self, rest, environment, credential):
        body = rest.request("POST", LOGIN, credential, authorized=False).ok()
        assert isinstance(body["access_token"], str) and body["access_token"]
        assert body["token_type"] == "Bearer"
        assert body["expires_in"] == 3600 and isinstance(body["expires_in"], int)
        assert body["owner_id"] == environment.owner_id

    def test_gzip_i03_t06(self, rest, credential):
        headers = {"Content-Encoding": "gzip"}
        assert rest.request("POST", LOGIN, gzipped(credential), headers, authorized=False).ok()["access_token"]

    def test_chunked_i03(self, rest, credential):
        assert rest.request("POST", LOGIN, credential, chunked=True, authorized=False).ok()["access_token"]

    @pytest.mark.parametrize("bearer", ["stale", "", "null"])
    def test_minds_no_token_i03(self, rest, credential, bearer):
        headers = {"Authorization": f"Bearer {bearer}"}
        assert rest.request("POST", LOGIN, credential, headers).ok()["access_token"]

    @pytest.mark.parametrize("missing", [["client_id"], ["client_secret"], ["client_id", "client_secret"]], ids=",".join)
    @pytest.mark.parametrize("how", ["absent", "null", "empty"])
    def test_incomplete_i05_e14(self, rest, credential, missing, how):
        for member in missing:
            credential[member] = {"null": None, "empty": ""}.get(how)
            if how == "absent":
                del credential[member]
        messages = {"client_id": "identifier.projectToken.clientId.error.require",
                    "client_secret": "identifier.projectToken.clientSecret.error.require"}
        rest.request("POST", LOGIN, credential, authorized=False).refused(400, *[messages[m] for m in missing])

    def test_wrong_i05(self, rest, credential):
        credential["client_secret"] += "x"
        answer = rest.request("POST", LOGIN, credential, authorized=False)
        answer.refused(401, "identifier.identifier.clientSecret.error.invalid")

    @pytest.mark.parametrize("client_id", ["", "owner", "anything", None])
    def test_client_id_header_is_not_checked_i06(self, rest, admin, client_id):
        headers = {"Authorization": f"Bearer {admin.token}"}
        if client_id is not None:
            headers["X-GS2-CLIENT-ID"] = client_id
        rest.request("GET", "/lock/?limit=1", headers=headers, authorized=False).ok()


class TestBodies:
    def test_csharp_t06(self, rest, mutex):
        """Gzip, numbers and booleans as text, no contextStack, an unused field left out."""
        body = gzipped({"transactionId": "t", "ttl": "30", "someSwitch": "True"})
        headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
        item = rest.request("POST", f"{mutex}/lock", body, headers).ok()["item"]
        assert item["ttlAt"] == item["createdAt"] + 30_000

    def test_csharp_offset_t06(self, rest):
        """Integers as text in Auth."""
        rest.request("POST", "/auth/login", {"userId": "u", "timeOffset": "60"}).ok()
        rest.request("POST", "/auth/login", {"userId": "u", "timeOffset": "-1"}).refused(
            400, "auth.accessToken.timeOffset.error.invalid")

    def test_java(self, rest, mutex):
        """Chunked without a length, nulls everywhere, a content type on everything, gzip,deflate asked for."""
        java = {"Content-Type": "application/json", "Accept-Encoding": "gzip,deflate"}
        body = {"contextStack": None, "transactionId": "t", "ttl": None}
        item = rest.request("POST", f"{mutex}/lock", body, java, chunked=True).ok()["item"]
        assert item["ttlAt"] == item["createdAt"] + 3_600_000
        assert rest.request("GET", f"{mutex}?", headers=java).ok()["item"] == item
        rest.request("DELETE", f"{mutex}?", headers=java).ok()

    def test_java_gzip_chunked(self, rest, mutex):
        body = gzipped({"transactionId": "t"})
        rest.request("POST", f"{mutex}/lock", body, {"Content-Encoding": "gzip"}, chunked=True).ok()

    def test_nulls_at_every_depth_t07(self, rest, admin, discard_namespace):
        """Null is absent, whether at the top or inside a model."""
        body = {"name": discard_namespace, "description": None, "contextStack": None, "metadata": None,
                "logSetting": {"loggingNamespaceId": "grn:log", "other": None}}
        item = rest.request("POST", "/lock/", body).ok()["item"]
        assert item["logSetting"]["loggingNamespaceId"] == "grn:log"
        rest.request("PUT", f"/lock/{discard_namespace}", {"description": None, "logSetting": None}).ok()
        assert admin.lock.get_namespace(namespace_name=discard_namespace).item.log_setting is None
        nested = {"logSetting": {"loggingNamespaceId": None}}
        rest.request("PUT", f"/lock/{discard_namespace}", nested).refused(
            400, "lock.logSetting.loggingNamespaceId.error.require")

    @pytest.mark.parametrize("setting", ["text", 5, ["a"], True], ids=repr)
    def test_model_of_wrong_type_e04(self, rest, setting):
        body = {"name": unique(), "logSetting": setting}
        rest.request("POST", "/lock/", body).refused(400, "lock.namespace.logSetting.error.invalid")

    def test_unknown_members_are_ignored_t13(self, rest, discard_namespace):
        body = {"name": discard_namespace, "ownerId": "x", "transactionSetting": {"a": [1, {"b": None}]},
                "logSetting": {"loggingNamespaceId": "grn:log", "unknown": 1}, "x_gs2": 1, "": 2}
        item = rest.request("POST", "/lock/?unknown=1", body).ok()["item"]
        known = {"namespaceId", "name", "description", "logSetting", "createdAt", "updatedAt", "revision"}
        assert set(item) <= known

    def test_path_wins_over_body_t07(self, rest, mutex):
        """Path fields are read from the path, whatever else the body says."""
        body = {"transactionId": "t", "userId": "user-2", "propertyId": "other"}
        item = rest.request("POST", f"{mutex}/lock", body).ok()["item"]
        assert (item["userId"], item["propertyId"]) == ("user-1", "property-1")

    @pytest.mark.parametrize("body", [
        b"", b"{", b"[]", b'"text"', b"5", b"null", b"{}x", b'{"name":"\xff"}', b'{"name":"\\ud800"}', b"\x00",
        b"\x1f\x8b",
    ], ids=repr)
    def test_not_an_object_e05(self, rest, body):
        """E-01, E-05: a body that cannot be read is a 400 of the usual shape, and the connection goes on."""
        rest.request("POST", "/lock/", body).refused(400)
        rest.request("GET", "/lock/system/version").ok()

    @pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"{}")[:-4], b""], ids=["garbage", "truncated", "empty"])
    def test_broken_gzip_e05(self, rest, body):
        rest.request("POST", "/lock/", body, {"Content-Encoding": "gzip"}).refused(400)
        rest.request("GET", "/lock/system/version").ok()

    def test_utf8_in_json(self, rest, discard_namespace):
        """Characters arrive as UTF-8 or as escapes; both are the same text."""
        for ensure_ascii in (True, False):
            body = json.dumps({"description": MIXED * 512}, ensure_ascii=ensure_ascii).encode()
            if ensure_ascii:
                rest.request("POST", "/lock/", {"name": discard_namespace}).ok()
            item = rest.request("PUT", f"/lock/{discard_namespace}", body).ok()["item"]
            assert item["description"] == MIXED * 512


class TestPaths:
    @pytest.mark.parametrize("segment", [
        "a/b", "a/b/lock", "with%20space", "%E3%81%82%F0%A0%AE%B7", "a%2Fb", "a+b", "a%3Fb", "%25", "~!$&'()*,;=:@"])
    def test_property_ids_t10(self, rest, socket, namespace, segment):
        """T-10: raw slashes belong to the property; everything is percent-decoded once; `+` is itself."""
        path = f"/lock/{namespace}/user/user-1/mutex/{segment}"
        item = rest.request("POST", f"{path}/lock", {"transactionId": "t"}).ok()["item"]
        assert item["propertyId"] == unquote(segment)
        assert rest.request("GET", path).ok()["item"] == item
        assert rest.request("POST", f"{path}/unlock", {"transactionId": "t"}).ok()["item"]["referenceCount"] == 0
        rest.request("POST", f"{path}/lock", {"transactionId": "t"}).ok()
        assert rest.request("DELETE", path).ok()["item"]["propertyId"] == unquote(segment)

    def test_encoded_and_raw_slash_are_one_t10(self, rest, namespace):
        path = f"/lock/{namespace}/user/user-1/mutex/"
        rest.request("POST", f"{path}a/b/lock", {"transactionId": "t"}).ok()
        assert rest.request("GET", f"{path}a%2Fb").ok()["item"]["propertyId"] == "a/b"

    @pytest.mark.parametrize("method, path, message", [
        ("GET", "/lock/null/status", "lock.namespace.namespaceName.error.require"),
        ("GET", "/lock/null", "lock.namespace.namespaceName.error.require"),
        ("GET", "/lock/ns/user/null/mutex/p", "lock.mutex.userId.error.require"),
        ("GET", "/lock/ns/user/u/mutex/null", "lock.mutex.propertyId.error.require"),
        ("DELETE", "/lock/ns/user/u/mutex/null?", "lock.mutex.propertyId.error.require"),
        ("GET", "/identifier/user/null", "identifier.user.userName.error.require"),
        ("GET", "/identifier/securityPolicy/null", "identifier.securityPolicy.securityPolicyName.error.require"),
    ])
    def test_null_segments_t09(self, rest, method, path, message):
        rest.request(method, path).refused(400, message)

    def test_null_segments_of_a_lock_t09(self, rest):
        rest.request("POST", "/lock/null/user/null/mutex/null/lock", {}).refused(
            400, "lock.mutex.namespaceName.error.require", "lock.mutex.userId.error.require",
            "lock.mutex.propertyId.error.require", "lock.mutex.transactionId.error.require")

    @pytest.mark.parametrize("path", ["/lock/%FF/status", "/lock/ns/user/%FF/mutex/p", "/lock/ns/user/u/mutex/%C3%28"])
    def test_path_that_is_no_text_e05(self, rest, path):
        rest.request("GET", path).refused(400)

    @pytest.mark.parametrize("path", ["/lock/a%00b/status", "/lock/ns/user/a%00b/mutex/p", "/lock/ns/user/u/mutex/a%00b"])
    def test_nul_in_the_path_e04(self, rest, path):
        assert rest.request("GET", path).refused(400)[0]["message"].endswith(".error.invalid")

    @pytest.mark.parametrize("method, path", [
        ("GET", "/nosuch/x"), ("GET", "/lock/ns/nosuch/x"), ("GET", "/identifier/nosuch"), ("GET", "/nosuch"),
        ("POST", "/"),
        ("PATCH", "/lock/ns"), ("PUT", "/lock/"), ("DELETE", "/lock/"), ("GET", "/identifier/projectToken/login"),
        ("POST", "/lock/ns/user/u/mutex/p"), ("POST", "/lock/ns/user/u/mutex/p/nosuch"),
    ])
    def test_unknown_routes_e05(self, rest, method, path):
        """E-01, E-05: an unknown route is a 404 of the usual shape; there is no 405."""
        rest.request(method, path, None if method == "GET" else {}).refused(404)

    def test_common_is_not_a_policy_name(self, rest):
        """Route overlap: `common` is the list of built-in policies."""
        names = [item["name"] for item in rest.request("GET", "/identifier/securityPolicy/common").ok()["items"]]
        assert "AdministratorAccess" in names

    def test_me_needs_an_access_token_n17_a10(self, rest, namespace):
        path = f"/lock/{namespace}/user/me/mutex"
        for method, target, body in (("GET", path, None), ("GET", f"{path}/p", None),
                                     ("POST", f"{path}/p/lock", {"transactionId": "t"}),
                                     ("POST", f"{path}/p/unlock", {"transactionId": "t"})):
            rest.request(method, target, body).refused(400, "lock.accessToken.accessToken.error.require")


class TestQueries:
    @pytest.mark.parametrize("query", [
        "pageToken=null&limit=null", "pageToken=&limit=", "namePrefix=null&pageToken=null&limit=null",
        "contextStack=null", "contextStack=x&unknown=1", "",
    ])
    def test_null_and_empty_are_absent_t07_n07(self, rest, namespace, query):
        """npm sends unset parameters as `null`; the list is the same as without."""
        assert len(rest.request("GET", f"/lock/?{query}").ok()["items"]) >= 1

    def test_prefix_and_limit_as_text_n07_n08(self, rest, namespace):
        items = rest.request("GET", f"/lock/?namePrefix={namespace}&pageToken=null&limit=10").ok()["items"]
        assert [item["name"] for item in items] == [namespace]

    @pytest.mark.parametrize("limit", ["0", "1001", "-1", "abc", "1.5", "99999999999999999999"])
    def test_limit_n07(self, rest, limit):
        rest.request("GET", f"/lock/?limit={limit}").refused(400, "lock.namespace.limit.error.invalid")

    def test_encoded_prefix_n08(self, rest, namespace):
        """Percent-encoding in queries is undone."""
        encoded = "".join(f"%{byte:02X}" for byte in namespace.encode())
        assert len(rest.request("GET", f"/lock/?namePrefix={encoded}").ok()["items"]) == 1

    def test_page_tokens_survive_encoding_n07(self, rest, make_namespace):
        stem = unique("ns")
        names = [make_namespace(stem + letter) for letter in "ab"]
        first = rest.request("GET", f"/lock/?namePrefix={stem}&limit=1").ok()
        token = quote(first["nextPageToken"], safe="")
        second = rest.request("GET", f"/lock/?namePrefix={stem}&limit=1&pageToken={token}").ok()
        assert [first["items"][0]["name"], second["items"][0]["name"]] == names

    def test_last_page_has_no_token_n07(self, rest, namespace):
        assert rest.request("GET", f"/lock/?namePrefix={namespace}").ok().get("nextPageToken") is None


class TestAnswers:
    @pytest.fixture
    def long_list(self, make_namespace):
        """A list whose answer is well over 1 KiB, and one that is well under."""
        name = make_namespace(description="d" * 1024)
        return f"/lock/?namePrefix={name}"

    def test_gzip_when_asked_exactly_t06(self, rest, long_list):
        plain = rest.request("GET", long_list)
        packed = rest.request("GET", long_list, headers={"Accept-Encoding": "gzip"})
        assert len(plain.raw) >= COMPRESS_FROM and "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip" and len(packed.raw) < len(plain.raw)
        assert packed.ok() == plain.ok()

    @pytest.mark.parametrize("accepted", [
        "gzip,deflate", "gzip, deflate", "gzip, deflate, br", "deflate", "identity", "*", "gzip;q=1.0", "br", ""])
    def test_plain_otherwise(self, rest, long_list, accepted):
        """Java asks for gzip,deflate and cannot read either."""
        answer = rest.request("GET", long_list, headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in answer.headers and answer.ok()["items"]

    def test_short_answers_stay_plain(self, rest):
        answer = rest.request("GET", "/lock/system/version", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in answer.headers and answer.ok()["item"]

    def test_long_errors_may_be_packed(self, rest):
        """A long refusal is readable under either encoding."""
        path = f"/lock/null/user/null/mutex/{'p' * 1025}/lock"
        messages = ["lock.mutex.namespaceName.error.require", "lock.mutex.userId.error.require",
                    "lock.mutex.propertyId.error.tooLong", "lock.mutex.transactionId.error.require"]
        for headers in ({}, {"Accept-Encoding": "gzip"}):
            rest.request("POST", path, {}, headers).refused(400, *messages)

    @pytest.mark.parametrize("method, path, status", [
        ("GET", "/lock/system/version", 200), ("GET", "/lock/absent/status", 404), ("GET", "/nosuch", 404),
        ("GET", "/lock/null/status", 400), ("DELETE", "/lock/absent", 404),
    ])
    def test_json_with_its_length_t11(self, rest, method, path, status):
        answer = rest.request(method, path)
        assert answer.status == status
        assert answer.headers["content-type"].startswith("application/json")
        assert isinstance(answer.body, dict)

    def test_metadata_is_an_object_t12(self, rest):
        assert isinstance(rest.request("GET", "/lock/system/version").ok().get("metadata", {}), dict)

    def test_identifier_version_n16(self, rest):
        body = rest.request("GET", "/identifier/system/version").ok()
        assert body["status"] == body["item"]

    def test_one_connection_serves_many_t03(self, rest, namespace):
        for _time in range(3):
            rest.request("GET", f"/lock/{namespace}/status").ok()
            rest.request("GET", "/lock/absent/status").refused(404, NO_NAMESPACE)

    def test_detail_names_the_limit_e09(self, rest):
        items = rest.request("POST", "/lock/", {"name": "a" * 129, "description": MIXED * 513}).refused(
            400, "lock.namespace.name.error.tooLong", "lock.namespace.description.error.tooLong")
        assert "128" in items[0]["detail"] and "1024" in items[1]["detail"].replace(",", "")

    def test_detail_of_a_range_names_both_ends_n07_a07(self, rest):
        item, = rest.request("GET", "/lock/?limit=1001").refused(400, "lock.namespace.limit.error.invalid")
        assert "1000" in item["detail"].replace(",", "")
        item, = rest.request("POST", "/auth/login", {"userId": "u", "timeOffset": -1}).refused(
            400, "auth.accessToken.timeOffset.error.invalid")
        assert "315360000" in item["detail"].replace(",", "")


class TestHosts:
    def test_service_by_host_t01_t04(self, rest, admin, namespace):
        """T-01, T-04: `{service}.{anything}` as host serves the paths without the service."""
        host = "lock.ap-northeast-1.gen2.example"
        assert rest.request("GET", f"/{namespace}/status", host=host).ok()["status"] == "ACTIVE"
        path = f"/{namespace}/user/user-1/mutex/a/b"
        assert rest.request("POST", f"{path}/lock", {"transactionId": "t"}, host=host).ok()["item"]["propertyId"] == "a/b"
        assert rest.request("GET", f"/lock{path}").ok()["item"]["propertyId"] == "a/b"

    def test_service_by_host_with_port_t04(self, rest, namespace):
        host = "lock.ap-northeast-1.gen2.example:8080"
        assert rest.request("GET", f"/?namePrefix={namespace}", host=host).ok()["items"][0]["name"] == namespace

    def test_login_by_host_t01(self, rest, credential):
        host = "identifier.ap-northeast-1.gen2.example"
        body = rest.request("POST", "/projectToken/login", credential, host=host, authorized=False).ok()
        assert body["access_token"]

    def test_auth_by_host_t01(self, rest):
        host = "auth.ap-northeast-1.gen2.example"
        assert rest.request("POST", "/login", {"userId": "u"}, host=host).ok()["userId"] == "u"


class TestTokens:
    @pytest.mark.parametrize("line", [
        "Bearer", "Bearer ", "Basic abc", "abc", "Bearer abc", "Bearer a.b.c", "Bearer " + "x" * 8000,
    ], ids=lambda line: line[:20])
    def test_authorization_e16(self, rest, line):
        answer = rest.request("GET", "/lock/absent/status", headers={"Authorization": line})
        assert answer.refused(401)[0]["component"] == "projectToken"

    def test_access_token_is_no_project_token_e16(self, rest, admin):
        token = admin.auth.login(user_id="u").token
        answer = rest.request("GET", "/lock/absent/status", headers={"Authorization": f"Bearer {token}"})
        answer.refused(401, "lock.projectToken.projectToken.error.invalid")

    def test_altered_project_token_e16(self, rest, admin):
        middle = len(admin.token) // 2
        altered = admin.token[:middle] + ("A" if admin.token[middle] != "A" else "B") + admin.token[middle + 1:]
        answer = rest.request("GET", "/lock/absent/status", headers={"Authorization": f"Bearer {altered}"})
        answer.refused(401, "lock.projectToken.projectToken.error.invalid")

    def test_time_offset_header_t05(self, rest, admin, mutex):
        rest.request("POST", f"{mutex}/lock", {"transactionId": "t", "ttl": 60}).ok()
        token = admin.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=61).token
        rest.request("GET", mutex, headers={"X-GS2-TIME-OFFSET-TOKEN": token}).refused(404, NO_MUTEX)

    @pytest.mark.parametrize("header", ["X-GS2-TIME-OFFSET-TOKEN", "X-GS2-DUPLICATION-AVOIDER", "X-GS2-REQUEST-ID"])
    def test_empty_headers_are_absent_t05(self, rest, mutex, header):
        for _time in range(2):
            rest.request("POST", f"{mutex}/lock", {"transactionId": "t"}, {header: ""}).ok()
        assert rest.request("GET", mutex).ok()["item"]["referenceCount"] == 2
