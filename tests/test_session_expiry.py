"""Temporary keys end when their time is up, at every door, and whatever way a request bears them."""

import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest
from botocore import auth
from botocore.client import Config
from botocore.exceptions import ClientError

from support.clients import Clients
from support.faults import Faults
from support.policies import allow
from support.server import Server
from support.workshop import Workshop
from test_sts import assumed, bearer, make_role, trusting

LIFE_S = 900
# So long before the end and so long after: calls take their time.
MARGIN_S = 30

# What each door's protocol calls it, and with which status.
DOORS = {
    "personalize": (lambda one: one.personalize.list_schemas(), "ExpiredTokenException", 400),
    "events": (lambda one: one.events.put_events(
        trackingId="t", sessionId="s", userId="u", eventList=[{"eventType": "e", "sentAt": 1}]), "ExpiredTokenException", 403),
    "s3": (lambda one: one.s3.list_buckets(), "ExpiredToken", 400),
    "iam": (lambda one: one.iam.list_users(), "ExpiredToken", 403),
    "sts": (lambda one: one.sts.get_caller_identity(), "ExpiredToken", 403),
    "kms": (lambda one: one.kms.list_keys(), "ExpiredTokenException", 400),
}


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """A clock for a server and the clients that sign for it, to be set forward."""
    clock = Faults(tmp_path_factory.mktemp("clock"))
    clock.offset_s = 0
    patch = pytest.MonkeyPatch()

    def now(remove_tzinfo=True):
        found = datetime.now(timezone.utc) + timedelta(seconds=clock.offset_s)
        return found.replace(tzinfo=None) if remove_tzinfo else found

    patch.setattr(auth, "get_current_datetime", now)
    yield clock
    patch.undo()


@pytest.fixture(scope="module")
def server(clock, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("expiring") / "own", env=clock.env).start()
    yield server
    server.kill()


def set_clock(clock, offset_s):
    clock.offset_s = offset_s
    clock.shift_clock(offset_s)


def outcome(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def status_of(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(url).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_temporary_keys_end_at_every_door_and_the_standing_ones_do_not(clock, server):
    workshop = Workshop(server.endpoint)
    user = workshop.make_user("caller", allow("*"))
    session = assumed(user, make_role(workshop, trusting(user.arn), allow("*")), DurationSeconds=LIFE_S)
    own = bearer(server.endpoint, user.sts.get_session_token(DurationSeconds=LIFE_S)["Credentials"])
    bucket = workshop.make_bucket("expiring", policy="")
    workshop.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3 = session.client("s3", config=Config(signature_version="s3v4"))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=24 * 3600)

    set_clock(clock, LIFE_S - MARGIN_S)
    for door, (call, *_) in DOORS.items():
        assert outcome(lambda: call(session)) in (None, ("InvalidInputException", 400)), door
        # Of oneself such keys open nothing of IAM.
        assert outcome(lambda: call(own)) in (None, ("InvalidInputException", 400), ("InvalidClientTokenId", 403)), door
    assert status_of(url)[0] == 200
    assert outcome(session.sts.get_caller_identity) is None

    # The address itself is good for a day; its keys are not.
    set_clock(clock, LIFE_S + MARGIN_S)
    for door, (call, code, status) in DOORS.items():
        for who in (session, own):
            assert outcome(lambda: call(who)) == (code, status), door
    status, text = status_of(url)
    assert (status, "<Code>ExpiredToken</Code>" in text) == (400, True), text
    for door, (call, *_) in DOORS.items():
        assert outcome(lambda: call(user)) in (None, ("InvalidInputException", 400)), door
    again = assumed(user, make_role(workshop, trusting(user.arn), allow("*")), DurationSeconds=LIFE_S)
    assert outcome(again.sts.get_caller_identity) is None
    set_clock(clock, 0)


def test_an_expired_token_says_no_more_than_that_to_who_lacks_its_secret(clock, server):
    """Whoever has the token without its secret gets no further than with any other wrong signature."""
    workshop = Workshop(server.endpoint)
    user = workshop.make_user("caller", allow("*"))
    keys = user.sts.get_session_token(DurationSeconds=LIFE_S)["Credentials"]
    stolen = Clients(server.endpoint, keys["AccessKeyId"], "x" * 40, keys["SessionToken"])
    assert outcome(stolen.personalize.list_schemas)[0] == "InvalidSignatureException"
    set_clock(clock, LIFE_S + MARGIN_S)
    assert outcome(stolen.personalize.list_schemas)[0] == "ExpiredTokenException"
    set_clock(clock, 0)
