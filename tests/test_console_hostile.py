"""Strings that people and programs leave behind, on every page that shows them: they stand there as text and do nothing."""

import json
from urllib.parse import quote

import pytest

from support.browser import NARROW, Visitor
from support.policies import allow
from support.schemas import INTERACTIONS, ITEMS_NULLABLE
from support.server import Server
from support.workshop import Workshop, unique

# Ends of attributes, elements and texts; templates; a change of direction; letters beyond the first plane; references.
HOSTILE = ("<script>alert(1)</script>\"><img src=x onerror=alert(2)>'-alert(3)-'</textarea></title><b>{{7*7}}${7*7}{% x %}"
           "\u202egnp.\u2066🦊\U0010fffd&lt;i&gt;&amp;javascript:alert(4)//")
# Without what paths of principals and tags refuse.
PRINTABLE = "<script>alert(5)</script>\"><img/src=x/onerror=alert(6)>{{7*7}}&amp;"
# A dollar and a brace would be a variable in a policy.
IN_POLICY = HOSTILE.replace("${7*7}", "")
LONG = "W" * 10_000


class Place:
    """A server whose every free text is hostile."""

    def __init__(self, server):
        self.server = server
        self.workshop = w = Workshop(server.endpoint)
        self.key = w.kms.create_key(Description=HOSTILE)["KeyMetadata"]["KeyId"]
        self.long_key = w.kms.create_key(Description=LONG[:8192])["KeyMetadata"]["KeyId"]
        self.role = unique("hostile")
        trust = {"Version": "2012-10-17", "Statement": [{
            "Sid": "a", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "personalize.amazonaws.com"},
            "Condition": {"StringLike": {"aws:SourceArn": [IN_POLICY, "*"]}}}]}
        created = w.iam.create_role(RoleName=self.role, Path=f"/{PRINTABLE}/", AssumeRolePolicyDocument=json.dumps(trust))
        self.role_arn = created["Role"]["Arn"]
        self.policy = "p" * 128
        document = {"Version": "2012-10-17", "Statement": [allow("s3:*", [
            f"arn:aws:s3:::{w.source}", f"arn:aws:s3:::{w.source}/*", f"arn:aws:s3:::x/{IN_POLICY}"])]}
        w.iam.put_role_policy(RoleName=self.role, PolicyName=self.policy, PolicyDocument=json.dumps(document))
        self._fill_bucket()
        self._make_group()

    def _fill_bucket(self):
        w = self.workshop
        for key in (HOSTILE, f"{HOSTILE}/inner {HOSTILE}.csv", "W" * 1024, " blanks  within ", "tab\there", "?a=b&c#d%41+"):
            w.s3.put_object(Bucket=w.source, Key=key, Body=b"x", ContentType="text/html", Metadata={"m": "<b>"})
        policy = json.loads(w.s3.get_bucket_policy(Bucket=w.source)["Policy"])
        policy["Statement"].append({
            "Sid": "b", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{w.source}/never", "Condition": {"StringEquals": {"aws:UserAgent": IN_POLICY}}})
        w.s3.put_bucket_policy(Bucket=w.source, Policy=json.dumps(policy))

    def _make_group(self):
        w = self.workshop
        self.group = w.make_group(items=ITEMS_NULLABLE, interactions=INTERACTIONS, tracker=True)
        self.name = self.group.arn.rsplit("/", 1)[1]
        quoted = HOSTILE.replace('"', '""')
        good = f'ITEM_ID,PRICE,GENRES,DESCRIPTION\n"{quoted}",1.5,a|b,"{quoted}"\ni2,2,,"{LONG}"\n'
        self.location = w.upload(good, f"{unique('in')}/{HOSTILE}.csv")
        self.good = w.start_import(self.group.items, self.location)
        assert w.wait_import(self.good)["status"] == "ACTIVE", w.wait_import(self.good)
        bad = f'ITEM_ID,PRICE,GENRES,DESCRIPTION\ni1,"{quoted}",a,b\ni2,"{LONG}",a,b\n'
        self.bad = w.start_import(self.group.items, w.upload(bad))
        assert w.wait_import(self.bad)["status"] == "CREATE FAILED"
        w.put_items(self.group.items, (HOSTILE, {"description": HOSTILE}), ("i3", {"description": "nul \x00 within"}))
        w.put_event(self.group.tracking_id, HOSTILE, HOSTILE, HOSTILE, 1_700_000_000)
        self.export = w.start_export(self.group.items, "ALL", path=f"s3://{w.target}/{HOSTILE.replace('//', '')}")
        ended = w.wait_export(self.export)
        assert ended["status"] == "ACTIVE", ended.get("failureReason")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("hostile")).start()
    try:
        yield Place(server)
    finally:
        assert server.stop() == 0, server.tail()


@pytest.fixture(scope="module")
def visitor(browser, place):
    visitor = Visitor(browser, place.server.endpoint, viewport=NARROW).sign_in()
    yield visitor
    visitor.close()


@pytest.fixture(autouse=True)
def unharmed(visitor):
    """Faults belong to the test in which they happened."""
    seen = len(visitor.faults)
    yield
    faults, visitor.faults[seen:] = visitor.faults[seen:], []
    assert not faults, "\n".join(faults)


def last(arn):
    return arn.rsplit("/", 1)[1]


def words(visitor):
    """All that is to be read on a page, in fields, too."""
    return visitor.page.evaluate(
        "[document.body.textContent, ...[...document.querySelectorAll('input, textarea')].map((at) => at.value)].join('\\n')")


def assert_harmless(visitor, *texts):
    found = words(visitor)
    for text in texts:
        assert text in found, f"{text[:200]!r} is not in {found[:6000]!r}"
    assert visitor.page.locator("main img, main b, main i, main script").count() == 0
    assert visitor.overflow() <= 0, f"sticks out by {visitor.overflow()} pixels"


def test_descriptions_of_keys_are_text(visitor, place):
    visitor.go(f"/console/keys/{place.key}")
    assert_harmless(visitor, HOSTILE)
    visitor.go(f"/console/keys/{place.long_key}")
    assert_harmless(visitor, LONG[:8192])
    visitor.go("/console/keys")
    assert_harmless(visitor)


def test_paths_and_policies_of_roles_are_text(visitor, place):
    visitor.go("/console/roles")
    assert_harmless(visitor, PRINTABLE)
    visitor.go(f"/console/roles/{place.role}")
    assert_harmless(visitor, PRINTABLE, place.policy)
    assert "<b>{{7*7}}{% x %}" in words(visitor)
    visitor.go(f"/console/roles/{place.role}/policies/{place.policy}")
    assert_harmless(visitor, "<script>alert(1)</script>")


def test_keys_of_objects_are_text_and_lead_to_the_objects(visitor, place):
    bucket = place.workshop.source
    visitor.go(f"/console/buckets/{bucket}")
    first = HOSTILE.split("/", 1)[0] + "/"
    assert_harmless(visitor, first, "W" * 1024)
    for key in (" blanks  within ", "tab\there", "?a=b&c#d%41+"):
        href = f"/console/buckets/{bucket}/object?key={quote(key, safe='-._~')}"
        link = visitor.page.locator(f'main a[href="{href}"]')
        assert link.count() == 1 and link.evaluate("(at) => at.textContent") == key
    prefix = ""
    for part in HOSTILE.split("/")[:-1]:
        prefix += part + "/"
    visitor.go(f"/console/buckets/{bucket}?prefix={quote(prefix, safe='')}")
    assert_harmless(visitor, prefix)
    visitor.go(f"/console/buckets/{bucket}/delete-object?key={quote(HOSTILE, safe='')}")
    assert_harmless(visitor, HOSTILE)


def test_an_object_with_a_hostile_key_is_saved_and_deleted_by_its_own_link(visitor, place):
    w = place.workshop
    bucket = w.make_bucket("odd")
    w.s3.put_object(Bucket=bucket, Key="\"><script>alert(1)</script>&amp;.html".replace("/", ""),
                    Body=b"<script>alert(7)</script>", ContentType="text/html")
    visitor.go(f"/console/buckets/{bucket}")
    link = visitor.page.locator("main tbody th a")
    assert visitor.download(link) == b"<script>alert(7)</script>"
    visitor.page.locator("main tbody").get_by_text("Delete").click()
    visitor.button("Delete")
    visitor.page.get_by_role("heading", name="Nothing here").wait_for()
    assert "Contents" not in w.s3.list_objects_v2(Bucket=bucket)


def test_policies_of_buckets_are_text(visitor, place):
    visitor.go(f"/console/buckets/{place.workshop.source}/policy")
    assert_harmless(visitor, "<script>alert(1)</script>")
    stored = json.loads(visitor.page.get_by_label("Policy", exact=True).input_value())
    assert stored["Statement"][-1]["Condition"]["StringEquals"]["aws:UserAgent"] == IN_POLICY


def test_places_values_and_failures_of_jobs_are_text(visitor, place):
    for kind, arn, text in [("import", place.good, place.location), ("import", place.bad, "<script>alert(1)</script>"),
                            ("export", place.export, HOSTILE.replace("//", ""))]:
        visitor.go(f"/console/jobs/{kind}/{last(arn)}")
        assert_harmless(visitor, text)


def test_pages_of_a_group_with_hostile_data_are_whole(visitor, place):
    for page in ("", "/datasets/ITEMS", "/datasets/ITEMS/import", "/datasets/ITEMS/export", "/datasets/ITEMS/records",
                 "/datasets/INTERACTIONS/records", "/tags", "/deletions"):
        visitor.go(f"/console/groups/{place.name}{page}")
        assert_harmless(visitor)
    for page in ("import", "export"):
        visitor.go(f"/console/groups/{place.name}/datasets/ITEMS/{page}")
        assert visitor.page.get_by_label("IAM service role").locator(f"option[value={json.dumps(place.role_arn)}]").count() == 1


def test_what_was_refused_comes_back_as_it_was_typed(visitor, place):
    with visitor.expecting("answered 400"):
        visitor.go("/console/groups/create")
        visitor.page.get_by_label("Name", exact=True).evaluate("(at) => at.removeAttribute('maxlength')")
        visitor.fill("Name", HOSTILE)
        visitor.choose("Custom")
        visitor.button("Create dataset group and continue")
        visitor.page.get_by_role("alert").wait_for()
    assert visitor.page.get_by_label("Name", exact=True).input_value() == HOSTILE
    assert_harmless(visitor)
    with visitor.expecting("answered 4"):
        visitor.go(f"/console/groups/{place.name}/datasets/ITEMS/export")
        visitor.fill("Amazon S3 data output path", LONG + HOSTILE)
        visitor.page.get_by_label("KMS key ARN").fill(HOSTILE)
        visitor.button("Create dataset export job")
        visitor.page.get_by_role("alert").wait_for()
    assert visitor.page.get_by_label("Amazon S3 data output path").input_value() == LONG + HOSTILE
    assert_harmless(visitor)
    with visitor.expecting("answered 4"):
        visitor.go(f"/console/groups/{place.name}/datasets/ITEMS/records")
        visitor.fill("Record input", f"[\n{HOSTILE}")
        visitor.button("Create record(s)")
        visitor.page.get_by_role("alert").wait_for()
    assert visitor.page.get_by_label("Record input").input_value() == f"[\n{HOSTILE}"
    assert_harmless(visitor)


@pytest.mark.parametrize("path", ["groups/{}", "groups/{}/datasets/ITEMS", "jobs/export/{}", "jobs/{}/x", "buckets/{}", "roles/{}",
                                  "keys/{}", "{}", "buckets?name={}", "sign-in?next={}", "groups?next={}"])
def test_addresses_made_of_it_are_refused_without_harm(visitor, path):
    address = "/console/" + path.format(quote(HOSTILE, safe=""))
    if "?" in path and "groups" not in path:
        visitor.go(address)
    else:
        with visitor.expecting("answered 4"):
            visitor.go(address)
    assert_harmless(visitor)


def test_a_hostile_key_id_signs_nobody_in(visitors, place):
    visitor = visitors(place.server.endpoint, viewport=NARROW)
    visitor.go("/console/sign-in?next=" + quote(HOSTILE, safe=""))
    visitor.fill("Access key ID", HOSTILE)
    visitor.fill("Secret access key", HOSTILE)
    with visitor.expecting("answered 403"):
        visitor.button("Sign in")
        visitor.page.get_by_role("alert").wait_for()
    assert_harmless(visitor, HOSTILE)


def test_a_user_with_a_hostile_path_is_shown_as_text(visitors, place):
    iam = place.workshop.iam
    name = "u" * 64
    iam.create_user(UserName=name, Path=f"/{PRINTABLE}/")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("*")]}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    visitor = visitors(place.server.endpoint, viewport=NARROW, user_agent=PRINTABLE)
    visitor.sign_in(key["AccessKeyId"], key["SecretAccessKey"])
    assert_harmless(visitor, name)
