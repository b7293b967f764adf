"""A signer of Signature Version 4 of its own, every part of which can be wrong on purpose."""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, quote

from support.server import REGION, ROOT_KEY, ROOT_SECRET

UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class Route:
    """A request before it is signed."""

    service: str
    name: str
    method: str
    path: str
    headers: tuple = ()
    body: bytes = b""

    def __str__(self):
        return f"{self.service} {self.name}"


@dataclass(frozen=True)
class Signer:
    key: str = ROOT_KEY
    secret: str = ROOT_SECRET
    token: str = None
    region: str = REGION
    service: str = None
    late: timedelta = timedelta()
    scope_date: str = None
    # Headers that are sent, but not signed.
    unsigned: tuple = ()
    # What the signature says of the body; its hash, where nothing is said.
    payload: str = None
    says_payload: bool = None

    def but(self, **changes):
        return replace(self, **changes)

    def headers(self, route, host):
        """The headers of a signed request, as pairs."""
        service = self.service or route.service
        stamp, scope = self._stamp(), self._scope(service)
        payload = self.payload or hashlib.sha256(route.body).hexdigest()
        headers = {"host": host, "x-amz-date": stamp, **dict(route.headers)}
        if self.says_payload if self.says_payload is not None else service == "s3":
            headers["x-amz-content-sha256"] = payload
        if self.token:
            headers["x-amz-security-token"] = self.token
        names = sorted(name for name in headers if name not in self.unsigned)
        canonical = "\n".join([
            route.method, *_target(route.path, service), *(f"{name}:{headers[name]}" for name in names), "",
            ";".join(names), payload])
        signature = self._signature(service, stamp, scope, canonical)
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={';'.join(names)}, "
                                    f"Signature={signature}")
        return list(headers.items())

    def presigned(self, route, host, expires_s=900):
        """The path of a presigned address."""
        service = self.service or route.service
        stamp, scope = self._stamp(), self._scope(service)
        path, _, query = route.path.partition("?")
        pairs = {**dict(parse_qsl(query, keep_blank_values=True)), "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                 "X-Amz-Credential": f"{self.key}/{scope}", "X-Amz-Date": stamp, "X-Amz-Expires": str(expires_s),
                 "X-Amz-SignedHeaders": "host", **({"X-Amz-Security-Token": self.token} if self.token else {})}
        written = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(pairs.items()))
        canonical = "\n".join([route.method, path, written, f"host:{host}", "", "host", self.payload or UNSIGNED])
        return f"{path}?{written}&X-Amz-Signature={self._signature(service, stamp, scope, canonical)}"

    def _stamp(self):
        return (datetime.now(timezone.utc) + self.late).strftime("%Y%m%dT%H%M%SZ")

    def _scope(self, service):
        return f"{self.scope_date or self._stamp()[:8]}/{self.region}/{service}/aws4_request"

    def _signature(self, service, stamp, scope, canonical):
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for part in (*scope.split("/")[:2], service, "aws4_request", text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()


def _target(path, service):
    path, _, query = path.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    return path, "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in pairs)
