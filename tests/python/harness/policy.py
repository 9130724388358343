"""Security policy documents (I-08)."""

import json


def statement(effect, actions, resources=("*",)):
    return {"Effect": effect, "Actions": list(actions), "Resources": list(resources)}


def allow(*actions, on=("*",)):
    return statement("Allow", actions, on)


def deny(*actions, on=("*",)):
    return statement("Deny", actions, on)


def document(*statements):
    return json.dumps({"Version": "2016-04-01", "Statements": list(statements)}, ensure_ascii=False)


EVERYTHING = document(allow("*"))


def common(name):
    """GRN of a built-in policy (I-12)."""
    return f"grn:gs2::system:identifier:securityPolicy:{name}"
