"""Scripts, queues of players and what stands in them (BEHAVIOUR sections 5 and 9)."""

import json
import re
import time

from gs2.job_queue import JobEntry, NotificationSetting

from harness import operations
from harness.environment import unique

LIST_DEAD_LETTERS = operations.operation("jobQueue", "describeDeadLetterJobsByUserId")
GET_DEAD_LETTER = operations.operation("jobQueue", "getDeadLetterJobByUserId")
DELETE_DEAD_LETTER = operations.operation("jobQueue", "deleteDeadLetterJobByUserId")

NO_NAMESPACE = "jobQueue.namespace.namespace.error.notFound"
NO_JOB = "jobQueue.job.job.error.notFound"
NO_RESULT = "jobQueue.jobResult.jobResult.error.notFound"
NO_DEAD_LETTER = "jobQueue.deadLetterJob.deadLetterJob.error.notFound"
NO_SCRIPT = "script.script.script.error.notFound"

UUID_V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

# Answers what it was given.
ECHO = "result = args"
# Fails with the status that it is given, and succeeds without one.
FAIL = "if args.status then fail(args.status, args.message or 'failed') end result = {ok = true}"
# Takes the mutex, and ends when somebody has released it; the limit of time ends it otherwise.
WAIT = """
local lock = gs2('lock')
local mutex = {namespaceName = args.namespace, userId = args.gate, propertyId = 'gate'}
lock.lock_by_user_id({namespaceName = args.namespace, userId = args.gate, propertyId = 'gate', transactionId = 'gate'})
repeat until lock.get_mutex_by_user_id(mutex).isError
result = {gate = args.gate}
"""

DEADLINE_SECONDS = 10
POLL_SECONDS = 0.005


def system_script(environment, name):
    """GRN of a built-in script (J-64)."""
    return f"grn:gs2:{environment.region}:system:script:general:script:execute_{name}"


def entry(script_id, args=None, tries=None):
    """A job to push; `args` as an object or as text."""
    made = JobEntry().with_script_id(script_id)
    if args is not None:
        made.with_args(args if isinstance(args, str) else json.dumps(args, ensure_ascii=False))
    return made if tries is None else made.with_max_try_count(tries)


def tells(environment, gateway, **members):
    """A setting that sends notifications through a Gateway namespace (J-06)."""
    setting = NotificationSetting().with_gateway_namespace_id(environment.grn("gateway", gateway))
    for name, value in members.items():
        getattr(setting, f"with_{name}")(value)
    return setting


def errors(result):
    """The errors in the result of what failed: the text that stands in an error body as well (J-62)."""
    items = json.loads(result)
    assert isinstance(items, list) and items
    assert all(isinstance(item["component"], str) and isinstance(item["message"], str) for item in items)
    return items


def poll(look):
    """What `look` gives once it gives something, for what the protocol itself asks clients to poll (J-41)."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(POLL_SECONDS)
    return found


class Scripts:
    """Scripts in a Script namespace."""

    def __init__(self, sdk, namespace):
        self.sdk, self.namespace = sdk, namespace

    def store(self, source, name=None, **fields):
        """Stores a script and gives its GRN."""
        return self.sdk.script.create_script(
            namespace_name=self.namespace, name=name or unique("script"), script=source, **fields).item.script_id

    def change(self, script_id, source, **fields):
        return self.sdk.script.update_script(
            namespace_name=self.namespace, script_name=script_id.rpartition(":")[2], script=source, **fields).item

    def remove(self, script_id):
        return self.sdk.script.delete_script(
            namespace_name=self.namespace, script_name=script_id.rpartition(":")[2]).item

    def absent(self):
        """GRN of a script that nobody has stored."""
        return self.sdk.environment.grn("script", self.namespace, "script", unique("absent"))


class Queue:
    """The queue of one player. What a player may do is done as the player (`me`) or by user id."""

    def __init__(self, sdk, namespace, who="by_user_id", user=None, offset=0):
        self.sdk, self.namespace, self.who = sdk, namespace, who
        self.user = user or unique("user")
        self.server = {"namespace_name": namespace, "user_id": self.user}
        if who == "me":
            token = sdk.auth.login(user_id=self.user, time_offset=offset).token
            self.player = {"namespace_name": namespace, "access_token": token}
        else:
            self.player = dict(self.server)
            if offset:
                token = sdk.auth.issue_time_offset_token_by_user_id(user_id=self.user, time_offset=offset).token
                self.player["time_offset_token"] = token

    def of(self, user=None, namespace=None, sdk=None, offset=0):
        return Queue(sdk or self.sdk, namespace or self.namespace, self.who, user or self.user, offset)

    def _as_player(self, verb, **fields):
        operation = verb if self.who == "me" else f"{verb}_by_user_id"
        return getattr(self.sdk.job_queue, operation)(**self.player, **fields)

    def push(self, *entries, **fields):
        return self.sdk.job_queue.push_by_user_id(jobs=list(entries), **self.server, **fields)

    def push_one(self, script_id, args=None, tries=None):
        """Pushes a job and gives its name."""
        return self.push(entry(script_id, args, tries)).items[0].name

    def run(self, **fields):
        return self._as_player("run", **fields)

    def run_all(self):
        """What clients do: runs until the last job (J-23), and gives the results as objects."""
        results = []
        while True:
            ran = self.run()
            if ran.item is not None:
                results.append((ran.item.name, ran.result.status_code))
            if ran.is_last_job:
                return results

    def result(self, name, number=None):
        fields = {} if number is None else {"try_number": number}
        return self._as_player("get_job_result", job_name=name, **fields).item

    def awaited(self, name, tries=1):
        """The result of a job that the server runs by itself (J-41)."""
        return poll(lambda: self._found(name, tries))

    def _found(self, name, tries):
        try:
            result = self.result(name)
        except Exception as refusal:
            assert [error.component for error in refusal.errors] == ["jobResult"]
            return None
        return result if result.try_number >= tries - 1 else None

    def delete(self, name, **fields):
        return self._as_player("delete_job", job_name=name, **fields).item

    def get(self, name):
        return self.sdk.job_queue.get_job_by_user_id(job_name=name, **self.server).item

    def names(self, **fields):
        """Names of the jobs that wait, in order."""
        return [item.name for item in self.sdk.job_queue.describe_jobs_by_user_id(**self.server, **fields).items]

    def _letters(self, operation, **fields):
        return self.sdk.call(operation, {"namespaceName": self.namespace, "userId": self.user, **fields})

    def letters(self, **fields):
        """The page of dead letters as it came."""
        return self._letters(LIST_DEAD_LETTERS, **fields)

    def letter(self, name):
        return self._letters(GET_DEAD_LETTER, deadLetterJobName=name)["item"]

    def delete_letter(self, name, **fields):
        return self._letters(DELETE_DEAD_LETTER, deadLetterJobName=name, **fields)["item"]


class Gate:
    """Holds jobs of the script `WAIT` until it is opened: events instead of time."""

    def __init__(self, admin, namespace):
        self.admin, self.namespace, self.name = admin, namespace, unique("gate")
        self.args = {"namespace": namespace, "gate": self.name}
        self._mutex = {"namespace_name": namespace, "user_id": self.name, "property_id": "gate"}

    def reached(self):
        """Waits until a job has come to the gate."""

        def look():
            mutexes = self.admin.call(operations.operation("lock", "describeMutexesByUserId"), {
                "namespaceName": self.namespace, "userId": self.name})["items"]
            return mutexes or None

        poll(look)

    def open(self):
        self.admin.lock.delete_mutex_by_user_id(**self._mutex)
