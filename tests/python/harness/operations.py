"""The operations of every service that is served: where each field travels and how long it may be.

Facts of the wire protocol. Paths and fields follow the order in which errors are reported (E-14).
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

HEADERS = {
    "accessToken": "X-GS2-ACCESS-TOKEN",
    "timeOffsetToken": "X-GS2-TIME-OFFSET-TOKEN",
    "duplicationAvoider": "X-GS2-DUPLICATION-AVOIDER",
}

# The service's part of the path, where it is not the service's name (BEHAVIOUR section 0).
SEGMENTS = {"jobQueue": "job-queue"}

# Longest value in characters (N-02, N-08, L-01, L-02, A-03, G-01, G-40, G-50, G-52, J-04, SC-01, SC-03, CH-03, CH-30,
# DT-11, the models).
LENGTHS = {
    "namespaceName": 128,
    "name": 128,
    "userName": 128,
    "securityPolicyName": 128,
    "userId": 128,
    "originalUserId": 128,
    "propertyId": 1024,
    "transactionId": 256,
    "description": 1024,
    "namePrefix": 64,
    "pageToken": 1024,
    "clientId": 256,
    "securityPolicyId": 1024,
    "guardNamespaceId": 1024,
    "policy": 524288,
    "password": 1024,
    "keyId": 1024,
    "signature": 1024,
    "body": 524288,
    "timeOffsetToken": 1024,
    "sessionId": 128,
    "connectionId": 128,
    "subject": 128,
    "payload": 1024,
    "sound": 256,
    "token": 1024,
    "locale": 64,
    "firebaseSecret": 8192,
    "firebaseProjectId": 128,
    "scriptName": 128,
    "scriptId": 1024,
    "script": 5242880,
    "args": 5242880,
    "stampSheet": 5242880,
    "stampTask": 5242880,
    "verifyTask": 5242880,
    "transaction": 5242880,
    "ownerId": 128,
    "distributorName": 128,
    "assumeUserId": 1024,
    "inboxNamespaceId": 1024,
    "jobName": 36,
    "deadLetterJobName": 128,
    "roomName": 128,
    "messageName": 36,
    "metadata": 1024,
    "uploadToken": 1024,
    "keyName": 128,
    "apiKeyName": 128,
    "encryptionKeyName": 128,
    "apiKey": 1024,
    "data": 524288,
    "bigQueryDatasetName": 1024,
    "awsRegion": 256,
    "awsAccessKeyId": 256,
    "gcpCredentialJson": 16384,
    "awsSecretAccessKey": 16384,
    "firehoseStreamName": 256,
    "firehoseCompressData": 256,
    "service": 1024,
    "method": 1024,
    "action": 1024,
    "query": 4096,
    "insightName": 36,
    "dashboardName": 36,
    "field": 128,
    "displayName": 256,
    "logRequestId": 1024,
    "traceId": 64,
    "metricName": 128,
    "labelNamePrefix": 128,
    "orderKey": 256,
    "loggingNamespaceId": 1024,
    "logCategory": 128,
}
# Fields of one operation whose limit is another one than the name has elsewhere; `None` is no limit.
LENGTHS_OF_ONE = {
    ("login", "clientId"): None,
    ("loginByUser", "password"): None,
    ("sendMobileNotificationByUserId", "subject"): 256,
    ("createDistributorModelMaster", "metadata"): 2048,
    ("updateDistributorModelMaster", "metadata"): 2048,
    ("freezeMasterDataBySignedTimestamp", "body"): 1048576,
    **{(name, "transactionId"): 36 for name in (
        "getStampSheetResult", "getStampSheetResultByUserId", "getTransactionResult", "getTransactionResultByUserId")},
    ("decrypt", "data"): 5242880,
    **{(name, "password"): 128 for name in (
        "createRoom", "createRoomFromBackend", "updateRoom", "updateRoomFromBackend", "post", "postByUserId",
        "describeMessages", "describeMessagesByUserId", "describeLatestMessages", "describeLatestMessagesByUserId",
        "getMessage", "getMessageByUserId")},
    **{(f"count{kind}Log", field): None for kind in ("Access", "IssueStampSheet", "ExecuteStampSheet", "ExecuteStampTask")
       for field in ("service", "method", "userId", "action")},
    # Longer than a body may be.
    **{(name, "payload"): None for name in ("sendInGameLog", "sendInGameLogByUserId", "putLog", "updateDashboard")},
    **{(name, "displayName"): 128 for name in ("createFacetModel", "updateFacetModel")},
}
NAMES = ("namespaceName", "name", "userName", "securityPolicyName", "scriptName", "roomName", "distributorName", "keyName",
         "apiKeyName", "encryptionKeyName")
ASCII_ONLY = NAMES + ("namePrefix", "pageToken", "clientId", "timeOffsetToken", "apiKey", "data")
# Fields that hold an object of their own; what is wrong in it is reported under the name of its model.
OBJECTS = ("checkoutSetting", "distributeResource", "condition")
# Required fields that hold a number, for which the empty text is a wrong value.
NUMBERS = ("category", "timestamp")
# Required fields that hold a list, which may be empty.
LISTS = ("actions", "requestPayloads")


# What messages about wrong fields name instead of the component (E-10).
MODELS = {"sendNotification": "sendNotificationEntry"}


@dataclass(frozen=True)
class Operation:
    service: str
    component: str
    name: str
    method: str
    path: str
    fields: tuple
    required: tuple
    retired: bool = False
    public: bool = False

    def __str__(self):
        return f"{self.service}.{self.name}"

    @property
    def snake(self):
        return re.sub("([A-Z])", lambda letter: "_" + letter.group(1).lower(), self.name)

    @property
    def segment(self):
        return SEGMENTS.get(self.service, self.service)

    @property
    def path_fields(self):
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def body_fields(self):
        if self.method in ("GET", "DELETE"):
            return ()
        return tuple(f for f in self.fields if f not in self.path_fields and f not in HEADERS)

    @property
    def takes_access_token(self):
        return "accessToken" in self.fields

    @property
    def needs_access_token(self):
        return self.takes_access_token and (self.service, self.name) not in ACCESS_TOKEN_OPTIONAL

    def error(self, member, kind):
        model = self.component if kind == "notAuthorized" else MODELS.get(self.name, self.component)
        return f"{self.service}.{model}.{member}.error.{kind}"

    def length(self, field):
        return LENGTHS_OF_ONE.get((self.name, field), LENGTHS.get(field))

    def sample(self, **given):
        """The required fields with values that are valid and, where something is named, name nothing."""
        fields = {field: SAMPLES[field] for field in self.required + CHOICES.get((self.service, self.name), ())}
        fields.update(given)
        return fields

    def wire_name(self, field):
        if self.name == "login" and self.service == "identifier":
            return {"clientId": "client_id", "clientSecret": "client_secret"}.get(field, field)
        return field

    def rest(self, fields):
        """Method, target, headers and body object of the call over REST."""
        rest = dict(fields)
        target = f"/{self.segment}{self.path}"
        for field in self.path_fields:
            value = rest.pop(field, None)
            segment = "null" if value in (None, "") else quote(str(value), safe="/:")
            target = target.replace("{" + field + "}", segment)
        headers = {HEADERS[field]: rest.pop(field) for field in list(rest) if field in HEADERS}
        rest = {self.wire_name(field): value for field, value in rest.items()}
        if self.method in ("GET", "DELETE"):
            query = urlencode(rest)
            return self.method, f"{target}?{query}" if query else target, headers, None
        return self.method, target, headers, rest

    def frame(self, request_id, fields):
        """The WebSocket envelope of the call, without credentials."""
        message = {self.wire_name(field): value for field, value in fields.items()}
        for field, member in (("accessToken", "xGs2AccessToken"), ("duplicationAvoider", "xGs2DuplicationAvoider")):
            if field in message:
                message[member] = message.pop(field)
        message["x_gs2"] = {
            "service": self.service,
            "component": self.component,
            "function": self.name,
            "contentType": "application/json",
            "requestId": request_id,
        }
        return message


class _Object(dict):
    """An object as it stands on the wire that the SDK takes for one of its models."""

    def to_dict(self):
        return self


SAMPLES = {
    "namespaceName": "absent",
    "name": "sample",
    "userName": "absent",
    "securityPolicyName": "absent",
    "userId": "user-1",
    "originalUserId": "user-2",
    "propertyId": "property-1",
    "transactionId": "00000000-0000-4000-8000-000000000001",
    "clientId": "absent",
    "clientSecret": "wrong",
    "securityPolicyId": "grn:gs2::nobody:identifier:securityPolicy:absent",
    "guardNamespaceId": "grn:gs2:ap-northeast-1:nobody:guard:absent",
    "policy": '{"Version":"2016-04-01","Statements":[{"Effect":"Allow","Actions":["*"],"Resources":["*"]}]}',
    "password": "a password",
    "passcode": "000000",
    "body": "body",
    "signature": "signature",
    "timeOffset": 0,
    "connectionId": "absent",
    "subject": "subject",
    "payload": "payload",
    "token": "token",
    "scriptName": "absent",
    "scriptId": "grn:gs2:ap-northeast-1:nobody:script:absent:script:absent",
    "script": "result = {}",
    "checkoutSetting": _Object(
        apiKeyId="grn:gs2:{region}:{ownerId}:key:absent:github:absent", repositoryName="owner/repository",
        sourcePath="script.lua", referenceType="branch", branchName="main"),
    "keyId": "grn:gs2:ap-northeast-1:nobody:key:absent:key:absent",
    "stampSheet": '{"body": "", "signature": ""}',
    "stampTask": '{"body": "", "signature": ""}',
    "jobName": "absent",
    "deadLetterJobName": "absent",
    "roomName": "absent",
    "messageName": "absent",
    "metadata": "text",
    "category": 0,
    "uploadToken": "absent",
    "ownerId": "somebody",
    "distributorName": "absent",
    "distributeResource": _Object(action="Gs2Distributor:SetTransactionDefaultConfigByUserId", request="{}"),
    "verifyTask": '{"body": "", "signature": ""}',
    "transaction": '{"transactionId": "00000000-0000-4000-8000-000000000001"}',
    "timestamp": 0,
    "requestPayloads": [],
    "condition": _Object(action="Gs2Distributor:AndExpressionByUserId", request="{}"),
    "actions": [],
    "keyName": "absent",
    "apiKeyName": "absent",
    "encryptionKeyName": "absent",
    "apiKey": "token",
    "data": "data",
    "insightName": "absent",
    "dashboardName": "absent",
    "field": "service",
    "logRequestId": "absent",
    "traceId": "absent",
    "metricName": "calls",
    "loggingNamespaceId": "grn:gs2:ap-northeast-1:nobody:log:absent",
    "logCategory": "category",
}


def _operations(service, text):
    """One line each: component, name, method, path, then fields; `!` marks a required one that is not in the path."""
    for line in text.strip().splitlines():
        component, name, method, path, *words = line.split()
        flags = {word for word in words if word.startswith("#")}
        words = [word for word in words if not word.startswith("#")]
        in_path = re.findall(r"{(\w+)}", path)
        required = in_path + [word[:-1] for word in words if word.endswith("!")]
        named = [word.rstrip("!") for word in words]
        fields = named if set(in_path) <= set(named) else in_path + named
        yield Operation(
            service, component, name, method, path, tuple(fields),
            tuple(field for field in fields if field in required),
            retired="#retired" in flags, public="#public" in flags,
        )


# The same for each service that keeps something of players (U-01).
USER_DATA = """\
namespace dumpUserDataByUserId POST /system/dump/user/{userId} timeOffsetToken
namespace checkDumpUserDataByUserId GET /system/dump/user/{userId} timeOffsetToken
namespace cleanUserDataByUserId POST /system/clean/user/{userId} timeOffsetToken
namespace checkCleanUserDataByUserId GET /system/clean/user/{userId} timeOffsetToken
namespace prepareImportUserDataByUserId POST /system/import/user/{userId}/prepare timeOffsetToken
namespace importUserDataByUserId POST /system/import/user/{userId} uploadToken! timeOffsetToken
namespace checkImportUserDataByUserId GET /system/import/user/{userId}/{uploadToken} timeOffsetToken
"""

LOCK = list(_operations("lock", """
namespace describeNamespaces GET / namePrefix pageToken limit
namespace createNamespace POST / name! description logSetting
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} description logSetting
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
mutex lock POST /{namespaceName}/user/me/mutex/{propertyId}/lock accessToken transactionId! ttl duplicationAvoider
mutex lockByUserId POST /{namespaceName}/user/{userId}/mutex/{propertyId}/lock \
    transactionId! ttl timeOffsetToken duplicationAvoider
mutex unlock POST /{namespaceName}/user/me/mutex/{propertyId}/unlock accessToken transactionId! duplicationAvoider
mutex unlockByUserId POST /{namespaceName}/user/{userId}/mutex/{propertyId}/unlock \
    transactionId! timeOffsetToken duplicationAvoider
mutex getMutex GET /{namespaceName}/user/me/mutex/{propertyId} accessToken
mutex getMutexByUserId GET /{namespaceName}/user/{userId}/mutex/{propertyId} timeOffsetToken
mutex deleteMutexByUserId DELETE /{namespaceName}/user/{userId}/mutex/{propertyId} timeOffsetToken duplicationAvoider
mutex describeMutexes GET /{namespaceName}/user/me/mutex accessToken pageToken limit #retired
mutex describeMutexesByUserId GET /{namespaceName}/user/{userId}/mutex pageToken limit timeOffsetToken #retired
"""))

GATEWAY = list(_operations("gateway", """
namespace describeNamespaces GET / namePrefix pageToken limit
namespace createNamespace POST / \
    name! description transactionSetting transactionSettingV2 firebaseSecret firebaseProjectId logSetting
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} \
    description transactionSetting transactionSettingV2 firebaseSecret firebaseProjectId logSetting
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
webSocketSession describeWebSocketSessions GET /{namespaceName}/session/user/me accessToken pageToken limit
webSocketSession describeWebSocketSessionsByUserId GET /{namespaceName}/session/user/{userId} \
    pageToken limit timeOffsetToken
webSocketSession setUserId POST /{namespaceName}/session/user/me/user \
    accessToken allowConcurrentAccess sessionId force connectionId duplicationAvoider
webSocketSession setUserIdByUserId POST /{namespaceName}/session/user/{userId}/user \
    allowConcurrentAccess sessionId force connectionId timeOffsetToken duplicationAvoider
webSocketSession sendNotification POST /{namespaceName}/session/user/{userId}/notification \
    subject! payload! enableTransferMobileNotification sound mobileNotificationMessages \
    timeOffsetToken duplicationAvoider
webSocketSession disconnectByUserId DELETE /{namespaceName}/session/user/{userId} timeOffsetToken duplicationAvoider
webSocketSession disconnectAll DELETE /{namespaceName}/session
webSocketSession getWebSocketSession GET /{namespaceName}/session connectionId #retired
webSocketSession getWebSocketSessionByConnectionId GET /{namespaceName}/session/{connectionId} #retired
firebaseToken setFirebaseToken PUT /{namespaceName}/user/me/firebase/token accessToken token! locale duplicationAvoider
firebaseToken setFirebaseTokenByUserId PUT /{namespaceName}/user/{userId}/firebase/token \
    token! locale timeOffsetToken duplicationAvoider
firebaseToken getFirebaseToken GET /{namespaceName}/user/me/firebase/token accessToken
firebaseToken getFirebaseTokenByUserId GET /{namespaceName}/user/{userId}/firebase/token timeOffsetToken
firebaseToken deleteFirebaseToken DELETE /{namespaceName}/user/me/firebase/token accessToken duplicationAvoider
firebaseToken deleteFirebaseTokenByUserId DELETE /{namespaceName}/user/{userId}/firebase/token \
    timeOffsetToken duplicationAvoider
firebaseToken sendMobileNotificationByUserId POST /{namespaceName}/user/{userId}/firebase/token/notification \
    subject! payload! sound mobileNotificationMessages timeOffsetToken duplicationAvoider
""" + USER_DATA))

AUTH = list(_operations("auth", """
accessToken login POST /login userId! timeOffset timeOffsetToken
accessToken loginBySignature POST /login/signed keyId body! signature!
accessToken federation POST /federation originalUserId! userId! policyDocument timeOffset timeOffsetToken
accessToken issueTimeOffsetTokenByUserId POST /timeoffset/token userId! timeOffset timeOffsetToken
accessToken getServiceVersion GET /system/version
"""))

IDENTIFIER = list(_operations("identifier", """
user describeUsers GET /user pageToken limit
user createUser POST /user name! description
user updateUser PUT /user/{userName} description
user getUser GET /user/{userName}
user deleteUser DELETE /user/{userName}
securityPolicy describeSecurityPolicies GET /securityPolicy pageToken limit
securityPolicy describeCommonSecurityPolicies GET /securityPolicy/common pageToken limit
securityPolicy createSecurityPolicy POST /securityPolicy name! description policy!
securityPolicy updateSecurityPolicy PUT /securityPolicy/{securityPolicyName} description policy!
securityPolicy getSecurityPolicy GET /securityPolicy/{securityPolicyName}
securityPolicy deleteSecurityPolicy DELETE /securityPolicy/{securityPolicyName}
identifier describeIdentifiers GET /user/{userName}/identifier pageToken limit
identifier createIdentifier POST /user/{userName}/identifier
identifier getIdentifier GET /user/{userName}/identifier/{clientId}
identifier deleteIdentifier DELETE /user/{userName}/identifier/{clientId}
identifier describeAttachedGuards GET /user/{userName}/identifier/{clientId}/guard
identifier attachGuard POST /user/{userName}/identifier/{clientId}/guard guardNamespaceId!
identifier detachGuard DELETE /user/{userName}/identifier/{clientId}/guard/{guardNamespaceId}
identifier getServiceVersion GET /system/version
password createPassword POST /user/{userName}/password password!
password getPassword GET /user/{userName}/password/entity
password enableMfa POST /user/{userName}/mfa
password challengeMfa POST /user/{userName}/mfa/challenge passcode!
password disableMfa DELETE /user/{userName}/mfa
password deletePassword DELETE /user/{userName}/password/entity
attachSecurityPolicy getHasSecurityPolicy GET /user/{userName}/securityPolicy
attachSecurityPolicy attachSecurityPolicy POST /user/{userName}/securityPolicy securityPolicyId!
attachSecurityPolicy detachSecurityPolicy DELETE /user/{userName}/securityPolicy/{securityPolicyId}
projectToken login POST /projectToken/login clientId! clientSecret! #public
projectToken loginByUser POST /projectToken/login/user userName! password! otp #public
password describePasswords GET /user/{userName}/password pageToken limit #retired
"""))

SCRIPT = list(_operations("script", """
namespace describeNamespaces GET / namePrefix pageToken limit
namespace createNamespace POST / name! description transactionSetting transactionSettingV2 logSetting
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} description transactionSetting transactionSettingV2 logSetting
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
script describeScripts GET /{namespaceName}/script namePrefix pageToken limit
script createScript POST /{namespaceName}/script name! description script! disableStringNumberToNumber
script createScriptFromGitHub POST /{namespaceName}/script/from_git_hub \
    name! description checkoutSetting! disableStringNumberToNumber
script getScript GET /{namespaceName}/script/{scriptName}
script updateScript PUT /{namespaceName}/script/{scriptName} description script! disableStringNumberToNumber
script updateScriptFromGitHub PUT /{namespaceName}/script/{scriptName}/from_git_hub \
    description checkoutSetting! disableStringNumberToNumber
script deleteScript DELETE /{namespaceName}/script/{scriptName}
script invokeScript POST /invoke scriptId! userId args randomStatus timeOffsetToken duplicationAvoider
script debugInvoke POST /debug/invoke \
    script! args userId randomStatus disableStringNumberToNumber timeOffsetToken duplicationAvoider
script invokeByStampSheet POST /stamp/script/invoke stampSheet! keyId
"""))

JOB_QUEUE = list(_operations("jobQueue", """
namespace describeNamespaces GET / namePrefix pageToken limit
namespace createNamespace POST / name! description transactionSetting transactionSettingV2 enableAutoRun \
    pushNotification runNotification logSetting
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} description transactionSetting transactionSettingV2 enableAutoRun \
    pushNotification runNotification logSetting
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
job describeJobsByUserId GET /{namespaceName}/user/{userId}/job pageToken limit timeOffsetToken
job getJobByUserId GET /{namespaceName}/user/{userId}/job/{jobName} timeOffsetToken
job pushByUserId POST /{namespaceName}/user/{userId}/job jobs timeOffsetToken duplicationAvoider
job run POST /{namespaceName}/user/me/job/run accessToken duplicationAvoider
job runByUserId POST /{namespaceName}/user/{userId}/job/run timeOffsetToken duplicationAvoider
job deleteJob DELETE /{namespaceName}/user/me/job/{jobName} accessToken duplicationAvoider
job deleteJobByUserId DELETE /{namespaceName}/user/{userId}/job/{jobName} timeOffsetToken duplicationAvoider
job pushByStampSheet POST /stamp/job stampSheet! keyId
job deleteByStampTask POST /stamp/job/delete stampTask! keyId
jobResult getJobResult GET /{namespaceName}/user/me/job/{jobName}/result accessToken tryNumber
jobResult getJobResultByUserId GET /{namespaceName}/user/{userId}/job/{jobName}/result tryNumber timeOffsetToken
deadLetterJob describeDeadLetterJobsByUserId GET /{namespaceName}/user/{userId}/dead \
    pageToken limit timeOffsetToken #retired
deadLetterJob getDeadLetterJobByUserId GET /{namespaceName}/user/{userId}/dead/{deadLetterJobName} \
    timeOffsetToken #retired
deadLetterJob deleteDeadLetterJobByUserId DELETE /{namespaceName}/user/{userId}/dead/{deadLetterJobName} \
    timeOffsetToken duplicationAvoider #retired
""" + USER_DATA))

CHAT = list(_operations("chat", """
namespace describeNamespaces GET / namePrefix pageToken limit
namespace createNamespace POST / name! description transactionSetting transactionSettingV2 allowCreateRoom \
    messageLifeTimeDays postMessageScript createRoomScript deleteRoomScript subscribeRoomScript unsubscribeRoomScript \
    postNotification logSetting
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} description transactionSetting transactionSettingV2 allowCreateRoom \
    messageLifeTimeDays postMessageScript createRoomScript deleteRoomScript subscribeRoomScript unsubscribeRoomScript \
    postNotification logSetting
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
room describeRooms GET /{namespaceName}/room namePrefix pageToken limit
room createRoom POST /{namespaceName}/room/user accessToken name metadata password whiteListUserIds duplicationAvoider
room createRoomFromBackend POST /{namespaceName}/room \
    name userId metadata password whiteListUserIds timeOffsetToken duplicationAvoider
room getRoom GET /{namespaceName}/room/{roomName}
room updateRoom PUT /{namespaceName}/room/{roomName}/user \
    metadata password whiteListUserIds accessToken duplicationAvoider
room updateRoomFromBackend PUT /{namespaceName}/room/{roomName} \
    metadata password whiteListUserIds userId timeOffsetToken duplicationAvoider
room deleteRoom DELETE /{namespaceName}/room/{roomName}/user accessToken duplicationAvoider
room deleteRoomFromBackend DELETE /{namespaceName}/room/{roomName} userId timeOffsetToken duplicationAvoider
message describeMessages GET /{namespaceName}/room/{roomName}/message password category accessToken startAt limit
message describeMessagesByUserId GET /{namespaceName}/room/{roomName}/message/get \
    password category userId! startAt limit timeOffsetToken
message describeLatestMessages GET /{namespaceName}/room/{roomName}/message/latest \
    password category accessToken pageToken limit
message describeLatestMessagesByUserId GET /{namespaceName}/room/{roomName}/message/latest/get \
    password category userId! pageToken limit timeOffsetToken
message post POST /{namespaceName}/room/{roomName}/message accessToken category metadata! password duplicationAvoider
message postByUserId POST /{namespaceName}/room/{roomName}/message/user/{userId} \
    category metadata! password timeOffsetToken duplicationAvoider
message getMessage GET /{namespaceName}/room/{roomName}/message/{messageName} password accessToken
message getMessageByUserId GET /{namespaceName}/room/{roomName}/message/{messageName}/get \
    password userId! timeOffsetToken
message deleteMessage DELETE /{namespaceName}/room/{roomName}/message/{messageName} \
    userId! timeOffsetToken duplicationAvoider
subscribe describeSubscribes GET /{namespaceName}/user/me/room/subscribe roomNamePrefix accessToken pageToken limit
subscribe describeSubscribesByUserId GET /{namespaceName}/user/{userId}/room/subscribe \
    roomNamePrefix pageToken limit timeOffsetToken
subscribe describeSubscribesByRoomName GET /{namespaceName}/room/{roomName}/subscribe pageToken limit
subscribe subscribe POST /{namespaceName}/user/me/room/{roomName}/subscribe \
    accessToken notificationTypes duplicationAvoider
subscribe subscribeByUserId POST /{namespaceName}/user/{userId}/room/{roomName}/subscribe \
    notificationTypes timeOffsetToken duplicationAvoider
subscribe getSubscribe GET /{namespaceName}/user/me/room/{roomName}/subscribe accessToken
subscribe getSubscribeByUserId GET /{namespaceName}/user/{userId}/room/{roomName}/subscribe timeOffsetToken
subscribe updateNotificationType POST /{namespaceName}/user/me/room/{roomName}/subscribe/notification \
    accessToken notificationTypes duplicationAvoider
subscribe updateNotificationTypeByUserId POST /{namespaceName}/user/{userId}/room/{roomName}/subscribe/notification \
    notificationTypes timeOffsetToken duplicationAvoider
subscribe unsubscribe DELETE /{namespaceName}/user/me/room/{roomName}/subscribe accessToken duplicationAvoider
subscribe unsubscribeByUserId DELETE /{namespaceName}/user/{userId}/room/{roomName}/subscribe \
    timeOffsetToken duplicationAvoider
categoryModel describeCategoryModels GET /{namespaceName}/model
categoryModel getCategoryModel GET /{namespaceName}/model/{category}
categoryModelMaster describeCategoryModelMasters GET /{namespaceName}/master/model pageToken limit
categoryModelMaster createCategoryModelMaster POST /{namespaceName}/master/model \
    category! description rejectAccessTokenPost
categoryModelMaster getCategoryModelMaster GET /{namespaceName}/master/model/{category}
categoryModelMaster updateCategoryModelMaster PUT /{namespaceName}/master/model/{category} \
    description rejectAccessTokenPost
categoryModelMaster deleteCategoryModelMaster DELETE /{namespaceName}/master/model/{category}
currentModelMaster exportMaster GET /{namespaceName}/master/export
currentModelMaster getCurrentModelMaster GET /{namespaceName}/master
currentModelMaster preUpdateCurrentModelMaster POST /{namespaceName}/master
currentModelMaster updateCurrentModelMaster PUT /{namespaceName}/master mode settings uploadToken
currentModelMaster updateCurrentModelMasterFromGitHub PUT /{namespaceName}/master/from_git_hub checkoutSetting!
""" + USER_DATA))

DISTRIBUTOR = list(_operations("distributor", """
namespace describeNamespaces GET / namePrefix pageToken limit
namespace createNamespace POST / name! description transactionSetting transactionSettingV2 assumeUserId \
    autoRunStampSheetNotification autoRunTransactionNotification logSetting
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} description transactionSetting transactionSettingV2 assumeUserId \
    autoRunStampSheetNotification autoRunTransactionNotification logSetting
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
distributorModelMaster describeDistributorModelMasters GET /{namespaceName}/master/distributor \
    namePrefix pageToken limit
distributorModelMaster createDistributorModelMaster POST /{namespaceName}/master/distributor \
    name! description metadata inboxNamespaceId whiteListTargetIds
distributorModelMaster getDistributorModelMaster GET /{namespaceName}/master/distributor/{distributorName}
distributorModelMaster updateDistributorModelMaster PUT /{namespaceName}/master/distributor/{distributorName} \
    description metadata inboxNamespaceId whiteListTargetIds
distributorModelMaster deleteDistributorModelMaster DELETE /{namespaceName}/master/distributor/{distributorName}
distributorModel describeDistributorModels GET /{namespaceName}/distributor
distributorModel getDistributorModel GET /{namespaceName}/distributor/{distributorName}
currentDistributorMaster exportMaster GET /{namespaceName}/master/export
currentDistributorMaster getCurrentDistributorMaster GET /{namespaceName}/master
currentDistributorMaster preUpdateCurrentDistributorMaster POST /{namespaceName}/master
currentDistributorMaster updateCurrentDistributorMaster PUT /{namespaceName}/master mode settings uploadToken
currentDistributorMaster updateCurrentDistributorMasterFromGitHub PUT /{namespaceName}/master/from_git_hub \
    checkoutSetting!
distribute distribute POST /{namespaceName}/distribute/{distributorName} \
    userId! distributeResource! timeOffsetToken duplicationAvoider
distribute distributeWithoutOverflowProcess POST /distribute \
    userId! distributeResource! timeOffsetToken duplicationAvoider
distribute runVerifyTask POST /{namespaceName}/distribute/stamp/verifyTask/run verifyTask! keyId
distribute runStampTask POST /{namespaceName}/distribute/stamp/task/run stampTask! keyId
distribute runStampSheet POST /{namespaceName}/distribute/stamp/sheet/run stampSheet! keyId
distribute runStampSheetExpress POST /{namespaceName}/distribute/stamp/run stampSheet! keyId
distribute runVerifyTaskWithoutNamespace POST /stamp/verifyTask/run verifyTask! keyId
distribute runStampTaskWithoutNamespace POST /stamp/task/run stampTask! keyId
distribute runStampSheetWithoutNamespace POST /stamp/sheet/run stampSheet! keyId
distribute runStampSheetExpressWithoutNamespace POST /stamp/run stampSheet! keyId
distribute setTransactionDefaultConfig POST /transaction/user/me/config accessToken config duplicationAvoider
distribute setTransactionDefaultConfigByUserId POST /transaction/user/{userId}/config \
    config timeOffsetToken duplicationAvoider
distribute freezeMasterData POST /{namespaceName}/user/me/masterdata/freeze accessToken
distribute freezeMasterDataByUserId POST /{namespaceName}/user/{userId}/masterdata/freeze timeOffsetToken
distribute signFreezeMasterDataTimestamp POST /{namespaceName}/masterdata/freeze/timestamp timestamp! keyId
distribute freezeMasterDataBySignedTimestamp POST /{namespaceName}/user/me/masterdata/freeze/timestamp \
    accessToken body! signature! keyId
distribute freezeMasterDataByTimestamp POST /{namespaceName}/user/me/masterdata/freeze/timestamp/raw \
    accessToken timestamp!
distribute batchExecuteApi POST /batch/execute requestPayloads!
expression ifExpressionByUserId POST /{namespaceName}/expression/if userId! condition! trueActions falseActions \
    multiplyValueSpecifyingQuantity timeOffsetToken duplicationAvoider
expression andExpressionByUserId POST /{namespaceName}/expression/and \
    userId! actions! timeOffsetToken duplicationAvoider
expression orExpressionByUserId POST /{namespaceName}/expression/or \
    userId! actions! timeOffsetToken duplicationAvoider
expression ifExpressionByStampTask POST /stamp/expression/if stampTask! keyId
expression andExpressionByStampTask POST /stamp/expression/and stampTask! keyId
expression orExpressionByStampTask POST /stamp/expression/or stampTask! keyId
stampSheetResult getStampSheetResult GET /{namespaceName}/user/me/stampSheet/{transactionId}/result accessToken
stampSheetResult getStampSheetResultByUserId GET /{namespaceName}/user/{userId}/stampSheet/{transactionId}/result \
    timeOffsetToken
userDataEntry describeUserData GET /user/me/data accessToken pageToken limit
userDataEntry describeUserDataByUserId GET /user/{userId}/data pageToken limit timeOffsetToken
transactionResult runTransaction POST /system/{ownerId}/{namespaceName}/user/{userId}/transaction/run \
    transaction! timeOffsetToken duplicationAvoider
transactionResult getTransactionResult GET /{namespaceName}/user/me/transaction/{transactionId}/result accessToken
transactionResult getTransactionResultByUserId GET /{namespaceName}/user/{userId}/transaction/{transactionId}/result \
    timeOffsetToken
"""))

KEY = list(_operations("key", """
namespace describeNamespaces GET / namePrefix pageToken limit
namespace createNamespace POST / name! description logSetting
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} description logSetting
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
key describeKeys GET /{namespaceName}/key namePrefix pageToken limit
key createKey POST /{namespaceName}/key name! description
key updateKey PUT /{namespaceName}/key/{keyName} description
key getKey GET /{namespaceName}/key/{keyName}
key deleteKey DELETE /{namespaceName}/key/{keyName}
key encrypt POST /{namespaceName}/key/{keyName}/encrypt data!
key decrypt POST /{namespaceName}/key/{keyName}/decrypt data!
gitHubApiKey describeGitHubApiKeys GET /{namespaceName}/github pageToken limit
gitHubApiKey createGitHubApiKey POST /{namespaceName}/github name! description apiKey! encryptionKeyName!
gitHubApiKey updateGitHubApiKey PUT /{namespaceName}/github/{apiKeyName} description apiKey! encryptionKeyName!
gitHubApiKey getGitHubApiKey GET /{namespaceName}/github/{apiKeyName}
gitHubApiKey deleteGitHubApiKey DELETE /{namespaceName}/github/{apiKeyName}
"""))

LOG = list(_operations("log", """
namespace describeNamespaces GET / pageToken limit
namespace createNamespace POST / name! description type gcpCredentialJson bigQueryDatasetName logExpireDays \
    awsRegion awsAccessKeyId awsSecretAccessKey firehoseStreamName firehoseCompressData
namespace getNamespaceStatus GET /{namespaceName}/status
namespace getNamespace GET /{namespaceName}
namespace updateNamespace PUT /{namespaceName} description type gcpCredentialJson bigQueryDatasetName logExpireDays \
    awsRegion awsAccessKeyId awsSecretAccessKey firehoseStreamName firehoseCompressData
namespace deleteNamespace DELETE /{namespaceName}
namespace getServiceVersion GET /system/version
accessLog queryAccessLog GET /{namespaceName}/log/access \
    service method userId begin end longTerm pageToken limit timeOffsetToken
accessLog countAccessLog GET /{namespaceName}/log/access/count \
    service method userId begin end longTerm pageToken limit
issueStampSheetLog queryIssueStampSheetLog GET /{namespaceName}/log/issue/stamp/sheet \
    service method userId action begin end longTerm pageToken limit timeOffsetToken
issueStampSheetLog countIssueStampSheetLog GET /{namespaceName}/log/issue/stamp/sheet/count \
    service method userId action begin end longTerm pageToken limit
executeStampSheetLog queryExecuteStampSheetLog GET /{namespaceName}/log/execute/stamp/sheet \
    service method userId action begin end longTerm pageToken limit timeOffsetToken
executeStampSheetLog countExecuteStampSheetLog GET /{namespaceName}/log/execute/stamp/sheet/count \
    service method userId action begin end longTerm pageToken limit
executeStampTaskLog queryExecuteStampTaskLog GET /{namespaceName}/log/execute/stamp/task \
    service method userId action begin end longTerm pageToken limit timeOffsetToken
executeStampTaskLog countExecuteStampTaskLog GET /{namespaceName}/log/execute/stamp/task/count \
    service method userId action begin end longTerm pageToken limit
inGameLog queryInGameLog POST /{namespaceName}/ingame/log \
    userId tags begin end longTerm pageToken limit timeOffsetToken
inGameLog sendInGameLog POST /{namespaceName}/ingame/log/user/me/send accessToken tags payload duplicationAvoider
inGameLog sendInGameLogByUserId POST /{namespaceName}/ingame/log/user/{userId}/send \
    tags payload timeOffsetToken duplicationAvoider
accessLogWithTelemetry queryAccessLogWithTelemetry GET /{namespaceName}/log/access/telemetry \
    userId begin end longTerm pageToken limit timeOffsetToken
insight describeInsights GET /{namespaceName}/insight pageToken limit
insight createInsight POST /{namespaceName}/insight
insight getInsight GET /{namespaceName}/insight/{insightName}
insight deleteInsight DELETE /{namespaceName}/insight/{insightName}
facetModel describeFacetModels GET /{namespaceName}/model/facet namePrefix pageToken limit
facetModel createFacetModel POST /{namespaceName}/model/facet field! type displayName order
facetModel getFacetModel GET /{namespaceName}/model/facet/{field}
facetModel updateFacetModel PUT /{namespaceName}/model/facet/{field} type displayName order
facetModel deleteFacetModel DELETE /{namespaceName}/model/facet/{field}
dashboard describeDashboards GET /{namespaceName}/dashboard namePrefix pageToken limit
dashboard createDashboard POST /{namespaceName}/dashboard displayName description
dashboard getDashboard GET /{namespaceName}/dashboard/{dashboardName}
dashboard updateDashboard PUT /{namespaceName}/dashboard/{dashboardName} displayName description payload
dashboard duplicateDashboard POST /{namespaceName}/dashboard/{dashboardName}/copy
dashboard deleteDashboard DELETE /{namespaceName}/dashboard/{dashboardName}
logEntry queryLog POST /{namespaceName}/log/v2/query begin end query pageToken limit
logEntry getLog GET /{namespaceName}/log/v2/query/{logRequestId} begin end
logEntry queryFacets POST /{namespaceName}/log/v2/query/facet begin end query
logEntry queryTimeseries POST /{namespaceName}/log/v2/timeseries \
    begin end query groupBy aggregation interval seriesLimit pageToken limit
logEntry getTrace GET /{namespaceName}/log/v2/trace/{traceId} begin end
metricModel queryMetricsTimeseries POST /{namespaceName}/metrics/timeseries \
    begin end query groupBy aggregations interval seriesLimit orderKey orderBy
metricModel describeMetrics GET /{namespaceName}/model/metrics namePrefix pageToken limit
metricModel describeLabelValues GET /{namespaceName}/model/metrics/{metricName}/label labelNamePrefix pageToken limit
log putLog POST /log/put loggingNamespaceId! logCategory! payload #retired
"""))

ALL = LOCK + GATEWAY + AUTH + IDENTIFIER + SCRIPT + JOB_QUEUE + CHAT + DISTRIBUTOR + KEY + LOG

# What players may call without saying who they are: then only what is for everybody (CH-23).
ACCESS_TOKEN_OPTIONAL = {
    ("chat", "describeMessages"), ("chat", "describeLatestMessages"), ("chat", "getMessage"),
}

# Where one of several fields must be given: the one that a sample has (CH-34).
CHOICES = {
    ("chat", "updateCurrentModelMaster"): ("uploadToken",),
    ("distributor", "updateCurrentDistributorMaster"): ("uploadToken",),
}


def operation(service, name):
    return next(op for op in ALL if op.service == service and op.name == name)
