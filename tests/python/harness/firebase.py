"""The account with which a Gateway namespace sends to devices (G-52). Nothing here is a real account."""

import json


def service_account(length=None, **members):
    """The JSON file of a service account, of so many characters if given; a member that is None is left out."""
    account = {"type": "service_account", "project_id": "project-1", "private_key": "no key",
               "client_email": "nobody@project-1.invalid", **members}
    account = {name: value for name, value in account.items() if value is not None}
    if length is not None:
        account["note"] = ""
        account["note"] = ("あ𠮷" * length)[:length - len(json.dumps(account, ensure_ascii=False))]
    return json.dumps(account, ensure_ascii=False)
