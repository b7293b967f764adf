"""The console's doors and locks, tried from outside without a browser."""

import http.client
import json
import re
import time
from urllib.parse import quote, urlsplit

import pytest
from botocore.config import Config

from support.certificates import Authority
from support.console import MARK, World
from support.policies import allow
from support.server import ROOT_KEY, ROOT_SECRET, Server
from support.surfer import COOKIE, Surfer

FIELDS = {
    "name": "made", "policy": "{}", "trust": "{}", "document": "{}", "policy-name": "p", "description": "made",
    "do": "disable", "key": "in/items.csv", "records": '[{"itemId":"made"}]', "domain": "", "type": "USERS",
    "schema-name": "made", "schema": "{}", "location": "s3://data/in/items.csv", "path": "s3://data/out", "role": "custom",
    "role-arn": "arn:aws:iam::000000000000:role/PersonalizeRole", "mode": "ALL", "tag-key": "made", "tag-value": "made",
    "confirm": "yes",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("console")).start()
    try:
        yield World(server)
    finally:
        assert server.stop() == 0, server.tail()


@pytest.fixture
def root(world):
    surfer = Surfer(world.server.endpoint)
    assert surfer.sign_in().status == 303
    return surfer


def settled(world):
    """The number of lines of the audit log once nothing more comes."""
    seen = world.calls()
    deadline = time.monotonic() + 20
    while True:
        time.sleep(0.25)
        if (now := world.calls()) == seen:
            return seen
        seen = now
        assert time.monotonic() < deadline


# Who is nobody


def test_whoever_is_not_signed_in_is_asked_to_be_whatever_they_ask_for(world):
    nobody = Surfer(world.server.endpoint)
    before = settled(world)
    for path, is_post in world.paths():
        for answer in (nobody.get(path), nobody.post(path, token=None, **FIELDS), nobody.upload(path, "f", b"x", None)):
            assert answer.status == 303 and answer.to.startswith("/console/sign-in"), (path, answer.status)
            assert not answer.data
    for made_up in ("0" * 64, "", "x", "%00", "é"):
        nobody.session = made_up
        assert nobody.get("/console/groups").to == "/console/sign-in?next=%2Fconsole%2Fgroups"
    assert settled(world) == before, "nobody's requests made no call"


def test_a_form_without_this_sessions_token_does_nothing(world, root):
    other = Surfer(world.server.endpoint)
    other.sign_in()
    assert other.token != root.token
    before = settled(world)
    for path, _ in world.paths():
        for token in (None, "", "0" * 32, other.token, root.session, root.token[:-1], root.token + "0"):
            answer = root.post(path, token=token, **FIELDS)
            assert answer.status == 403 and "Nothing was done" in answer.text, (path, token, answer.status)
        for token in (None, "0" * 32, other.token):
            answer = root.upload(path, "f.csv", b"x", token=token)
            assert answer.status == 403, (path, token, answer.status, answer.text)
    # A bucket's page is shown again after an upload that was refused: that is a look at it, and no more.
    assert settled(world) == before, "none of these made a call"
    assert root.get("/console/groups").status == 200, "the session lives on"


def test_what_is_done_by_post_is_not_done_by_get(world, root):
    before = sorted(object["Key"] for object in world.workshop.s3.list_objects_v2(Bucket=world.bucket)["Contents"])
    for path, is_post in world.paths():
        if is_post:
            query = f"?key=in/items.csv&form-token={root.token}"
            for answer in (root.get(path + query), root.send("HEAD", path + query)):
                assert answer.status in (200, 404, 405), (path, answer.status)
    described = world.workshop.personalize.describe_dataset(datasetArn=world.group.items)["dataset"]
    assert described["status"] == "ACTIVE"
    after = sorted(object["Key"] for object in world.workshop.s3.list_objects_v2(Bucket=world.bucket)["Contents"])
    assert after == before
    assert root.get("/console/groups").status == 200, "nor has it signed out"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(world, root, method):
    assert root.send(method, f"/console/buckets/{world.bucket}").status == 405


def test_forms_of_another_site_are_refused_even_where_no_token_is_needed(world):
    stranger = Surfer(world.server.endpoint)
    for site in ("cross-site", "same-site"):
        answer = stranger.sign_in(headers={"Sec-Fetch-Site": site})
        assert answer.status == 403 and "Set-Cookie" not in answer.headers
    assert stranger.sign_in(headers={"Sec-Fetch-Site": "same-origin"}).status == 303


# Sessions


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(world):
    answer = Surfer(world.server.endpoint).sign_in()
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert re.fullmatch(rf"{COOKIE}=[0-9a-f]{{64}}", cookie)
    assert set(attributes) == {"Path=/console", "HttpOnly", "SameSite=Strict"}


def test_under_tls_the_cookie_goes_over_tls_only(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.server("console", tmp_path / "server")
    env = {"LADE_TLS_CERTIFICATE": str(certificate), "LADE_TLS_KEY": str(key), "LADE_TLS_CA": str(authority.ca)}
    server = Server(tmp_path / "own", env=env).start()
    try:
        surfer = Surfer(server.endpoint, ca=authority.ca)
        assert "Secure" in surfer.sign_in().headers["Set-Cookie"].split("; ")
        ended = surfer.post("/console/sign-out")
        assert "Secure" in ended.headers["Set-Cookie"].split("; ")
    finally:
        server.stop()


def test_signing_out_ends_the_session_on_the_server(root):
    old = root.session
    answer = root.post("/console/sign-out")
    assert (answer.status, answer.to) == (303, "/console/sign-in")
    assert answer.headers["Set-Cookie"].startswith(f"{COOKIE}=;") and "Max-Age=0" in answer.headers["Set-Cookie"]
    assert root.session == old, "a cookie that somebody kept"
    assert root.get("/console/buckets").to.startswith("/console/sign-in")


def test_a_new_session_has_a_name_of_its_own(world):
    surfer = Surfer(world.server.endpoint)
    surfer.session = "f" * 64
    answer = surfer.sign_in()
    assert surfer.session != "f" * 64 and answer.to == "/console/groups"


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_keys_that_are_no_longer_valid_end_their_sessions(world, how):
    iam = world.workshop.iam
    name = f"leaver-{how}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("*")]}))
    surfer = Surfer(world.server.endpoint)
    surfer.sign_in(key["AccessKeyId"], key["SecretAccessKey"])
    assert surfer.get("/console/groups").status == 200
    named = {"UserName": name, "AccessKeyId": key["AccessKeyId"]}
    if how == "disabled":
        iam.update_access_key(**named, Status="Inactive")
    else:
        iam.delete_access_key(**named)
    answer = surfer.get("/console/groups")
    assert (answer.status, answer.to) == (303, "/console/sign-in?ended") and "Max-Age=0" in answer.headers["Set-Cookie"]
    if how == "disabled":
        iam.update_access_key(**named, Status="Active")
        assert surfer.get("/console/groups").to.startswith("/console/sign-in?next"), "it does not come back to life"


def test_keys_of_a_role_session_sign_in_with_their_token_and_not_without(world):
    user = world.workshop.make_user("assumer", allow("sts:AssumeRole"))
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"}]})
    role = world.workshop.make_role("visited", world.bucket, trust=trust)
    keys = user.sts.assume_role(RoleArn=role, RoleSessionName="visit")["Credentials"]
    surfer = Surfer(world.server.endpoint)
    assert surfer.sign_in(keys["AccessKeyId"], keys["SecretAccessKey"]).status == 403
    answer = surfer.sign_in(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert answer.status == 303
    assert "not authorized" in surfer.get("/console/groups").text, "the role may read a bucket, and no groups"
    assert keys["SessionToken"] not in surfer.get("/console/buckets").text


def test_guessing_is_slowed_down(own_server):
    surfer = Surfer(own_server.endpoint)
    statuses = [surfer.sign_in(secret=f"guess-{n}").status for n in range(12)]
    assert statuses == [403] * 10 + [429] * 2
    assert surfer.sign_in().status == 429, "the right secret is not told apart in that minute"
    assert surfer.session is None


def test_a_refused_sign_in_tells_not_which_half_was_wrong(own_server):
    surfer = Surfer(own_server.endpoint)
    texts = set()
    for key, secret in [(ROOT_KEY, "wrong"), ("AKIAUNKNOWN000000000", ROOT_SECRET), ("", "")]:
        answer = surfer.sign_in(key, secret)
        assert answer.status == 403 and "Set-Cookie" not in answer.headers
        assert not secret or secret not in answer.text
        texts.add(re.search(r'role="alert"><p>(.*?)</p>', answer.text)[1])
    assert len(texts) == 1, texts


# Headers


def assert_guarded(answer, path):
    policy = answer.headers.get("Content-Security-Policy", "")
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == "'none'", path
    assert directives["script-src"] == directives["style-src"] == directives["form-action"] == "'self'", path
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy, path
    assert answer.headers["X-Content-Type-Options"] == "nosniff", path
    assert answer.headers["X-Frame-Options"] == "DENY", path
    assert answer.headers["Referrer-Policy"] in ("same-origin", "no-referrer"), path
    assert "Access-Control-Allow-Origin" not in answer.headers, path
    if "/assets/" not in path or answer.status != 200:
        assert answer.headers["Cache-Control"] == "no-store", path


def test_each_answer_bears_the_headers_that_keep_it_to_itself(world, root):
    nobody = Surfer(world.server.endpoint)
    assets = re.findall(r'"(/console/assets/[^"]+)"', nobody.get("/console/sign-in").text)
    assert len(assets) >= 2
    for asset in assets:
        assert nobody.get(asset).status == 200
    paths = [*(path for path, _ in world.paths()), *assets, "/personalize/home", "/console", "/console/", "/console/none",
             "/console/assets/none.css", "/console/sign-in?ended", f"/console/buckets/{world.bucket}/object?key=in/items.csv",
             f"/console/buckets/{world.bucket}/object?key=none", "/console/groups/none", "/console/jobs/export/none"]
    for path in paths:
        for surfer in (root, nobody):
            assert_guarded(surfer.get(path, headers={"Origin": "https://other.example"}), path)
        assert_guarded(root.post(path, token=None), path)
    assert_guarded(root.send("PUT", "/console/groups"), "PUT")
    assert_guarded(root.get("/", headers={"Accept": "text/html"}), "/")
    assert_guarded(nobody.sign_in(secret="wrong"), "refused")
    much = root.send("POST", "/console/groups/create", body=b"a" * (3 << 20))
    assert much.status == 413
    assert_guarded(much, "too much")


def test_pages_hold_no_script_style_or_handler_of_their_own(world, root):
    for path, is_post in world.paths():
        text = root.get(path).text
        if "<html" not in text:
            continue
        for found in re.findall(r"<script\b[^>]*>[^<]*", text):
            assert re.fullmatch(r'<script src="/console/assets/[\w.]+" defer>', found), (path, found)
        tags = re.findall(r"<[a-z][^>]*>", text)
        assert not [tag for tag in tags if re.search(r'\s(on\w+|style)\s*=\s*"', tag)], path
        assert "<style" not in text and "javascript:" not in text, path


# Where one is led


@pytest.mark.parametrize("next", [
    "https://evil.example/", "//evil.example/", "/\\evil.example", "/console/../../\\evil.example", "/console//evil.example",
    "javascript:alert(1)", "/evil", "/console", " /console/groups", "/console/\r\nSet-Cookie: a=b", "/console/\x00",
    "/console/é", "http:/console/", "console/groups", "/CONSOLE/x",
])
def test_signing_in_leads_to_no_other_place(world, next):
    answer = Surfer(world.server.endpoint).sign_in(next=next)
    assert (answer.status, answer.to) == (303, "/console/groups")


def test_signing_in_leads_to_where_one_wanted_to_be(world):
    surfer = Surfer(world.server.endpoint)
    wanted = f"/console/buckets/{world.bucket}?prefix=in%2F"
    asked = surfer.get(wanted)
    assert asked.to == f"/console/sign-in?next={quote(wanted, safe='')}"
    form = surfer.get(asked.to).text
    assert f'name="next" value="{wanted}"' in form
    assert surfer.sign_in(next=wanted).to == wanted


# Who may see what


def test_no_page_holds_a_secret(world, root):
    for path, _ in world.paths():
        answer = root.get(path)
        for secret in (ROOT_SECRET, root.session):
            assert secret not in answer.text, path
            assert secret not in str(answer.headers), path


def test_whoever_may_nothing_sees_refusals_and_no_data(world, root):
    user = world.workshop.make_user("nothing")
    secret = user.session.get_credentials().secret_key
    surfer = Surfer(world.server.endpoint)
    assert surfer.sign_in(user.key, secret).status == 303
    shown, refused = 0, 0
    for path, is_post in world.paths():
        if is_post:
            continue
        shown += MARK in root.get(path).text
        answer = surfer.get(path)
        assert MARK not in answer.text and world.group.tracking_id not in answer.text, path
        assert answer.status < 500, path
        refused += answer.status in (400, 403) and ("not authorized" in answer.text or "AccessDenied" in answer.text)
    assert shown >= 4, "the mark stands on the pages that root sees"
    assert refused >= 8
    answer = surfer.post("/console/groups/create", name="by-nobody")
    assert answer.status == 400 and "not authorized" in answer.text and 'value="by-nobody"' in answer.text
    for path in (f"/console/buckets/{world.bucket}/delete-object", f"/console/buckets/{world.bucket}"):
        assert surfer.post(path, key="in/items.csv").status in (403, 404, 200)
    assert world.workshop.s3.head_object(Bucket=world.bucket, Key="in/items.csv")
    settled(world)
    lines = [json.loads(line) for line in (world.server.data_dir / "audit.log").read_text().splitlines()]
    theirs = [line for line in lines if line["userIdentity"].get("arn") == user.arn]
    assert {"ListDatasetGroups", "CreateDatasetGroup"} <= {line["eventName"] for line in theirs}
    assert all(line["sourceIPAddress"] == "127.0.0.1" for line in theirs)
    allowed = {line["eventName"] for line in theirs if not line["errorCode"]}
    assert allowed <= {"GetCaller"}, allowed


# Objects


def test_an_object_is_saved_and_never_shown_in_the_consoles_origin(world, root):
    page, key = b"<script>alert(1)</script>", 'a/evil"; x.html'
    world.workshop.s3.put_object(Bucket=world.bucket, Key=key, Body=page, ContentType="text/html",
                                 ContentDisposition="inline", Metadata={"x": "y"})
    answer = root.get(f"/console/buckets/{world.bucket}/object?key={quote(key, safe='')}")
    assert (answer.status, answer.data) == (200, page)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''evil%22%3B%20x.html"
    assert "x-amz-meta-x" not in answer.headers
    assert_guarded(answer, "object")


def test_an_object_without_a_key_is_none_and_deletes_none(world, root):
    name = world.workshop.make_bucket("bare")
    assert root.get(f"/console/buckets/{name}/object").status in (400, 404)
    assert root.post(f"/console/buckets/{name}/delete-object", key="").status in (400, 404)
    world.workshop.s3.head_bucket(Bucket=name)


def test_objects_of_the_s3_door_are_sandboxed(world):
    world.workshop.s3.put_object(Bucket=world.bucket, Key="page.html", Body=b"<script>1</script>", ContentType="text/html")
    s3 = world.workshop.client("s3", config=Config(signature_version="s3v4"))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": world.bucket, "Key": "page.html"})
    answer = urllib3_get(url)
    assert answer.status == 200 and "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def urllib3_get(url):
    address = urlsplit(url)
    return Surfer(f"{address.scheme}://{address.netloc}").get(f"{address.path}?{address.query}")


# Paths


def raw_get(world, path, session):
    """A path as it stands: nothing on the way makes it tidy."""
    connection = http.client.HTTPConnection(urlsplit(world.server.endpoint).netloc, timeout=30)
    connection.putrequest("GET", path, skip_accept_encoding=True)
    connection.putheader("Cookie", f"{COOKIE}={session}")
    connection.endheaders()
    answer = connection.getresponse()
    answer.text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer


@pytest.mark.parametrize("odd", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2F", "%2e", "a%2Fb", "%00", "%ff", "%0d%0aX: y",
                                 "%F0%9F%A6%8A", "*", "a%3Fb", "a%26b%3Dc", "%25%32%66", "new", "%E2%80%AE"])
def test_odd_names_in_paths_are_names_and_lead_nowhere(world, root, odd):
    odd = odd.replace(" ", "%20")
    places = ["groups/{}", "groups/{}/datasets/ITEMS", f"groups/{world.names['group']}/datasets/{{}}", "jobs/export/{}",
              "jobs/{}/x", "buckets/{}", "buckets/{}/policy", "buckets/{}/object?key=x", "roles/{}", "keys/{}", "assets/{}",
              f"roles/{world.names['role']}/policies/{{}}", f"buckets/{world.bucket}/object?key={{}}", "{}/x", "../{}"]
    for place in places:
        answer = raw_get(world, "/console/" + place.format(odd), root.session)
        new_policy = odd == "new" and "policies" in place
        assert answer.status == 200 if new_policy else 400 <= answer.status < 500 or answer.status == 303, (place, answer.status)
        assert "root:" not in answer.text and MARK not in answer.text, place
        assert "X" not in answer.headers, place
