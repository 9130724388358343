"""What a refusal looks like: E-01 to E-03 and E-12 in one place."""

import json


def code_of(message):
    """`lock.mutex.ttl.error.invalid` has the code `mutex.ttl.invalid`."""
    _service, model, member, word, kind = message.split(".")
    assert word == "error"
    return f"{model}.{member}.{kind}"


def model_of(message):
    return message.split(".")[1]


def error_items(body):
    """The items inside an error body; checks the shape that every SDK needs (core.json, errorBody)."""
    assert isinstance(body, dict), body
    assert isinstance(body["message"], str), "message is text that holds a JSON array"
    items = json.loads(body["message"])
    assert isinstance(items, list) and items, "an error names at least one thing"
    for item in items:
        for member in ("component", "message", "code"):
            assert isinstance(item[member], str) and item[member], item
    assert "metadata" not in body or isinstance(body["metadata"], dict)
    return items


def check_item(item, message):
    assert item["message"] == message
    assert item["component"] == model_of(message)
    assert item["code"] == code_of(message)
    assert isinstance(item["detail"], str) and item["detail"], "detail is a sentence for people"


def check_errors(body, *messages):
    """The error body holds exactly these messages in this order (E-14)."""
    items = error_items(body)
    assert [item["message"] for item in items] == list(messages)
    for item, message in zip(items, messages):
        check_item(item, message)
    return items
