"""Who may do what: policies as the calls of a signed-in user meet them. BEHAVIOUR I-09 to I-13, E-15."""

import pytest

from harness.environment import unique
from harness.gateway import SET_USER_ID
from harness.policy import EVERYTHING, allow, common, deny, document
from harness.sdk import BadRequest, NotFound, Sdk, TRANSPORTS, Unauthorized
from harness.transactions import batched, config
from harness import operations

NO_MUTEX = "lock.mutex.mutex.error.notFound"


def refusal(name, service="lock", component="mutex"):
    return f"{service}.{component}.{name}.error.notAuthorized"


def mutex(namespace, user="user-1", property_id="property-1"):
    return {"namespace_name": namespace, "user_id": user, "property_id": property_id}


def lock(sdk, namespace, transaction="t", **which):
    return sdk.lock.lock_by_user_id(transaction_id=transaction, **mutex(namespace, **which)).item


class TestActions:
    def test_default_deny_i11(self, sign_in, namespace):
        theirs = sign_in()
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)

    def test_exact_action_i09(self, sign_in, namespace):
        theirs = sign_in(document(allow("Gs2Lock:LockByUserId")))
        assert lock(theirs, namespace).transaction_id == "t"
        with theirs.refuses(Unauthorized, refusal("unlockByUserId")):
            theirs.lock.unlock_by_user_id(transaction_id="t", **mutex(namespace))
        with theirs.refuses(Unauthorized, refusal("describeNamespaces", component="namespace")):
            theirs.lock.describe_namespaces()

    def test_user_id_variants_are_actions_of_their_own_i09(self, sign_in, admin, namespace):
        theirs = sign_in(document(allow("Gs2Lock:Lock", "Gs2Lock:Get")))
        token = admin.auth.login(user_id="user-1").token
        call = {"namespace_name": namespace, "property_id": "p", "access_token": token}
        assert theirs.lock.lock(transaction_id="t", **call).item.user_id == "user-1"
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)
        with theirs.refuses(Unauthorized, refusal("getMutex")):
            theirs.lock.get_mutex(**call)

    @pytest.mark.parametrize("action", ["*", "Gs2Lock:*", "Gs2Lock:Lock*", "Gs2*", "Gs2Lock:LockByUserI*"])
    def test_trailing_wildcard_i09(self, sign_in, namespace, action):
        assert lock(sign_in(document(allow(action))), namespace).transaction_id == "t"

    @pytest.mark.parametrize("action", [
        "Gs2Auth:*", "Gs2Lock:Unlock*", "Gs2Lock:LockByUserIdentity", "Gs2Loc:*", "Gs2Lock"])
    def test_other_actions_i09(self, sign_in, namespace, action):
        theirs = sign_in(document(allow(action)))
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)

    def test_many_actions_and_statements_i08(self, sign_in, namespace):
        theirs = sign_in(document(allow("Gs2Auth:Login", "Gs2Lock:LockByUserId"), allow("Gs2Lock:GetMutexByUserId")))
        lock(theirs, namespace)
        assert theirs.lock.get_mutex_by_user_id(**mutex(namespace)).item.transaction_id == "t"
        assert theirs.auth.login(user_id="user-1").token

    def test_no_statement_i08(self, sign_in, namespace):
        theirs = sign_in(document())
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)

    def test_other_services_i09(self, sign_in):
        theirs = sign_in(document(allow("Gs2Identifier:CreateUser", "Gs2Identifier:DeleteUser", "Gs2Auth:Login")))
        name = unique("user")
        theirs.identifier.create_user(name=name)
        with theirs.refuses(Unauthorized, refusal("getUser", "identifier", "user")):
            theirs.identifier.get_user(user_name=name)
        theirs.identifier.delete_user(user_name=name)
        theirs.auth.login(user_id="user-1")
        with theirs.refuses(Unauthorized, refusal("issueTimeOffsetTokenByUserId", "auth", "accessToken")):
            theirs.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=1)

    def test_refusal_does_nothing_e15(self, sign_in, admin, namespace):
        theirs = sign_in(document(allow("Gs2Lock:Get*")))
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)
        with admin.refuses(NotFound, NO_MUTEX):
            admin.lock.get_mutex_by_user_id(**mutex(namespace))


class TestDeny:
    @pytest.mark.parametrize("order", [1, -1], ids=["allow first", "deny first"])
    def test_wins_within_a_policy_i11(self, sign_in, namespace, order):
        theirs = sign_in(document(*[allow("*"), deny("Gs2Lock:LockByUserId")][::order]))
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)
        with theirs.refuses(NotFound, NO_MUTEX):
            theirs.lock.get_mutex_by_user_id(**mutex(namespace))

    @pytest.mark.parametrize("order", [1, -1], ids=["allow first", "deny first"])
    def test_wins_over_other_policies_i01_i11(self, sign_in, namespace, order):
        policies = [common("AdministratorAccess"), document(deny("Gs2Lock:Lock*"))][::order]
        theirs = sign_in(*policies)
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)
        theirs.lock.describe_namespaces(limit=1)

    def test_only_where_its_resource_matches_i10(self, sign_in, environment, make_namespace):
        open_, closed = make_namespace(), make_namespace()
        theirs = sign_in(document(allow("*"), deny("*", on=[environment.grn("lock", closed) + "*"])))
        assert lock(theirs, open_).user_id == "user-1"
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, closed)

    def test_policies_are_or_ed_i01(self, sign_in, namespace):
        theirs = sign_in(document(allow("Gs2Lock:LockByUserId")), document(allow("Gs2Lock:GetMutexByUserId")))
        lock(theirs, namespace)
        assert theirs.lock.get_mutex_by_user_id(**mutex(namespace)).item.transaction_id == "t"


class TestResources:
    """I-10: the resource of a call is the GRN of its model as far as the request names it."""

    def test_one_mutex_i10(self, sign_in, environment, namespace):
        grn = environment.grn("lock", namespace, "user", "user-1", "property", "property-1")
        theirs = sign_in(document(allow("Gs2Lock:*", on=[grn])))
        assert lock(theirs, namespace).mutex_id == grn
        for other in ({"property_id": "property-10"}, {"user": "user-10"}):
            with theirs.refuses(Unauthorized, refusal("lockByUserId")):
                lock(theirs, namespace, **other)

    def test_one_user_i10(self, sign_in, environment, namespace):
        theirs = sign_in(document(allow("*", on=[environment.grn("lock", namespace, "user", "user-1") + ":*"])))
        assert lock(theirs, namespace).user_id == "user-1"
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace, user="user-10")

    def test_player_calls_name_the_tokens_user_i10(self, sign_in, admin, environment, namespace):
        theirs = sign_in(document(allow("*", on=[environment.grn("lock", namespace, "user", "user-1") + ":*"])))
        for user, exception in (("user-1", None), ("user-2", Unauthorized)):
            call = {"namespace_name": namespace, "property_id": "p", "transaction_id": "t",
                    "access_token": admin.auth.login(user_id=user).token}
            if exception is None:
                assert theirs.lock.lock(**call).item.user_id == user
            else:
                with theirs.refuses(exception, refusal("lock")):
                    theirs.lock.lock(**call)

    def test_one_namespace_i10(self, sign_in, environment, make_namespace):
        mine = make_namespace()
        other = make_namespace(mine + "0")
        theirs = sign_in(document(allow("*", on=[environment.grn("lock", mine), environment.grn("lock", mine) + ":*"])))
        assert lock(theirs, mine).user_id == "user-1"
        assert theirs.lock.get_namespace(namespace_name=mine).item.name == mine
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, other)
        with theirs.refuses(Unauthorized, refusal("getNamespace", component="namespace")):
            theirs.lock.get_namespace(namespace_name=other)
        with theirs.refuses(Unauthorized, refusal("describeNamespaces", component="namespace")):
            theirs.lock.describe_namespaces()

    def test_mutex_lists_name_the_user_i10(self, sign_in, environment, namespace):
        theirs = sign_in(document(allow("*", on=[environment.grn("lock", namespace, "user", "user-1")])))
        describe = operations.operation("lock", "describeMutexesByUserId")
        assert theirs.call(describe, {"namespaceName": namespace, "userId": "user-1"})["items"] == []
        with theirs.refuses(Unauthorized, refusal("describeMutexesByUserId")):
            theirs.call(describe, {"namespaceName": namespace, "userId": "user-2"})
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)

    def test_creation_names_the_new_namespace_i10(self, sign_in, environment, discard_namespace):
        theirs = sign_in(document(allow("*", on=[environment.grn("lock", discard_namespace)])))
        with theirs.refuses(Unauthorized, refusal("createNamespace", component="namespace")):
            theirs.lock.create_namespace(name=discard_namespace + "0")
        assert theirs.lock.create_namespace(name=discard_namespace).item.name == discard_namespace

    def test_lists_name_the_service_i10(self, sign_in, environment, namespace):
        theirs = sign_in(document(allow("*", on=[environment.grn("lock")])))
        assert theirs.lock.describe_namespaces(name_prefix=namespace).items[0].name == namespace
        with theirs.refuses(Unauthorized, refusal("getNamespace", component="namespace")):
            theirs.lock.get_namespace(namespace_name=namespace)

    def test_identifier_users_i10(self, sign_in, environment, make_user):
        mine, other = make_user(), make_user()
        theirs = sign_in(document(allow("*", on=[environment.grn("identifier", "user", mine)])))
        assert theirs.identifier.get_user(user_name=mine).item.name == mine
        with theirs.refuses(Unauthorized, refusal("getUser", "identifier", "user")):
            theirs.identifier.get_user(user_name=other)

    @pytest.mark.parametrize("pattern", ["grn:gs2:*:x", "*:lock:*:user:user-1", "grn:gs2:other-region:*"])
    def test_a_wildcard_counts_only_at_the_end_i09_i10(self, sdk, admin, sign_in, namespace, pattern):
        """I-09, I-10: anywhere else it matches nothing; refusing such a document is as good."""
        try:
            theirs = sign_in(document(allow("*", on=[pattern])))
        except BadRequest:
            assert "identifier.securityPolicy.policy.error.invalid" in str(admin.answer)
            return
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)


class TestAtOnce:
    """Policies are read at each call, also for tokens that were issued before."""

    def test_attach_and_detach_i14(self, sdk, admin, make_user, open_sdk, namespace):
        name, grn = make_user(), common("AdministratorAccess")
        made = admin.identifier.create_identifier(user_name=name)
        theirs = open_sdk(sdk.transport, made.item.client_id, made.client_secret)
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)
        admin.identifier.attach_security_policy(user_name=name, security_policy_id=grn)
        lock(theirs, namespace)
        admin.identifier.detach_security_policy(user_name=name, security_policy_id=grn)
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)

    def test_update_and_delete_i08(self, sdk, admin, make_user, make_policy, open_sdk, namespace):
        policy = make_policy(document(deny("*")))
        name = make_user(policies=[policy.security_policy_id])
        made = admin.identifier.create_identifier(user_name=name)
        theirs = open_sdk(sdk.transport, made.item.client_id, made.client_secret)
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)
        admin.identifier.update_security_policy(security_policy_name=policy.name, policy=EVERYTHING)
        lock(theirs, namespace)
        admin.identifier.delete_security_policy(security_policy_name=policy.name)
        with theirs.refuses(Unauthorized, refusal("lockByUserId")):
            lock(theirs, namespace)


@pytest.fixture(scope="module", params=TRANSPORTS)
def holders(request, environment, admin):
    """One signed-in user for each built-in policy."""
    sessions, users = {}, []
    for name in ("AdministratorAccess", "ApplicationAccess", "DeliveryAccess", "UnauthenticatedAccess"):
        user = unique("user")
        admin.identifier.create_user(name=user)
        users.append(user)
        admin.identifier.attach_security_policy(user_name=user, security_policy_id=common(name))
        made = admin.identifier.create_identifier(user_name=user)
        sessions[name] = Sdk.login(environment, request.param, made.item.client_id, made.client_secret)
    yield sessions
    for session in sessions.values():
        session.close()
    for user in users:
        admin.identifier.delete_user(user_name=user)


@pytest.fixture(scope="module")
def player(admin):
    return admin.auth.login(user_id="user-1").token


def sample(operation, player):
    return operation.sample(accessToken=player) if operation.takes_access_token else operation.sample()


PROTECTED = [operation for operation in operations.ALL if not operation.public]
PLAYER_CALLS = ("lock", "unlock", "getMutex", "loginBySignature", "setUserId", "describeWebSocketSessions",
                "setFirebaseToken", "getFirebaseToken", "deleteFirebaseToken", "run", "getJobResult", "createRoom",
                "updateRoom", "deleteRoom", "getRoom", "describeRooms", "post", "describeMessages",
                "describeLatestMessages", "getMessage", "subscribe", "updateNotificationType", "unsubscribe",
                "getSubscribe", "describeSubscribes", "describeCategoryModels", "getCategoryModel",
                "describeDistributorModels", "getDistributorModel", "runVerifyTask", "runStampTask", "runStampSheet",
                "runStampSheetExpress", "runVerifyTaskWithoutNamespace", "runStampTaskWithoutNamespace", "runStampSheetWithoutNamespace",
                "runStampSheetExpressWithoutNamespace", "getStampSheetResult", "getTransactionResult", "sendInGameLog",
                "setTransactionDefaultConfig", "freezeMasterData", "freezeMasterDataBySignedTimestamp", "batchExecuteApi")
UNDECIDED = ("getServiceVersion", "describeMutexes")
FORBIDDEN_TO_APPLICATIONS = [o for o in PROTECTED if o.name not in PLAYER_CALLS + UNDECIDED]


class TestBuiltIn:
    """I-12, I-13: what the built-in policies allow."""

    def test_application_may_lock_i13(self, holders, player, namespace):
        theirs = holders["ApplicationAccess"]
        call = {"namespace_name": namespace, "property_id": "p", "access_token": player}
        assert theirs.lock.lock(transaction_id="t", **call).item.user_id == "user-1"
        assert theirs.lock.get_mutex(**call).item.transaction_id == "t"
        assert theirs.lock.unlock(transaction_id="t", **call).item.property_id == "p"
        with theirs.refuses_with(BadRequest):
            theirs.auth.login_by_signature(body="body", signature="signature")

    def test_application_may_use_gateway_i13(self, holders, player, gateway, bound):
        """I-13: the player's own socket and device."""
        theirs, call = holders["ApplicationAccess"], {"namespace_name": gateway, "access_token": player}
        _socket, item = bound("user-2")
        assert theirs.call(SET_USER_ID, {
            "namespaceName": gateway, "accessToken": player, "connectionId": item["connectionId"]})
        assert [session.user_id for session in theirs.gateway.describe_web_socket_sessions(**call).items] == ["user-1"]
        assert theirs.gateway.set_firebase_token(token="token", **call).item.user_id == "user-1"
        assert theirs.gateway.get_firebase_token(**call).item.token == "token"
        assert theirs.gateway.delete_firebase_token(**call).item.token == "token"

    def test_application_may_prepare_transactions_i13(self, holders, player, namespace, make_distributor):
        """I-13: what goes along with a player's calls; a batch has no more rights than its caller."""
        theirs = holders["ApplicationAccess"]
        assert theirs.distributor.set_transaction_default_config(
            access_token=player, config=config(what="x")).new_context_stack
        assert theirs.distributor.freeze_master_data(
            namespace_name=make_distributor(), access_token=player).new_context_stack
        call = {"namespaceName": namespace, "propertyId": "p", "transactionId": "t"}
        ran = theirs.distributor.batch_execute_api(request_payloads=[
            batched("lock", "lock", {**call, "accessToken": player}, "1"),
            batched("lock", "lockByUserId", {**call, "userId": "user-2"}, "2")]).results
        assert [(result.request_id, result.status_code) for result in ran] == [("1", 200), ("2", 401)]

    @pytest.mark.parametrize("operation", FORBIDDEN_TO_APPLICATIONS, ids=str)
    def test_application_may_not_i13(self, holders, player, operation):
        theirs = holders["ApplicationAccess"]
        with theirs.refuses(Unauthorized, operation.error(operation.name, "notAuthorized")):
            theirs.call(operation, sample(operation, player))

    @pytest.mark.parametrize("operation", [
        o for o in PROTECTED if o.name not in ("getServiceVersion", "loginBySignature")], ids=str)
    def test_unauthenticated_may_not_i12(self, holders, player, operation):
        theirs = holders["UnauthenticatedAccess"]
        with theirs.refuses(Unauthorized, operation.error(operation.name, "notAuthorized")):
            theirs.call(operation, sample(operation, player))

    def test_unauthenticated_may_ask_for_the_version_i12(self, holders):
        theirs = holders["UnauthenticatedAccess"]
        assert theirs.lock.get_service_version().item and theirs.auth.get_service_version().item
        assert theirs.identifier.get_service_version().status

    @pytest.mark.parametrize("operation", [
        o for o in PROTECTED if o.name.startswith(("create", "update", "delete", "attach", "issue", "login"))
        and o.name != "loginBySignature"], ids=str)
    def test_delivery_may_not_i12(self, holders, player, operation):
        theirs = holders["DeliveryAccess"]
        with theirs.refuses(Unauthorized, operation.error(operation.name, "notAuthorized")):
            theirs.call(operation, sample(operation, player))

    def test_administrator_may_i12(self, holders, player, namespace):
        theirs = holders["AdministratorAccess"]
        assert lock(theirs, namespace).user_id == "user-1"
        name = unique("user")
        theirs.identifier.create_user(name=name)
        theirs.identifier.delete_user(user_name=name)
        assert theirs.auth.login(user_id="user-1").token
