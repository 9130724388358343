"""Transactions, the sheets of those that clients run, and what they do to a player (BEHAVIOUR section 10)."""

import json

from gs2 import chat, distributor, job_queue, script
from gs2.distributor import BatchRequestPayload, Config, ConsumeAction, NotificationSetting, VerifyAction

from harness.environment import unique
from harness.jobs import poll

NO_NAMESPACE = "distributor.namespace.namespace.error.notFound"
NO_TRANSACTION_RESULT = "distributor.transactionResult.transactionResult.error.notFound"
NO_SHEET_RESULT = "distributor.stampSheetResult.stampSheetResult.error.notFound"
NO_MUTEX = "lock.mutex.mutex.error.notFound"
WRONG_ACTION = "distributor.transaction.action.error.invalid"
WRONG_REQUEST = "distributor.transaction.request.error.invalid"
WRONG_SHEET = "distributor.distribute.stampSheet.error.invalid"
WRONG_TASK = "distributor.distribute.stampTask.error.invalid"
WRONG_VERIFY_TASK = "distributor.distribute.verifyTask.error.invalid"
NOT_PROVEN = "distributor.distribute.contextStack.error.invalid"

TRANSACTION_RAN = "Gs2Distributor:AutoRunTransactionNotification"
SHEET_RAN = "Gs2Distributor:AutoRunStampSheetNotification"

# How a transaction runs, as its setting says (DT-30 to DT-32).
MANUAL = {}
STEPS = {"enable_auto_run": True}
ATOMIC = {"enable_auto_run": True, "enable_atomic_commit": True}
LATER = {"enable_auto_run": True, "enable_atomic_commit": True, "transaction_use_distributor": True}
MODES = {"manual": MANUAL, "steps": STEPS, "atomic": ATOMIC, "later": LATER}

# Records the actions that it is given.
RECORD = """
transaction.execute({verify = args.verify, consume = args.consume, acquire = args.acquire})
result = {made = true}
"""
ROLES = ("verify", "consume", "acquire")


def setting(model, **members):
    """Fills a setting of an SDK module."""
    made = model()
    for name, value in members.items():
        getattr(made, f"with_{name}")(value)
    return made


def action(name, request=None, **fields):
    """An action; the request as fields or as text (DT-02)."""
    text = json.dumps(fields, ensure_ascii=False) if request is None else request
    return {"action": name, "request": text}


def verify_action(made):
    return VerifyAction.from_dict(made)


def consume_action(made):
    return ConsumeAction.from_dict(made)


def invoke(script_id, args=None, **fields):
    """The acquire action of SC-07."""
    return action("Gs2Script:InvokeScript", scriptId=script_id, args=json.dumps(args or {}), **fields)


def config(**values):
    return [Config().with_key(key).with_value(value) for key, value in values.items()]


def batched(service, method, parameter, request_id=None):
    """A call of a batch; the parameter as an object or as text."""
    text = parameter if isinstance(parameter, str) else json.dumps(parameter)
    made = BatchRequestPayload().with_service(service).with_method_name(method).with_parameter(text)
    return made if request_id is None else made.with_request_id(request_id)


def tells(environment, gateway, **members):
    """A setting that sends notifications through a Gateway namespace (DT-36)."""
    return setting(NotificationSetting, gateway_namespace_id=environment.grn("gateway", gateway), **members)


def statuses(result):
    """The statuses of a TransactionResult's actions, by kind."""
    return tuple([ran["statusCode"] for ran in result[f"{role}Results"]] for role in ROLES)


class Purse:
    """A player and what actions did to them: taking a mutex counts in it, so that twice is seen."""

    def __init__(self, sdk, lock, user=None):
        self.sdk, self.lock, self.user = sdk, lock, user or unique("user")

    def of(self, user=None):
        return Purse(self.sdk, self.lock, user)

    def _request(self, property_id, **fields):
        return {"namespaceName": self.lock, "userId": "#{userId}", "propertyId": property_id, **fields}

    def has(self, what, **fields):
        """The verify action that holds while the player has it."""
        return action("Gs2Lock:GetMutexByUserId", **self._request(what, **fields))

    def loses(self, what, **fields):
        """The action that takes one away, and fails when there is none."""
        return action("Gs2Lock:UnlockByUserId", **self._request(what, transactionId="t", **fields))

    def gains(self, what, **fields):
        """The action that gives one."""
        return action("Gs2Lock:LockByUserId", **self._request(what, transactionId="t", **fields))

    def put(self, what, count=1, holder="t"):
        """Gives the player so many, outside of any transaction."""
        for _time in range(count):
            self.sdk.lock.lock_by_user_id(
                namespace_name=self.lock, user_id=self.user, property_id=what, transaction_id=holder)

    def drop(self, what):
        self.sdk.lock.delete_mutex_by_user_id(namespace_name=self.lock, user_id=self.user, property_id=what)

    def count(self, what):
        """How many the player has."""
        try:
            self.sdk.lock.get_mutex_by_user_id(namespace_name=self.lock, user_id=self.user, property_id=what)
        except Exception as refusal:
            assert [error.message for error in refusal.errors] == [NO_MUTEX]
            return 0
        return self.sdk.answer["item"]["referenceCount"]

    def counts(self, *whats):
        return [self.count(what) for what in whats]

    def awaits(self, what, count=1):
        """Waits until the player has so many, for what the server does after the call."""
        poll(lambda: True if self.count(what) == count else None)


def fund(purse, coins=1):
    """Gives a player what the `trade` of the fixture needs and takes."""
    purse.put("ticket")
    purse.put("coin", coins)


class Results:
    """What is kept of a player's transactions, asked for as the player (`me`) or by user id."""

    def __init__(self, sdk, namespace, user, who="by_user_id"):
        self.sdk, self.namespace = sdk, namespace
        self.suffix = "" if who == "me" else "_by_user_id"
        self.identity = {"access_token": sdk.auth.login(user_id=user).token} if who == "me" else {"user_id": user}

    def _get(self, kind, transaction_id):
        operation = getattr(self.sdk.distributor, f"get_{kind}_result{self.suffix}")
        operation(namespace_name=self.namespace, transaction_id=transaction_id, **self.identity)
        return self.sdk.answer["item"]

    def transaction(self, transaction_id):
        """The TransactionResult as it came."""
        return self._get("transaction", transaction_id)

    def sheet(self, transaction_id):
        """The StampSheetResult as it came."""
        return self._get("stamp_sheet", transaction_id)

    def awaited(self, kind, transaction_id, revision=1):
        """A result once it is there, in so many attempts (DT-36, DT-39)."""
        return poll(lambda: self._found(kind, transaction_id, revision))

    def _found(self, kind, transaction_id, revision):
        model = "transactionResult" if kind == "transaction" else "stampSheetResult"
        try:
            result = getattr(self, kind)(transaction_id)
        except Exception as refusal:
            assert [error.component for error in refusal.errors] == [model]
            return None
        return result if result["revision"] >= revision else None


class Shop:
    """Makes transactions of players in one mode: the namespaces that take part in it."""

    def __init__(self, scripts, lock, distributor, queue):
        self.sdk, self.scripts = scripts.sdk, scripts
        self.lock, self.distributor, self.queue = lock, distributor, queue
        self._record = None

    @property
    def record(self):
        """GRN of the script that records what it is given."""
        if self._record is None:
            self._record = self.scripts.store(RECORD)
        return self._record

    def purse(self, user=None):
        return Purse(self.sdk, self.lock, user)

    def results(self, purse, who="by_user_id", sdk=None):
        return Results(sdk or self.sdk, self.distributor, purse.user, who)

    def make(self, purse, verify=(), consume=(), acquire=(), sdk=None, **fields):
        """The answer of the invocation that makes such a transaction, as it came."""
        args = {"verify": list(verify), "consume": list(consume), "acquire": list(acquire)}
        return self.run(self.record, purse, args, sdk, **fields)

    def run(self, script_id, purse, args=None, sdk=None, **fields):
        """The answer of an invocation as it came."""
        sdk = sdk or self.sdk
        if purse is not None:
            fields["user_id"] = purse.user
        sdk.script.invoke_script(
            script_id=script_id, args=json.dumps(args or {}, ensure_ascii=False), **fields)
        return sdk.answer

    def outcome(self, purse, answer):
        """Statuses of the actions by kind, whatever the mode; a sheet is run at once."""
        if "transactionResult" in answer:
            return statuses(answer["transactionResult"])
        transaction_id = answer["transactionId"]
        if not answer["autoRunStampSheet"]:
            ran = Sheet(self.sdk, answer, self.distributor).express()
            return ran.verify_task_result_codes, ran.task_result_codes, \
                [] if ran.sheet_result_code is None else [ran.sheet_result_code]
        if answer["atomicCommit"]:
            return statuses(self.results(purse).awaited("transaction", transaction_id))
        result = self.results(purse).awaited("sheet", transaction_id)
        return result["verifyTaskResultCodes"], result["taskResultCodes"], \
            [] if "sheetResultCode" not in result else [result["sheetResultCode"]]


SETTINGS = {
    "script": script.TransactionSetting, "chat": chat.TransactionSetting, "jobQueue": job_queue.TransactionSetting,
    "distributor": distributor.TransactionSetting,
}


def transaction_setting(environment, distributor_name=None, queue=None, service="script", **members):
    """How transactions run, and the namespaces that keep their results and their jobs."""
    if distributor_name is not None:
        members["distributor_namespace_id"] = environment.grn("distributor", distributor_name)
    if queue is not None:
        members["queue_namespace_id"] = environment.grn("queue", queue)
    return setting(SETTINGS[service], **members)


class Sheet:
    """A signed sheet as clients run it: step by step with the context stack (DT-16) or at once (DT-18), in a namespace of
    Distributor or without one (DT-19)."""

    def __init__(self, sdk, answer, namespace=None, stack=None):
        self.sdk, self.namespace, self.stack = sdk, namespace, stack
        self.text, self.key_id = answer["stampSheet"], answer["stampSheetEncryptionKeyId"]
        self.body = read(self.text)
        self.tasks = self.body["tasks"]
        self.verify_tasks = self.body["verifyTasks"]

    def by(self, sdk=None, namespace=None):
        """The same sheet, run by somebody else or elsewhere from the beginning."""
        answer = {"stampSheet": self.text, "stampSheetEncryptionKeyId": self.key_id}
        return Sheet(sdk or self.sdk, answer, namespace)

    def _call(self, operation, **fields):
        suffix = "_without_namespace"
        where = {}
        if self.namespace is not None:
            suffix, where = "", {"namespace_name": self.namespace}
        fields = {"key_id": self.key_id, "context_stack": self.stack, **fields}
        return getattr(self.sdk.distributor, operation + suffix)(**where, **fields)

    def _task(self, operation, **fields):
        ran = self._call(operation, **fields)
        self.stack = ran.context_stack
        return ran

    def verify(self, task=None, **fields):
        return self._task("run_verify_task", verify_task=task or self.verify_tasks[0], **fields)

    def task(self, task=None, **fields):
        return self._task("run_stamp_task", stamp_task=task or self.tasks[0], **fields)

    def run(self, text=None, **fields):
        return self._call("run_stamp_sheet", stamp_sheet=text or self.text, **fields)

    def express(self, text=None, **fields):
        return self._call("run_stamp_sheet_express", stamp_sheet=text or self.text, **fields)

    def walk(self):
        """All steps in their order, which succeed up to the sheet itself; its answer."""
        for task in self.verify_tasks:
            assert self.verify(task).status_code == 200
        for task in self.tasks:
            assert self.task(task).status_code == 200
        return self.run()


def read(signed):
    """The body of a sheet or a task."""
    return json.loads(json.loads(signed)["body"])


def changed(signed, **members):
    """A sheet or a task with other members under the old signature."""
    made = json.loads(signed)
    made["body"] = json.dumps({**json.loads(made["body"]), **members})
    return json.dumps(made)
