"""What holds for every operation alike: required fields, lengths, names, types, credentials, permission."""

import pytest
from gs2 import core
from gs2.gateway import MobileNotificationMessage, TransactionSetting, TransactionSettingV2
from gs2 import job_queue, script
from gs2.lock import LogSetting

from harness import operations
from harness.environment import unique
from harness.errors import error_items
from harness.firebase import service_account
from harness.sdk import BadRequest, NotFound, Sdk, TRANSPORTS, Unauthorized
from harness.wire import Rest, Socket

MIXED = "あ𠮷"
# Enough multi-byte characters to tell characters from bytes in texts of half a million.
LONG_MIXED = "a" * 14 + MIXED


def cases(pick):
    """One pytest parameter for each (operation, field) that `pick` keeps."""
    return [
        pytest.param(operation, field, id=f"{operation}-{field}")
        for operation in operations.ALL for field in operation.fields if pick(operation, field)
    ]


def text_of(field, length):
    """A value of so many characters; multi-byte where the field may hold them."""
    if field == "policy":
        before, after = '{"Version":"2016-04-01","Statements":[{"Effect":"Deny","Actions":["*"],"Resources":["', '"]}]}'
        return before + ("grn:" + LONG_MIXED * length)[:length - len(before) - len(after)] + after
    if field == "firebaseSecret":
        return service_account(length)
    if field == "script":
        return "-- " + "s" * (length - 3)
    if field == "args":
        return '{"a":"%s"}' % ("a" * (length - 8))
    if field in ("stampSheet", "stampTask", "verifyTask", "transaction"):
        return "s" * length
    if field == "body":
        return (LONG_MIXED * length)[:length]
    if field in operations.NAMES:
        return (unique() + "n" * length)[:length]
    if field in operations.ASCII_ONLY:
        return "a" * length
    return (MIXED * length)[:length]


@pytest.fixture(scope="module")
def access_token(admin):
    return admin.auth.login(user_id="user-1").token


@pytest.fixture(scope="module")
def fill(access_token, environment):
    """Completes the fields of a call with valid values."""

    def fill_(operation, **given):
        if operation.takes_access_token:
            given.setdefault("accessToken", access_token)
        if "name" in operation.fields:
            given.setdefault("name", unique())
        if "ownerId" in operation.fields:
            given.setdefault("ownerId", environment.owner_id)
        if "timeOffsetToken" in given:
            given.setdefault("userId", "user-1")
        return operation.sample(**given)

    return fill_


def forget(rest, operation, fields):
    """Deletes what a call has made."""
    paths = {"createNamespace": f"/{operation.segment}/", "createUser": "/identifier/user/",
             "createSecurityPolicy": "/identifier/securityPolicy/"}
    if operation.name in paths:
        rest.request("DELETE", paths[operation.name] + fields["name"]).ok()


def outcome(sdk, operation, fields):
    """Exception and message of each error of the refusal; none after a success."""
    try:
        sdk.call(operation, fields)
        return []
    except core.Gs2Exception as refusal:
        return [(type(refusal), error.message) for error in refusal.errors]


def missing_namespace(operation):
    return f"{operation.service}.namespace.namespace.error.notFound"


@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
@pytest.mark.parametrize("operation, field", cases(
    lambda operation, field: field in set(operation.required) - set(
        operations.OBJECTS + operations.NUMBERS + operations.LISTS)))
def test_required_field_e04_t09(sdk, fill, operation, field, value):
    """E-04, T-09, N-01: a required field that is absent or empty is refused with `require`."""
    with sdk.refuses(BadRequest, operation.error(field, "require")):
        sdk.call(operation, fill(operation, **{field: value}))


@pytest.mark.parametrize("operation, field", cases(
    lambda operation, field: field in set(operation.required) & set(operations.NUMBERS + operations.LISTS)))
def test_required_number_or_list_e04_t09(sdk, fill, operation, field):
    with sdk.refuses(BadRequest, operation.error(field, "require")):
        sdk.call(operation, fill(operation, **{field: None}))


# Over REST one of these calls needs the field after all.
NEEDED_OVER_REST = {("loginBySignature", "keyId")}
# The one of several that a sample gives: without it nothing is left (CH-34).
CHOSEN = {(name, field) for (_service, name), fields in operations.CHOICES.items() for field in fields}


@pytest.mark.parametrize("operation, field", cases(
    lambda operation, field: field not in operation.required + tuple(operations.HEADERS)
    and (operation.name, field) not in NEEDED_OVER_REST | CHOSEN))
def test_optional_field_null_t07(rest, socket, fill, operation, field):
    """T-07, T-13, core.json: an optional field that is null is absent, in bodies, queries and frames."""
    absent = fill(operation)
    null = {**absent, field: None}
    over_rest = dict(null, **{field: "null"}) if operation.method == "GET" else null
    for call, fields in ((rest.call, over_rest), (socket.call, null)):
        answer = call(operation, fields)
        complaints = [] if answer.status == 200 else [item["message"] for item in answer.refused(answer.status)]
        assert not [message for message in complaints if f".{field}." in message]
        if answer.status == 200:
            forget(rest, operation, fields)


@pytest.mark.parametrize("operation, field", cases(lambda operation, field: operation.length(field)))
def test_length_in_characters_e09_n02(sdk, rest, fill, operation, field):
    """E-09, N-02, N-08, L-01, L-02, A-03: n characters pass, n + 1 do not; the refusal names n."""
    length = operation.length(field)
    fields = fill(operation, **{field: text_of(field, length)})
    at_limit = outcome(sdk, operation, fields)
    assert not [message for _kind, message in at_limit if message.endswith(".tooLong")]
    if not at_limit:
        forget(rest, operation, fields)

    message = operation.error(field, "tooLong")
    if field in operations.HEADERS:
        message = f"{operation.service}.{field}.{field}.error.tooLong"
    with sdk.refuses(BadRequest, message):
        sdk.call(operation, fill(operation, **{field: text_of(field, length + 1)}))
    assert str(length) in error_items(sdk.answer)[0]["detail"].replace(",", "")


@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field in operations.NAMES))
def test_name_characters_n01(sdk, fill, operation, field):
    """N-01: names are made of letters, digits, `-`, `_` and `.`; 128 kana are not too long but invalid."""
    wrong = ["あ" * 128, "a b", "a:b", "é", "a*"] if field == "name" else ["あ" * 128]
    for name in wrong:
        with sdk.refuses(BadRequest, operation.error(field, "invalid")):
            sdk.call(operation, fill(operation, **{field: name}))


@pytest.mark.parametrize("limit", [0, 1001, -1])
@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field == "limit"))
def test_limit_out_of_range_n07(sdk, fill, operation, field, limit):
    """N-07, E-09: `limit` is 1 to 1000."""
    with sdk.refuses(BadRequest, operation.error("limit", "invalid")):
        sdk.call(operation, fill(operation, limit=limit))


@pytest.mark.parametrize("limit", [1, 1000])
@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field == "limit"))
def test_limit_at_its_edges_n07(sdk, fill, operation, field, limit):
    """N-07: 1 and 1000 are limits; a missing namespace or user is all there is to complain about."""
    messages = [message for _kind, message in outcome(sdk, operation, fill(operation, limit=limit))]
    assert messages in ([], [missing_namespace(operation)], ["identifier.user.user.error.notFound"])


TEXT = {"name", "description", "transactionId", "userId", "originalUserId", "policy", "policyDocument", "password",
        "passcode", "securityPolicyId", "guardNamespaceId", "userName", "otp", "keyId", "body", "signature",
        "firebaseSecret", "firebaseProjectId", "sessionId", "connectionId", "subject", "payload", "sound", "token",
        "locale", "script", "args", "scriptId", "stampSheet", "stampTask", "verifyTask", "transaction", "metadata",
        "uploadToken", "assumeUserId", "inboxNamespaceId", "encryptionKeyName", "apiKey", "data", "type",
        "gcpCredentialJson", "bigQueryDatasetName", "awsRegion", "awsAccessKeyId", "awsSecretAccessKey",
        "firehoseStreamName", "firehoseCompressData", "query", "field", "displayName", "orderKey", "orderBy",
        "loggingNamespaceId", "logCategory"}


@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field in TEXT & set(operation.body_fields)))
def test_wrong_type_e04(sdk, fill, operation, field):
    """E-04: a number, a boolean, a list or an object is no text: `invalid`."""
    for wrong in (5, True, ["a"], {"a": "b"}):
        with sdk.refuses(BadRequest, operation.error(field, "invalid")):
            sdk.call(operation, fill(operation, **{field: wrong}))


@pytest.mark.parametrize("operation, field", cases(
    lambda operation, field: field in TEXT & set(operation.body_fields) - set(operations.NAMES)))
def test_nul_character_e04(sdk, fill, operation, field):
    """E-04: U+0000 inside a text is `invalid` in every service."""
    with sdk.refuses(BadRequest, operation.error(field, "invalid")):
        sdk.call(operation, fill(operation, **{field: "a\0b"}))


INTEGERS = {"ttl", "timeOffset", "timestamp"}


@pytest.mark.parametrize("wrong", ["abc", 1.5, True, [1], {"a": 1}], ids=repr)
@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field in INTEGERS))
def test_integer_of_wrong_type_e04(sdk, fill, operation, field, wrong):
    """E-04: only integers and their decimal text are integers."""
    with sdk.refuses(BadRequest, operation.error(field, "invalid")):
        sdk.call(operation, fill(operation, **{field: wrong}))


FLAGS = {"allowConcurrentAccess", "force", "enableTransferMobileNotification", "enableAutoRun",
         "disableStringNumberToNumber", "allowCreateRoom", "multiplyValueSpecifyingQuantity"}


@pytest.mark.parametrize("wrong", ["yes", "", 1, 0, 1.5, [True], {"a": True}], ids=repr)
@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field in FLAGS))
def test_flag_of_wrong_type_e04(sdk, fill, operation, field, wrong):
    """E-04, T-08: only true, false and their names in any case are truth values."""
    with sdk.refuses(BadRequest, operation.error(field, "invalid")):
        sdk.call(operation, fill(operation, **{field: wrong}))


@pytest.mark.parametrize("flag", ["True", "true", "FALSE", True, False], ids=repr)
@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field in FLAGS))
def test_flag_t08(sdk, rest, fill, operation, field, flag):
    """T-08: C# sends truth values as text; a missing namespace is all there is to complain about."""
    fields = fill(operation, **{field: flag})
    messages = [message for _kind, message in outcome(sdk, operation, fields)]
    assert messages in ([], [missing_namespace(operation)])
    if not messages:
        forget(rest, operation, fields)


@pytest.mark.parametrize("operation, field", cases(lambda operation, field: field == "timeOffset"))
@pytest.mark.parametrize("offset", [-1, 315360001])
def test_time_offset_out_of_range_a07(sdk, fill, operation, field, offset):
    """A-07: 0 to 315,360,000 seconds, only forward."""
    with sdk.refuses(BadRequest, "auth.accessToken.timeOffset.error.invalid"):
        sdk.call(operation, fill(operation, timeOffset=offset))


PROTECTED = [operation for operation in operations.ALL if not operation.public]


@pytest.fixture(scope="module", params=TRANSPORTS)
def stranger(request, environment):
    """The SDK with a project token that nobody issued."""
    sdk = Sdk.with_token(environment, request.param, "not-a-token")
    yield sdk
    sdk.close()


@pytest.mark.parametrize("operation", PROTECTED, ids=str)
def test_unknown_project_token_e16(stranger, fill, operation):
    """E-16: every operation but the logins refuses an unknown project token with 401 `projectToken`."""
    with stranger.refuses(Unauthorized, f"{operation.service}.projectToken.projectToken.error.invalid"):
        stranger.call(operation, fill(operation))


@pytest.mark.parametrize("operation", PROTECTED, ids=str)
def test_no_project_token_e16(environment, fill, operation):
    """E-16, T-05, T-21: without a project token the answer is 401 `projectToken` on both transports."""
    message = f"{operation.service}.projectToken.projectToken.error.require"
    rest, socket = Rest(environment), Socket(environment)
    rest.call(operation, fill(operation), authorized=False).refused(401, message)
    socket.call(operation, fill(operation), authorized=False).refused(401, message)
    rest.close()
    socket.close()


@pytest.fixture(scope="module", params=TRANSPORTS)
def nobody(request, environment, admin):
    """The SDK signed in as a user without any security policy."""
    name = unique("user")
    admin.identifier.create_user(name=name)
    made = admin.identifier.create_identifier(user_name=name)
    sdk = Sdk.login(environment, request.param, made.item.client_id, made.client_secret)
    yield sdk
    sdk.close()
    admin.identifier.delete_user(user_name=name)


@pytest.mark.parametrize("operation", PROTECTED, ids=str)
def test_nothing_is_allowed_by_default_i11_e15(nobody, fill, operation):
    """I-11, E-15: a user without policies may do nothing; 401 names service, component and operation."""
    with nobody.refuses(Unauthorized, operation.error(operation.name, "notAuthorized")):
        nobody.call(operation, fill(operation))


@pytest.mark.parametrize("operation", [o for o in operations.ALL if o.takes_access_token], ids=str)
class TestAccessToken:
    """A-10, E-16: the calls of a player."""

    def test_missing_a10(self, sdk, operation):
        """A-10; CH-23: some calls do without."""
        if not operation.needs_access_token:
            with sdk.refuses(NotFound, missing_namespace(operation)):
                sdk.call(operation, operation.sample())
            return
        with sdk.refuses(BadRequest, f"{operation.service}.accessToken.accessToken.error.require"):
            sdk.call(operation, operation.sample())

    @pytest.mark.parametrize("token", ["garbage", "a" * 1024], ids=["garbage", "longest"])
    def test_unknown_e16(self, sdk, operation, token):
        with sdk.refuses(Unauthorized, f"{operation.service}.accessToken.accessToken.error.invalid"):
            sdk.call(operation, operation.sample(accessToken=token))

    def test_too_long_n02(self, sdk, operation):
        with sdk.refuses(BadRequest, f"{operation.service}.accessToken.accessToken.error.tooLong"):
            sdk.call(operation, operation.sample(accessToken="a" * 1025))

    def test_a_project_token_is_none_e16(self, sdk, operation):
        with sdk.refuses(Unauthorized, f"{operation.service}.accessToken.accessToken.error.invalid"):
            sdk.call(operation, operation.sample(accessToken=sdk.token))

    def test_a_time_offset_token_is_none_e16(self, sdk, operation):
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=1).token
        with sdk.refuses(Unauthorized, f"{operation.service}.accessToken.accessToken.error.invalid"):
            sdk.call(operation, operation.sample(accessToken=token))


TAKES_TIME_OFFSET = [operation for operation in operations.ALL if "timeOffsetToken" in operation.fields]


@pytest.mark.parametrize("operation", TAKES_TIME_OFFSET, ids=str)
class TestTimeOffsetToken:
    """A-08, A-09: the calls that name a user take a time offset token of that user."""

    def test_garbage_a09(self, sdk, operation):
        with sdk.refuses_with(Unauthorized, "timeOffsetToken", ".error.invalid"):
            sdk.call(operation, operation.sample(userId="user-1", timeOffsetToken="garbage"))

    def test_of_another_user_a09(self, sdk, operation):
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id="somebody-else", time_offset=1).token
        with sdk.refuses_with(Unauthorized, "timeOffsetToken", ".error.invalid"):
            sdk.call(operation, operation.sample(userId="user-1", timeOffsetToken=token))

    def test_an_access_token_is_none_a09(self, sdk, operation, access_token):
        with sdk.refuses_with(Unauthorized, "timeOffsetToken", ".error.invalid"):
            sdk.call(operation, operation.sample(userId="user-1", timeOffsetToken=access_token))

    def test_of_the_user_a08(self, sdk, fill, operation):
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=1).token
        fields = fill(operation, userId="user-1", timeOffsetToken=token)
        messages = [message for _kind, message in outcome(sdk, operation, fields)]
        data = f"{operation.service}.userData."
        assert messages in ([], [missing_namespace(operation)], ["script.script.script.error.notFound"],
                            [data + "userData.error.notFound"], [data + "uploadToken.error.invalid"])


class TestManyErrors:
    """E-14: all field errors of one request come together, in field order."""

    def test_create_namespace(self, sdk):
        with sdk.refuses(
            BadRequest,
            "lock.namespace.name.error.tooLong",
            "lock.namespace.description.error.tooLong",
            "lock.logSetting.loggingNamespaceId.error.tooLong",
        ):
            sdk.lock.create_namespace(
                name="a" * 129, description=MIXED * 513,
                log_setting=LogSetting().with_logging_namespace_id("g" * 1025))

    def test_lock_by_user_id(self, sdk):
        with sdk.refuses(
            BadRequest,
            "lock.mutex.namespaceName.error.require",
            "lock.mutex.userId.error.tooLong",
            "lock.mutex.propertyId.error.tooLong",
            "lock.mutex.transactionId.error.require",
            "lock.mutex.ttl.error.invalid",
        ):
            sdk.lock.lock_by_user_id(property_id="p" * 1025, user_id="u" * 129, ttl=-1)

    def test_lock(self, sdk, access_token):
        with sdk.refuses(
            BadRequest,
            "lock.mutex.namespaceName.error.invalid",
            "lock.mutex.propertyId.error.tooLong",
            "lock.mutex.transactionId.error.tooLong",
            "lock.mutex.ttl.error.invalid",
        ):
            sdk.lock.lock(namespace_name="あ", property_id="p" * 1025, transaction_id="t" * 257, ttl=0,
                          access_token=access_token)

    def test_create_gateway_namespace(self, sdk):
        with sdk.refuses(
            BadRequest,
            "gateway.namespace.name.error.tooLong",
            "gateway.namespace.description.error.tooLong",
            "gateway.transactionSetting.enableAutoRun.error.invalid",
            "gateway.transactionSetting.queueNamespaceId.error.tooLong",
            "gateway.transactionSettingV2.distributorNamespaceId.error.tooLong",
            "gateway.namespace.firebaseSecret.error.invalid",
            "gateway.namespace.firebaseProjectId.error.tooLong",
            "gateway.logSetting.loggingNamespaceId.error.require",
        ):
            sdk.gateway.create_namespace(
                name="a" * 129, description=MIXED * 513,
                transaction_setting=TransactionSetting().with_enable_auto_run(5).with_queue_namespace_id("g" * 1025),
                transaction_setting_v2=TransactionSettingV2().with_distributor_namespace_id("g" * 1025),
                firebase_secret="legacy server key", firebase_project_id="p" * 129, log_setting=LogSetting())

    def test_send_notification(self, sdk):
        with sdk.refuses(
            BadRequest,
            "gateway.sendNotificationEntry.namespaceName.error.require",
            "gateway.sendNotificationEntry.userId.error.tooLong",
            "gateway.sendNotificationEntry.subject.error.require",
            "gateway.sendNotificationEntry.payload.error.tooLong",
            "gateway.sendNotificationEntry.enableTransferMobileNotification.error.invalid",
            "gateway.sendNotificationEntry.sound.error.tooLong",
            "gateway.sendNotificationEntry.mobileNotificationMessages.error.tooMany",
        ):
            sdk.gateway.send_notification(
                user_id="u" * 129, payload=MIXED * 513, enable_transfer_mobile_notification="yes", sound="s" * 257,
                mobile_notification_messages=[MobileNotificationMessage()] * 65)

    def test_set_user_id(self, sdk, access_token):
        with sdk.refuses(
            BadRequest,
            "gateway.webSocketSession.namespaceName.error.invalid",
            "gateway.webSocketSession.allowConcurrentAccess.error.invalid",
            "gateway.webSocketSession.sessionId.error.tooLong",
            "gateway.webSocketSession.force.error.invalid",
        ):
            sdk.gateway.set_user_id(namespace_name="あ", allow_concurrent_access="no", session_id="s" * 129, force=2,
                                    access_token=access_token)

    def test_create_queue_namespace(self, sdk):
        with sdk.refuses(
            BadRequest,
            "jobQueue.namespace.name.error.tooLong",
            "jobQueue.namespace.description.error.tooLong",
            "jobQueue.transactionSetting.queueNamespaceId.error.tooLong",
            "jobQueue.transactionSettingV2.distributorNamespaceId.error.tooLong",
            "jobQueue.namespace.enableAutoRun.error.invalid",
            "jobQueue.notificationSetting.gatewayNamespaceId.error.tooLong",
            "jobQueue.notificationSetting.enable.error.invalid",
            "jobQueue.logSetting.loggingNamespaceId.error.require",
        ):
            sdk.job_queue.create_namespace(
                name="a" * 129, description=MIXED * 513,
                transaction_setting=job_queue.TransactionSetting().with_queue_namespace_id("g" * 1025),
                transaction_setting_v2=job_queue.TransactionSettingV2().with_distributor_namespace_id("g" * 1025),
                enable_auto_run=2,
                push_notification=job_queue.NotificationSetting().with_gateway_namespace_id("g" * 1025),
                run_notification=job_queue.NotificationSetting().with_enable("Sometimes"),
                log_setting=job_queue.LogSetting())

    def test_push_j11(self, sdk):
        """J-11, E-10: every entry that is wrong is reported."""
        with sdk.refuses(
            BadRequest,
            "jobQueue.job.namespaceName.error.require",
            "jobQueue.job.userId.error.tooLong",
            "jobQueue.jobEntry.scriptId.error.require",
            "jobQueue.jobEntry.args.error.tooLong",
            "jobQueue.jobEntry.scriptId.error.tooLong",
            "jobQueue.jobEntry.maxTryCount.error.invalid",
        ):
            sdk.job_queue.push_by_user_id(user_id="u" * 129, jobs=[
                job_queue.JobEntry().with_args("a" * 131073),
                job_queue.JobEntry().with_script_id("s" * 1025).with_max_try_count(101)])

    def test_debug_invoke(self, sdk):
        with sdk.refuses(
            BadRequest,
            "script.script.script.error.require",
            "script.script.userId.error.tooLong",
            "script.randomStatus.seed.error.invalid",
            "script.randomUsed.used.error.invalid",
            "script.script.disableStringNumberToNumber.error.invalid",
        ):
            sdk.script.debug_invoke(
                script="", user_id="u" * 129, disable_string_number_to_number="yes",
                random_status=script.RandomStatus().with_seed(-1).with_used([
                    script.RandomUsed().with_category(1).with_used(-1)]))

    def test_create_security_policy(self, sdk):
        with sdk.refuses(
            BadRequest,
            "identifier.securityPolicy.name.error.require",
            "identifier.securityPolicy.description.error.tooLong",
            "identifier.securityPolicy.policy.error.require",
        ):
            sdk.identifier.create_security_policy(description="d" * 1025)

    def test_federation(self, sdk):
        with sdk.refuses(
            BadRequest,
            "auth.accessToken.originalUserId.error.require",
            "auth.accessToken.userId.error.tooLong",
            "auth.accessToken.timeOffset.error.invalid",
        ):
            sdk.auth.federation(user_id="u" * 129, time_offset=-1)


def test_catalogue_is_complete():
    """Lock has 16 operations, Gateway 30, Auth 5, Identifier 31, Script 17, JobQueue 28, Chat 54, Distributor 50, Key 19 and
    Log 43. Nine are retired."""
    services = (operations.LOCK, operations.GATEWAY, operations.AUTH, operations.IDENTIFIER, operations.SCRIPT,
                operations.JOB_QUEUE, operations.CHAT, operations.DISTRIBUTOR, operations.KEY, operations.LOG)
    assert [len(service) for service in services] == [16, 30, 5, 31, 17, 28, 54, 50, 19, 43]
    assert sum(operation.retired for operation in operations.ALL) == 9
