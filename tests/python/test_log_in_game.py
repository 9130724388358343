"""Log: what games tell, over both transports. BEHAVIOUR LG-09."""

import pytest
from gs2.log import InGameLogTag

from harness import operations
from harness.environment import unique
from harness.log import NO_NAMESPACE
from harness.sdk import BadRequest, NotFound

PUT = operations.operation("log", "putLog")


def tags(**members):
    return [InGameLogTag().with_key(key).with_value(value) for key, value in members.items()]


@pytest.fixture(params=["me", "by_user_id"])
def send(request, sdk, make_log):
    """Sends in a new namespace for one player."""
    where = {"namespace_name": make_log()}

    def send_(user="alice", **fields):
        if request.param == "me":
            token = sdk.auth.login(user_id=user).token
            return sdk.log.send_in_game_log(access_token=token, **where, **fields).item
        return sdk.log.send_in_game_log_by_user_id(user_id=user, **where, **fields).item

    send_.where = where
    return send_


def test_sent_is_found_lg09(sdk, send):
    item = send(tags=tags(level="1", kind="boss"), payload='{"score": 5}')
    assert (item.user_id, item.payload) == ("alice", '{"score": 5}')
    assert [(tag.key, tag.value) for tag in item.tags] == [("level", "1"), ("kind", "boss")]
    found = sdk.log.query_in_game_log(**send.where)
    assert [one.to_dict() for one in found.items] == [item.to_dict()]
    assert (found.total_count, found.next_page_token) == (1, None)


def test_all_tags_must_be_there_lg09(sdk, send):
    send("alice", tags=tags(level="1", kind="boss"), payload="a")
    send("bob", tags=tags(level="1"), payload="b")
    send("bob", payload="c")

    def find(**fields):
        return sorted(one.payload for one in sdk.log.query_in_game_log(**send.where, **fields).items)

    assert find() == ["a", "b", "c"]
    assert find(tags=tags(level="1")) == ["a", "b"]
    assert find(tags=tags(level="1", kind="boss")) == ["a"]
    assert find(tags=tags(level="2")) == find(user_id="carol") == []
    assert find(user_id="bob", tags=tags(level="1")) == ["b"]
    assert find(user_id="bob") == ["b", "c"]


def test_pages_lg08(sdk, send):
    sent = [send(payload=str(number)).payload for number in range(3)]
    first = sdk.log.query_in_game_log(limit=2, **send.where)
    rest = sdk.log.query_in_game_log(limit=2, page_token=first.next_page_token, **send.where)
    assert sorted(one.payload for one in first.items + rest.items) == sent
    assert first.total_count == rest.total_count == 3 and rest.next_page_token is None


def test_once_x01(sdk, send):
    avoider = unique()
    one = send(payload="x", duplication_avoider=avoider)
    assert send(payload="x", duplication_avoider=avoider).to_dict() == one.to_dict()
    assert sdk.log.query_in_game_log(**send.where).total_count == 1


def test_limits_lg09(sdk, send):
    with sdk.refuses(BadRequest, "log.inGameLog.tags.error.tooMany"):
        send(tags=tags(**{f"key{number}": "v" for number in range(21)}), payload="")
    for wrong, member, kind in (({"k" * 65: "v"}, "key", "tooLong"), ({"k": "v" * 129}, "value", "tooLong")):
        with sdk.refuses(BadRequest, f"log.inGameLogTag.{member}.error.{kind}"):
            send(tags=tags(**wrong), payload="")
    assert send(tags=tags(**{"あ" * 64: "𠮷" * 128}), payload="").payload == ""


def test_players_may_send_i12(sdk, sign_in, environment, make_log):
    """I-12: the client that players have sends, and reads nothing."""
    where = {"namespace_name": make_log()}
    client = sign_in("grn:gs2::system:identifier:securityPolicy:ApplicationAccess")
    token = sdk.auth.login(user_id="alice").token
    client.log.send_in_game_log(access_token=token, payload="x", **where)
    assert client.log.get_service_version().item
    with pytest.raises(Exception):
        client.log.query_in_game_log(**where)


def test_put_lg09(sdk, environment, make_log):
    """What old SDKs add is found by its category."""
    name = make_log()
    sdk.call(PUT, {"loggingNamespaceId": environment.grn("log", name), "logCategory": "quest", "payload": "done"})
    found = sdk.log.query_in_game_log(namespace_name=name, tags=tags(category="quest")).items
    assert [one.payload for one in found] == ["done"]
    with sdk.refuses(NotFound, NO_NAMESPACE):
        sdk.call(PUT, {"loggingNamespaceId": environment.grn("log", unique("absent")), "logCategory": "quest"})
    for wrong in ("nothing", environment.grn("lock", name), environment.grn("log", name).replace(environment.owner_id, "x")):
        with sdk.refuses(BadRequest, "log.log.loggingNamespaceId.error.invalid"):
            sdk.call(PUT, {"loggingNamespaceId": wrong, "logCategory": "quest"})
