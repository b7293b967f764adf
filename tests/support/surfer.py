"""The console below a browser: requests as they are, with a cookie that is kept and a form token that is read."""

import re
import ssl
from pathlib import Path

import urllib3

from support.server import ROOT_KEY, ROOT_SECRET

COOKIE = "lade-session"
ROUTES = Path(__file__).parents[2] / "crates/console/src/route.rs"


class Surfer:
    """One jar with one cookie; redirects are not followed, so that they can be looked at."""

    def __init__(self, endpoint, ca=None):
        self.endpoint = endpoint
        tls = {"ssl_context": ssl.create_default_context(cafile=ca)} if ca else {}
        self.http = urllib3.PoolManager(retries=False, timeout=30, **tls)
        self.session = self.token = None

    def send(self, method, path, **more):
        headers = {"Cookie": f"{COOKIE}={self.session}"} if self.session else {}
        headers |= more.pop("headers", {})
        answer = self.http.request(method, self.endpoint + path, redirect=False, headers=headers, **more)
        answer.text = answer.data.decode("utf-8", "replace")
        answer.to = answer.headers.get("Location")
        return answer

    def get(self, path, **more):
        return self.send("GET", path, **more)

    def post(self, path, /, token=True, **fields):
        """Sends a form with the token of who is signed in, another's, or none."""
        token = self.token if token is True else token
        fields = [*([("form-token", token)] if token else []), *fields.items()]
        return self.send("POST", path, fields=fields, encode_multipart=False)

    def upload(self, path, name, content, token=True, prefix=""):
        token = self.token if token is True else token
        fields = [*([("form-token", token)] if token else []), ("prefix", prefix), ("file", (name, content, "text/csv"))]
        return self.send("POST", path, fields=fields)

    def sign_in(self, key=ROOT_KEY, secret=ROOT_SECRET, session_token="", next="", headers=None):
        """Signs in; the answer. After a success the session and its form token are known."""
        fields = {"access-key-id": key, "secret-access-key": secret, "session-token": session_token, "next": next}
        answer = self.send("POST", "/console/sign-in", fields=fields, encode_multipart=False, headers=headers or {})
        if answer.status == 303:
            self.session = re.match(rf"{COOKIE}=(\w+);", answer.headers["Set-Cookie"])[1]
            self.token = re.search(r'name="form-token" value="(\w+)"', self.get("/console/groups").text)[1]
        return answer


def routes():
    """The routes of the console as its source lists them: words, and the names of what stands for anything."""
    text = ROUTES.read_text()
    body = text[text.index("async fn pages"):]
    body = body[:body.index("\n}\n")]
    found = re.findall(r'\[((?:"[^"]+"|\w+)(?:, (?:"[^"]+"|\w+))*)\](?: \| \[[^\]]+\])*\s*(if visit\.is_post\(\))?', body)
    # An upload is told apart before forms are read.
    assert '["buckets", bucket, "upload"]' in text
    routes = [([word.strip() for word in words.split(",")], bool(post)) for words, post in found]
    return routes + [(['"buckets"', "bucket", '"upload"'], True)]
