"""Gateway: dump, clean and import of a player's device. BEHAVIOUR U-01 to U-08."""

import pytest

from harness.environment import unique
from harness.sdk import BadRequest, NotFound
from harness.user_data import UserData, check_life_cycle


@pytest.fixture
def data(sdk):
    return UserData(sdk, "gateway", sdk.gateway)


def test_life_cycle(sdk, data, make_gateway):
    """U-01 to U-08, over two namespaces."""
    user = unique("user")
    for gateway in (make_gateway(), make_gateway()):
        sdk.gateway.set_firebase_token_by_user_id(namespace_name=gateway, user_id=user, token="t", locale="ja")
    check_life_cycle(sdk, data, (BadRequest, NotFound), user, 2)


def test_device_u07(sdk, data, gateway):
    """U-07: the token, as getFirebaseToken answers it; a newer one of the player's stays."""
    user = unique("user")
    identity = {"namespace_name": gateway, "user_id": user}
    item = sdk.gateway.set_firebase_token_by_user_id(token="old", locale="ja", **identity).item
    archive = data.dump(user)
    assert data.entries(user) == {f"gateway/{gateway}/firebaseToken.jsonl": [item.to_dict()]}
    data.clean(user)
    with sdk.refuses(NotFound, "gateway.firebaseToken.firebaseToken.error.notFound"):
        sdk.gateway.get_firebase_token_by_user_id(**identity)
    sdk.gateway.set_firebase_token_by_user_id(token="new", **identity)
    assert "left out: the player has set another device" in data.bring(user, archive)
    assert sdk.gateway.get_firebase_token_by_user_id(**identity).item.token == "new"
