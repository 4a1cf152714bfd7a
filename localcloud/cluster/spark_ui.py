"""The Spark UI of a driver, and the token that it asks for."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SparkUi:
    """Where the UI listens, and the key (base64url) of the filter in front of it."""

    url: str
    key: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The header that the filter accepts: any claims, signed with HMAC-SHA256 (RFC 7515)."""
        claims = {"sub": "localcloud"}
        content = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        key = base64.urlsafe_b64decode(self.key + "=" * (-len(self.key) % 4))
        signature = hmac.new(key, content, hashlib.sha256).digest()
        return f"Bearer {(content + b'.' + _encoded(signature)).decode()}"


def public_path(cluster_id: str) -> str:
    """The UI's path on the workspace's own address, as on Databricks."""
    return f"/sparkui/{cluster_id}"


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
