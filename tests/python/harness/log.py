"""Logs: namespaces that are logged, and what is found of their calls (BEHAVIOUR section 12)."""

import json

from gs2.lock import LogSetting

from harness.environment import unique

NO_NAMESPACE = "log.namespace.namespace.error.notFound"


class Logged:
    """A Lock namespace whose calls are recorded in a Log namespace."""

    def __init__(self, sdk, environment, log, make_namespace):
        self.sdk, self.log = sdk, log
        self.where = {"namespace_name": log}
        setting = LogSetting().with_logging_namespace_id(environment.grn("log", log))
        self.namespace = make_namespace(log_setting=setting)

    def lock(self, user="alice", name=None, transaction="t", ttl=60):
        """One call; gives the property."""
        name = name or unique("property")
        self.sdk.lock.lock_by_user_id(
            namespace_name=self.namespace, user_id=user, property_id=name, transaction_id=transaction, ttl=ttl)
        return name

    def entries(self, **fields):
        return self.sdk.log.query_access_log(**self.where, **{"limit": 1000, **fields}).items

    def find(self, query, **fields):
        return self.sdk.log.query_log(query=query, **self.where, **{"limit": 1000, **fields}).items


def labels(entry):
    return {label.key: label.value for label in entry.labels}


def inner(text):
    return json.loads(text)
