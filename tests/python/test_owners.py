"""What needs a server of its own: another owner's tokens, and what outlives a restart. BEHAVIOUR A-10, L-02, I-16."""

from contextlib import closing

import pytest

from harness.sdk import NotFound, Sdk, TRANSPORTS, Unauthorized
from harness.server import Server
from harness.wire import Rest

HOLDER = {"user_id": "user-1", "property_id": "property-1"}


@pytest.fixture(scope="module")
def other(environment, tmp_path_factory):
    """A second project on a server of its own."""
    server = Server(environment, tmp_path_factory.mktemp("other"))
    server.start()
    yield server.environment
    server.kill()


@pytest.fixture(scope="module")
def foreign(other):
    sdk = Sdk.login(other, "rest")
    yield sdk
    sdk.close()


class TestAnotherOwner:
    def test_project_token_e16(self, sdk, foreign, open_sdk):
        """E-16, A-10: a project token of another owner is unknown here."""
        theirs = open_sdk(sdk.transport, token=foreign.token)
        with theirs.refuses(Unauthorized, "lock.projectToken.projectToken.error.invalid"):
            theirs.lock.describe_namespaces()

    def test_access_token_a10(self, sdk, foreign, namespace):
        token = foreign.auth.login(user_id="user-1").token
        with sdk.refuses(Unauthorized, "lock.accessToken.accessToken.error.invalid"):
            sdk.lock.get_mutex(namespace_name=namespace, property_id="p", access_token=token)

    def test_time_offset_token_a09(self, sdk, foreign, namespace):
        token = foreign.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=1).token
        with sdk.refuses_with(Unauthorized, "timeOffsetToken", ".error.invalid"):
            sdk.lock.get_mutex_by_user_id(namespace_name=namespace, time_offset_token=token, **HOLDER)

    def test_credential_i05(self, sdk, other):
        with sdk.refuses(Unauthorized, "identifier.identifier.clientSecret.error.invalid"):
            sdk.identifier.login(client_id=other.client_id, client_secret=other.client_secret)

    def test_grns_name_the_owner_n03(self, foreign, other, environment):
        assert other.owner_id != environment.owner_id
        item = foreign.lock.create_namespace(name="default").item
        assert item.namespace_id == other.grn("lock", "default")
        user = foreign.identifier.create_user(name="someone").item
        assert user.user_id == other.grn("identifier", "user", "someone")


class TestBootstrap:
    """I-16: the first user comes from the configuration."""

    def test_health(self, other):
        rest = Rest(other)
        assert rest.request("GET", "/healthz", authorized=False).status == 200
        assert b"# TYPE" in rest.request("GET", "/metrics", authorized=False).raw
        rest.close()

    def test_bootstrap_user_i16(self, foreign):
        """I-16: it is an ordinary user with the administrator's policy and the configured credential."""
        user, = [u.name for u in foreign.identifier.describe_users(limit=1000).items if u.name != "someone"]
        policies = foreign.identifier.get_has_security_policy(user_name=user).items
        assert [policy.name for policy in policies] == ["AdministratorAccess"]
        clients = foreign.identifier.describe_identifiers(user_name=user).items
        assert [client.client_id for client in clients] == [foreign.environment.client_id]


@pytest.fixture
def restarted(environment, tmp_path):
    server = Server(environment, tmp_path)
    yield server
    server.kill()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_restart_l02_n11(restarted, transport):
    """L-02, N-11, X-02: an orderly restart keeps mutexes, revisions and stored answers; nothing runs backwards."""
    other = {"user_id": "user-2", "property_id": "p"}
    once = {**other, "transaction_id": "t", "duplication_avoider": "x"}
    restarted.start()
    with closing(Sdk.login(restarted.environment, transport)) as sdk:
        sdk.lock.create_namespace(name="ns")
        released = sdk.lock.lock_by_user_id(namespace_name="ns", transaction_id="t", **HOLDER).item
        sdk.lock.unlock_by_user_id(namespace_name="ns", transaction_id="t", **HOLDER)
        held = sdk.lock.lock_by_user_id(namespace_name="ns", **once).item
    assert restarted.stop() == 0, "SIGTERM is an orderly stop"
    restarted.start()
    with closing(Sdk.login(restarted.environment, transport)) as sdk:
        assert sdk.lock.get_mutex_by_user_id(namespace_name="ns", **other).item.to_dict() == held.to_dict()
        assert sdk.lock.lock_by_user_id(namespace_name="ns", **once).item.to_dict() == held.to_dict()
        assert sdk.answer["item"]["referenceCount"] == 1
        with sdk.refuses(NotFound, "lock.mutex.mutex.error.notFound"):
            sdk.lock.get_mutex_by_user_id(namespace_name="ns", **HOLDER)
        again = sdk.lock.lock_by_user_id(namespace_name="ns", transaction_id="t", **HOLDER).item
        assert again.revision > released.revision
