"""Where the server under test is and who may administer it, as the runner of the suites says."""

import os
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Environment:
    url: str
    client_id: str
    client_secret: str
    owner_id: str
    region: str
    store: str
    binary: str

    @staticmethod
    def load():
        def variable(name):
            value = os.environ.get(f"HIROBA_{name}")
            if not value:
                raise RuntimeError(f"HIROBA_{name} is not set: the suites run against a started server")
            return value

        return Environment(
            url=variable("URL").rstrip("/"),
            client_id=variable("CLIENT_ID"),
            client_secret=variable("CLIENT_SECRET"),
            owner_id=variable("OWNER_ID"),
            region=variable("REGION"),
            store=variable("STORE"),
            binary=variable("BIN"),
        )

    @property
    def authority(self):
        return urlsplit(self.url).netloc

    def grn(self, service, *rest):
        """A GRN of this project; Identifier's carry no region (N-03)."""
        region = "" if service == "identifier" else self.region
        return ":".join(["grn", "gs2", region, self.owner_id, service, *rest])


def unique(prefix="hb"):
    """A name nobody else uses, made of the characters that names may have."""
    return f"{prefix}-{uuid.uuid4().hex[:16]}"
