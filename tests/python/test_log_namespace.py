"""Log: the namespaces and their settings, over both transports. BEHAVIOUR N-01 to N-16, LG-06."""

import re

import pytest

from harness.environment import unique
from harness.errors import error_items
from harness.log import NO_NAMESPACE
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"


class TestNamespace:
    def test_item_lg06_n04_n11(self, sdk, environment, discard_log):
        """LG-06, N-04, N-11: logs are kept here, for thirty days unless it is said."""
        item = sdk.log.create_namespace(name=discard_log, description=MIXED, type="gs2").item
        assert item.namespace_id == environment.grn("log", discard_log)
        assert (item.name, item.description, item.type) == (discard_log, MIXED, "gs2")
        assert (item.log_expire_days, item.revision) == (30, 1)
        assert item.created_at == item.updated_at > 0
        assert sdk.log.get_namespace(namespace_name=discard_log).item.to_dict() == item.to_dict()
        assert sdk.log.get_namespace_status(namespace_name=discard_log).status == "ACTIVE"
        with sdk.refuses(BadRequest, "log.namespace.name.error.exists"):
            sdk.log.create_namespace(name=discard_log)

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.log.get_service_version().item)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, NO_NAMESPACE):
            getattr(sdk.log, operation)(namespace_name=unique("absent"))

    def test_describe_n07_n09(self, sdk, make_log):
        made = {make_log() for _number in range(3)}
        seen, token = [], None
        while True:
            page = sdk.log.describe_namespaces(limit=2, page_token=token)
            seen += [item.name for item in page.items]
            token = page.next_page_token
            if token is None:
                break
        assert made <= set(seen) and seen == sorted(seen)

    def test_update_replaces_the_settings_n13(self, sdk, make_log):
        name = make_log(description="old", log_expire_days=3650, aws_region="ap-northeast-1")
        new = sdk.log.update_namespace(namespace_name=name, log_expire_days=1).item
        assert (new.log_expire_days, new.revision) == (1, 2)
        assert not new.description and not new.aws_region

    @pytest.mark.parametrize("kind", ["bigquery", "firehose"])
    def test_only_this_server_keeps_logs_lg06(self, sdk, discard_log, kind):
        """LG-06: what would be dropped in silence is refused, and the message says what there is."""
        with sdk.refuses(BadRequest, "log.namespace.type.error.invalid"):
            sdk.log.create_namespace(name=discard_log, type=kind)
        assert "gs2" in error_items(sdk.answer)[0]["detail"]

    @pytest.mark.parametrize("days", [0, -1, 3651])
    def test_retention_lg06(self, sdk, discard_log, days):
        with sdk.refuses(BadRequest, "log.namespace.logExpireDays.error.invalid"):
            sdk.log.create_namespace(name=discard_log, log_expire_days=days)

    def test_credentials_are_forgotten_lg11(self, sdk, discard_log):
        """LG-11: credentials for places that nothing is sent to are neither kept nor answered."""
        item = sdk.log.create_namespace(
            name=discard_log, gcp_credential_json="secret", aws_secret_access_key="secret",
            aws_access_key_id="id").item
        assert (item.gcp_credential_json, item.aws_secret_access_key) == ("***", "***")
        assert item.aws_access_key_id == "id"
        assert "secret" not in str(sdk.log.get_namespace(namespace_name=discard_log).item.to_dict())

    def test_deletion_takes_everything_n14(self, sdk, make_log):
        name = make_log()
        where = {"namespace_name": name}
        sdk.log.send_in_game_log_by_user_id(user_id="alice", payload="x", **where)
        sdk.log.create_dashboard(**where)
        assert sdk.log.delete_namespace(**where).item.name == name
        for call in (sdk.log.query_access_log, sdk.log.query_in_game_log, sdk.log.describe_dashboards,
                     sdk.log.query_log, sdk.log.describe_metrics):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call(**where)
        make_log(name)
        assert sdk.log.query_in_game_log(**where).items == []
        assert sdk.log.describe_dashboards(**where).items == []
