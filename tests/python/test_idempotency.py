"""The duplication avoider and the dry run. BEHAVIOUR X-01 to X-03, L-17, T-14."""

import pytest

from harness import operations
from harness.environment import unique
from harness.gateway import recorded_pushes
from harness.policy import allow, document
from harness.sdk import Conflict, NotFound, Unauthorized

NO_MUTEX = "lock.mutex.mutex.error.notFound"
NOT_MATCH = "lock.mutex.transactionId.error.notMatch"


class Player:
    """The mutex calls of one user, as `me` or by user id."""

    def __init__(self, sdk, who, namespace, user):
        self.sdk, self.namespace, self.user = sdk, namespace, user
        self.suffix = "" if who == "me" else "_by_user_id"
        self.identity = {"access_token": sdk.auth.login(user_id=user).token} if who == "me" else {"user_id": user}

    def __getattr__(self, verb):
        def call(property_id="p", **fields):
            operation = getattr(self.sdk.lock, verb + self.suffix)
            return operation(
                namespace_name=self.namespace, property_id=property_id, **self.identity, **fields).item

        return call

    @property
    def count(self):
        self.get_mutex()
        return self.sdk.answer["item"]["referenceCount"]


@pytest.fixture(params=["me", "by_user_id"])
def player(request, sdk, namespace):
    return Player(sdk, request.param, namespace, unique("user"))


class TestDuplicationAvoider:
    def test_repeated_lock_counts_once_l17_x02(self, player):
        """L-17, X-02: the second call gets the first answer and changes nothing."""
        first = player.lock(transaction_id="t", duplication_avoider="x")
        answer = player.sdk.answer["item"]
        again = player.lock(transaction_id="t", duplication_avoider="x")
        assert again.to_dict() == first.to_dict() and player.sdk.answer["item"] == answer
        assert player.count == 1
        player.unlock(transaction_id="t")
        assert player.lock(transaction_id="t", duplication_avoider="x").to_dict() == first.to_dict()
        with player.sdk.refuses(NotFound, NO_MUTEX):
            player.get_mutex()

    def test_repeated_unlock_counts_once_x02(self, player):
        player.lock(transaction_id="t")
        player.lock(transaction_id="t")
        for _time in range(2):
            player.unlock(transaction_id="t", duplication_avoider="x")
            assert player.sdk.answer["item"]["referenceCount"] == 1
        assert player.count == 1

    def test_repeated_delete_x02(self, sdk, namespace):
        player = Player(sdk, "by_user_id", namespace, unique("user"))
        player.lock(transaction_id="t")
        gone = player.delete_mutex(duplication_avoider="x")
        assert player.delete_mutex(duplication_avoider="x").to_dict() == gone.to_dict()
        with sdk.refuses(NotFound, NO_MUTEX):
            player.delete_mutex(duplication_avoider="y")

    def test_credentials_are_no_part_of_the_request_x02_x03(self, sdk, namespace):
        """X-02, X-03, T-07: after a new login the same call is still the same; so it is with another context stack."""
        user = unique("user")
        first = Player(sdk, "me", namespace, user).lock(transaction_id="t", duplication_avoider="x")
        again = Player(sdk, "me", namespace, user)
        assert again.lock(transaction_id="t", duplication_avoider="x").to_dict() == first.to_dict()
        assert again.lock(transaction_id="t", duplication_avoider="x", context_stack="s").to_dict() == first.to_dict()
        assert again.count == 1

    def test_under_a_time_offset_x03_a09(self, sdk, namespace):
        """X-03, A-09: an offset longer than answers are kept makes no difference."""
        player = Player(sdk, "by_user_id", namespace, unique("user"))
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id=player.user, time_offset=30 * 24 * 3600).token
        call = {"transaction_id": "t", "ttl": 60, "time_offset_token": token, "duplication_avoider": "x"}
        assert player.lock(**call).to_dict() == player.lock(**call).to_dict()
        assert player.count == 1

    def test_same_avoider_other_request_x03(self, player):
        """X-03: a different request under a used avoider is a conflict and does nothing."""
        player.lock(transaction_id="t", duplication_avoider="x")
        for other in ({"transaction_id": "u"}, {"transaction_id": "t", "ttl": 60},
                      {"transaction_id": "t", "property_id": "q"}):
            with player.sdk.refuses_with(Conflict):
                player.lock(duplication_avoider="x", **other)
        assert player.count == 1
        with player.sdk.refuses(NotFound, NO_MUTEX):
            player.get_mutex(property_id="q")

    def test_scope_x03(self, sdk, player):
        """X-03: the avoider counts per operation, user and text."""
        player.lock(transaction_id="t", duplication_avoider="x")
        player.unlock(transaction_id="t", duplication_avoider="x")
        assert sdk.answer["item"]["referenceCount"] == 0
        other = Player(sdk, "by_user_id", player.namespace, unique("user"))
        assert other.lock(transaction_id="u", duplication_avoider="x").user_id == other.user
        player.lock(transaction_id="t", duplication_avoider="X")
        assert player.count == 1

    def test_refusals_are_not_kept_x03(self, player):
        """X-03: only successes are stored; a refused call may be repeated under its avoider."""
        player.lock(transaction_id="t")
        with player.sdk.refuses(Conflict, NOT_MATCH):
            player.lock(transaction_id="u", duplication_avoider="x")
        player.unlock(transaction_id="t")
        assert player.lock(transaction_id="u", duplication_avoider="x").transaction_id == "u"

    def test_one_answer_on_both_transports_x02(self, sdk, admin, namespace):
        call = {"namespace_name": namespace, "user_id": "u", "property_id": "p", "transaction_id": "t",
                "duplication_avoider": unique("avoider")}
        first = sdk.lock.lock_by_user_id(**call).item
        assert admin.lock.lock_by_user_id(**call).item.to_dict() == first.to_dict()
        admin.lock.get_mutex_by_user_id(namespace_name=namespace, user_id="u", property_id="p")
        assert admin.answer["item"]["referenceCount"] == 1

    def test_permission_comes_first_x02_e15(self, sign_in, admin, namespace):
        """X-02, E-15: a stored answer is not for those who may not make the call."""
        call = {"namespace_name": namespace, "user_id": "u", "property_id": "p", "transaction_id": "t",
                "duplication_avoider": unique("avoider")}
        admin.lock.lock_by_user_id(**call)
        theirs = sign_in(document(allow("Gs2Lock:GetMutexByUserId")))
        with theirs.refuses(Unauthorized, "lock.mutex.lockByUserId.error.notAuthorized"):
            theirs.lock.lock_by_user_id(**call)

    def test_as_other_sdks_send_it_x01(self, rest, open_socket, namespace):
        """X-01, T-05, T-21: the header over REST; on the socket with and without the prefix."""
        lock = operations.operation("lock", "lockByUserId")
        get = operations.operation("lock", "getMutexByUserId")
        socket = open_socket("/v2")
        for call in (
            lambda fields: rest.call(lock, fields, {"X-GS2-DUPLICATION-AVOIDER": "x"}),
            lambda fields: socket.call(lock, fields, xGs2DuplicationAvoider="x"),
            lambda fields: socket.call(lock, fields, duplicationAvoider="x"),
        ):
            where = {"namespaceName": namespace, "userId": unique("user"), "propertyId": "p"}
            first, again = (call({**where, "transactionId": "t"}).ok()["item"] for _time in range(2))
            assert first == again
            assert rest.call(get, where).ok()["item"]["referenceCount"] == 1
            call({**where, "transactionId": "u"}).refused(409)

    def test_not_for_namespaces_x01(self, rest, discard_namespace):
        """X-01: administration takes no avoider; the second creation meets the first."""
        create = operations.operation("lock", "createNamespace")
        headers = {"X-GS2-DUPLICATION-AVOIDER": unique("avoider")}
        rest.call(create, {"name": discard_namespace}, headers).ok()
        rest.call(create, {"name": discard_namespace}, headers).refused(400, "lock.namespace.name.error.exists")


class TestGateway:
    """X-01 to X-03 for the calls of Gateway; notifications have tests of their own."""

    NO_TOKEN = "gateway.firebaseToken.firebaseToken.error.notFound"

    @pytest.fixture(params=["me", "by_user_id"])
    def token(self, request, sdk, gateway):
        """The Firebase token calls of one user."""
        user, suffix = unique("user"), "" if request.param == "me" else "_by_user_id"
        who = {"access_token": sdk.auth.login(user_id=user).token} if request.param == "me" else {"user_id": user}

        def call(verb, **fields):
            operation = getattr(sdk.gateway, f"{verb}_firebase_token{suffix}")
            return operation(namespace_name=gateway, **who, **fields).item

        return call

    def test_repeated_token_counts_once_x02(self, sdk, token):
        first = token("set", token="a", locale="ja", duplication_avoider="x")
        assert token("set", token="b").revision == 2
        assert token("set", token="a", locale="ja", duplication_avoider="x").to_dict() == first.to_dict()
        assert token("get").token == "b"
        for other in ({"token": "b", "locale": "ja"}, {"token": "a"}):
            with sdk.refuses_with(Conflict):
                token("set", duplication_avoider="x", **other)
        gone = token("delete", duplication_avoider="x")
        assert token("delete", duplication_avoider="x").to_dict() == gone.to_dict()
        with sdk.refuses(NotFound, self.NO_TOKEN):
            token("delete", duplication_avoider="y")

    def test_repeated_disconnect_x02(self, sdk, gateway, listen):
        """X-02: the second call closes nobody who came after the first."""
        call = {"namespace_name": gateway, "user_id": unique("user")}
        listen().gateway.set_user_id_by_user_id(**call)
        first = sdk.gateway.disconnect_by_user_id(duplication_avoider="x", **call).to_dict()
        assert len(first["items"]) == 1
        again = listen().gateway.set_user_id_by_user_id(**call).item
        assert sdk.gateway.disconnect_by_user_id(duplication_avoider="x", **call).to_dict() == first
        listed = sdk.gateway.describe_web_socket_sessions_by_user_id(**call).items
        assert [item.connection_id for item in listed] == [again.connection_id]

    def test_repeated_set_user_id_x02(self, sessions, listen):
        socket, user = listen(), unique("user")
        first = sessions.bind(socket, user, duplicationAvoider="x")
        assert sessions.bind(socket, user, duplicationAvoider="x") == first
        assert sessions.describe(user) == [first]

    def test_set_user_id_on_another_socket_x03_g02(self, sessions, listen):
        """X-03, G-02: the current connection is part of the request; nobody is told to be bound who is not."""
        first, second, user = listen(), listen(), unique("user")
        sessions.bind(first, user, duplicationAvoider="x")
        with sessions.caller(second).refuses_with(Conflict):
            sessions.bind(second, user, duplicationAvoider="x")

    def test_repeated_push_x02(self, sdk, environment, gateway):
        call = {"namespace_name": gateway, "user_id": unique("user")}
        sdk.gateway.set_firebase_token_by_user_id(token="token", **call)
        before = recorded_pushes(environment)
        for _time in range(3):
            sdk.gateway.send_mobile_notification_by_user_id(
                subject="s", payload="p", duplication_avoider="x", **call)
        assert recorded_pushes(environment) - before == 1
        with sdk.refuses_with(Conflict):
            sdk.gateway.send_mobile_notification_by_user_id(
                subject="s", payload="another", duplication_avoider="x", **call)

    def test_not_for_disconnect_all_x01(self, sdk, rest, gateway, listen):
        """X-01: `disconnectAll` takes no avoider; a repeated one does its work again."""
        disconnect = operations.operation("gateway", "disconnectAll")
        call = {"namespace_name": gateway, "user_id": "user-1"}
        for _time in range(2):
            listen().gateway.set_user_id_by_user_id(**call)
            rest.call(disconnect, {"namespaceName": gateway}, {"X-GS2-DUPLICATION-AVOIDER": "x"}).ok()
            assert sdk.gateway.describe_web_socket_sessions_by_user_id(**call).items == []


class TestDryRun:
    """T-14: validated, authorised and evaluated, but nothing is kept."""

    def test_lock_t14(self, dry, admin, namespace):
        lock = operations.operation("lock", "lockByUserId")
        where = {"namespace_name": namespace, "user_id": "u", "property_id": "p"}
        fields = {"namespaceName": namespace, "userId": "u", "propertyId": "p", "transactionId": "t"}
        for _time in range(2):
            item = dry(lock, fields).ok()["item"]
            assert (item["transactionId"], item["referenceCount"]) == ("t", 1)
        with admin.refuses(NotFound, NO_MUTEX):
            admin.lock.get_mutex_by_user_id(**where)
        held = admin.lock.lock_by_user_id(transaction_id="u", **where).item
        dry(lock, fields).refused(409, NOT_MATCH)
        gone = dry(operations.operation("lock", "deleteMutexByUserId"), {
            "namespaceName": namespace, "userId": "u", "propertyId": "p"}).ok()["item"]
        assert gone["mutexId"] == held.mutex_id
        assert admin.lock.get_mutex_by_user_id(**where).item.to_dict() == held.to_dict()

    def test_namespace_t14(self, dry, admin, environment, namespace):
        name = unique("ns")
        item = dry(operations.operation("lock", "createNamespace"), {"name": name}).ok()["item"]
        assert item["namespaceId"] == environment.grn("lock", name)
        with admin.refuses(NotFound, "lock.namespace.namespace.error.notFound"):
            admin.lock.get_namespace(namespace_name=name)
        dry(operations.operation("lock", "deleteNamespace"), {"namespaceName": namespace}).ok()
        assert admin.lock.get_namespace(namespace_name=namespace).item.name == namespace

    def test_identifier_t14(self, dry, admin, user):
        made = dry(operations.operation("identifier", "createIdentifier"), {"userName": user}).ok()
        with admin.refuses(NotFound, "identifier.identifier.identifier.error.notFound"):
            admin.identifier.get_identifier(user_name=user, client_id=made["item"]["clientId"])
        dry(operations.operation("identifier", "deleteUser"), {"userName": user}).ok()
        assert admin.identifier.get_user(user_name=user).item.name == user

    def test_firebase_token_t14(self, dry, admin, gateway):
        fields, call = {"namespaceName": gateway, "userId": "u"}, {"namespace_name": gateway, "user_id": "u"}
        set_token = operations.operation("gateway", "setFirebaseTokenByUserId")
        assert dry(set_token, {**fields, "token": "dry"}).ok()["item"]["token"] == "dry"
        with admin.refuses(NotFound, TestGateway.NO_TOKEN):
            admin.gateway.get_firebase_token_by_user_id(**call)
        kept = admin.gateway.set_firebase_token_by_user_id(token="kept", **call).item
        assert dry(set_token, {**fields, "token": "dry"}).ok()["item"]["revision"] == 2
        dry(operations.operation("gateway", "deleteFirebaseTokenByUserId"), fields).ok()
        assert admin.gateway.get_firebase_token_by_user_id(**call).item.to_dict() == kept.to_dict()

    def test_validates_t14(self, dry, namespace):
        create = operations.operation("lock", "createNamespace")
        dry(create, {"name": "a" * 129}).refused(400, "lock.namespace.name.error.tooLong")
        dry(create, {"name": namespace}).refused(400, "lock.namespace.name.error.exists")

    def test_switch_in_any_case_t08(self, dry, admin):
        name = unique("ns")
        dry(operations.operation("lock", "createNamespace"), {"name": name}, "True").ok()
        with admin.refuses(NotFound, "lock.namespace.namespace.error.notFound"):
            admin.lock.get_namespace(namespace_name=name)

    @pytest.mark.parametrize("switch", ["false", "False"])
    def test_switched_off_t14(self, dry, admin, discard_namespace, switch):
        dry(operations.operation("lock", "createNamespace"), {"name": discard_namespace}, switch).ok()
        assert admin.lock.get_namespace(namespace_name=discard_namespace).item.name == discard_namespace

    def test_uses_up_no_avoider_t14_x02(self, dry, rest, namespace):
        """T-14, X-02: an answer that was not kept is no answer to give again."""
        lock = operations.operation("lock", "lockByUserId")
        fields = {"namespaceName": namespace, "userId": "u", "propertyId": "p", "transactionId": "t",
                  "duplicationAvoider": unique("avoider")}
        dry(lock, fields).ok()
        rest.call(lock, fields).ok()
        get = operations.operation("lock", "getMutexByUserId")
        assert rest.call(get, {"namespaceName": namespace, "userId": "u", "propertyId": "p"}).ok()["item"]
