"""Temporary keys: roles that users assume, session policies, tokens on every door, and one's own keys for a while."""

import json
import time
import urllib.error
import urllib.request

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.clients import Clients, aws, aws_json
from support.policies import allow, deny
from support.schemas import INTERACTIONS
from support.workshop import Workshop, unique

ACCOUNT = "000000000000"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def trusting(principal, **condition):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    statement |= {"Condition": condition} if condition else {}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def name_of(role):
    return role.rsplit("/", 1)[1]


def make_role(workshop, trust, *statements):
    return workshop.make_role("assumed", "", trust=trust, policy=document(*statements) if statements else "")


def assumed(user, role, endpoint=None, **more):
    """The clients of a session of a role that a user assumed; they know the keys and the ARN."""
    more = {"RoleSessionName": "nightly", **more}
    answer = user.sts.assume_role(RoleArn=role, **more)
    session = bearer(endpoint or user.endpoint, answer["Credentials"])
    session.answer, session.arn = answer, answer["AssumedRoleUser"]["Arn"]
    return session


def bearer(endpoint, keys):
    clients = Clients(endpoint, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    clients.keys = keys
    return clients


class TestAssumeRole:
    def test_a_session_says_who_it_is_and_until_when(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn))
        before = time.time()
        session = assumed(user, role, DurationSeconds=900)
        role_id = workshop.iam.get_role(RoleName=name_of(role))["Role"]["RoleId"]
        assert session.answer["AssumedRoleUser"] == {
            "AssumedRoleId": f"{role_id}:nightly",
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name_of(role)}/nightly",
        }
        assert before + 898 < session.keys["Expiration"].timestamp() <= time.time() + 900
        assert session.keys["AccessKeyId"].startswith("ASIA")
        identity = session.sts.get_caller_identity()
        assert (identity["Arn"], identity["UserId"]) == (session.arn, f"{role_id}:nightly")

    def test_a_session_puts_events_and_reads_and_writes_s3(self, workshop):
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        bucket = workshop.make_bucket("session", policy="")
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow(["personalize:PutEvents", "personalize:ListSchemas"]),
                         allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*"))
        session = assumed(user, role)
        event = {"eventType": "click", "sentAt": 1, "itemId": "i1"}
        session.events.put_events(trackingId=group.tracking_id, sessionId="s", userId="u", eventList=[event])
        assert len(workshop.export(group.interactions, "PUT").rows) == 1
        session.s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 100_000)
        assert session.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x" * 100_000
        session.personalize.list_schemas()
        code, message, _ = refused(lambda: session.personalize.list_datasets())
        assert code == "AccessDeniedException" and message.startswith(f"User: {session.arn} is not authorized")
        assert refused(lambda: session.s3.delete_object(Bucket=bucket, Key="k"))[0] == "AccessDenied"
        assert refused(session.iam.list_users)[0] == "AccessDenied"
        assert refused(session.kms.list_keys)[0] == "AccessDeniedException"

    def test_a_session_may_administer_where_its_role_may(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow("iam:*"), allow("kms:*"), allow("s3:ListAllMyBuckets"))
        session = assumed(user, role)
        session.iam.list_users()
        key = session.kms.create_key()["KeyMetadata"]["KeyId"]
        sealed = session.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
        assert session.kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"text"
        session.s3.list_buckets()
        code, message, _ = refused(session.iam.create_access_key)
        assert (code, message) == ("ValidationError", "Must specify userName when calling with non-User credentials")

    def test_trust_is_asked_for_user_account_role_and_session(self, workshop):
        user = workshop.make_user("caller")
        other = make_role(workshop, trusting(workshop.make_user("other").arn))
        code, message, status = refused(lambda: assumed(user, other))
        assert (code, status) == ("AccessDenied", 403)
        assert message.startswith(f"User: {user.arn} is not authorized to perform: sts:AssumeRole on resource: {other}")
        missing = refused(lambda: assumed(user, other + "x"))
        assert (missing[0], missing[1].replace(other + "x", other)) == (code, message)
        by_account = make_role(workshop, trusting(ROOT), allow("sts:AssumeRole"))
        assert refused(lambda: assumed(user, by_account))[0] == "AccessDenied"
        workshop.set_policy(user, allow("sts:AssumeRole", by_account))
        session = assumed(user, by_account)
        by_role = make_role(workshop, trusting(by_account))
        by_session = make_role(workshop, trusting(session.arn))
        for role in (by_role, by_session):
            assert refused(lambda: assumed(user, role))[0] == "AccessDenied"
            assert assumed(session, role).sts.get_caller_identity()["Arn"].endswith(f"{name_of(role)}/nightly")
        workshop.set_policy(user, allow("sts:AssumeRole"), deny("sts:AssumeRole", by_account))
        assert refused(lambda: assumed(user, by_account))[0] == "AccessDenied"

    def test_the_root_assumes_no_role(self, workshop):
        role = make_role(workshop, trusting(ROOT))
        assert refused(lambda: assumed(workshop, role))[:2] == (
            "AccessDenied", "Roles may not be assumed by root accounts.")

    def test_conditions_of_trust_see_the_request(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn, StringEquals={"sts:ExternalId": "partner/1"}))
        assert refused(lambda: assumed(user, role))[0] == "AccessDenied"
        assert refused(lambda: assumed(user, role, ExternalId="partner/2"))[0] == "AccessDenied"
        assumed(user, role, ExternalId="partner/1")
        role = make_role(workshop, trusting(user.arn, StringLike={"sts:RoleSessionName": "ann-*"}))
        assert refused(lambda: assumed(user, role))[0] == "AccessDenied"
        assumed(user, role, RoleSessionName="ann-1")
        role = make_role(workshop, trusting(user.arn, StringEquals={"aws:RequestTag/team": "shop"}))
        assert refused(lambda: assumed(user, role, Tags=[{"Key": "team", "Value": "ops"}]))[0] == "AccessDenied"
        assumed(user, role, Tags=[{"Key": "team", "Value": "shop"}])

    def test_durations_have_limits(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting([user.arn, ROOT]), allow("sts:AssumeRole"))
        for seconds in (3601, 43_201):
            code, message, status = refused(lambda: assumed(user, role, DurationSeconds=seconds))
            assert (code, status) == ("ValidationError", 400) and "uration" in message
        workshop.iam.update_role(RoleName=name_of(role), MaxSessionDuration=7200)
        session = assumed(user, role, DurationSeconds=7200)
        workshop.iam.update_assume_role_policy(RoleName=name_of(role), PolicyDocument=trusting(ROOT))
        code, message, _ = refused(lambda: assumed(session, role, DurationSeconds=3601))
        assert code == "ValidationError" and "role chaining" in message
        assumed(session, role, DurationSeconds=3600)

    def test_members_are_checked(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn))
        for wrong in ({"RoleSessionName": "a/b"}, {"ExternalId": "no spaces"}, {"RoleArn": f"{user.arn}-of-a-user"},
                      {"PolicyArns": [{"arn": f"arn:aws:iam::{ACCOUNT}:policy/p{n}"} for n in range(11)]}):
            call = {"RoleArn": role, "RoleSessionName": "nightly", **wrong}
            assert refused(lambda: user.sts.assume_role(**call))[::2] == ("ValidationError", 400), wrong
        bad = lambda: assumed(user, role, Policy='{"Statement": []}')
        assert refused(bad)[::2] == ("MalformedPolicyDocument", 400)
        for not_offered in ({"SourceIdentity": "ann"}, {"SerialNumber": "GAHT12345678", "TokenCode": "123456"}):
            assert "is not offered" in refused(lambda: assumed(user, role, **not_offered))[1]


@pytest.fixture(scope="module")
def bucket(workshop):
    bucket = workshop.make_bucket("narrow", policy="")
    for key in ("a", "b"):
        workshop.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    return bucket


class TestSessionPolicies:
    def test_they_narrow_and_never_widen(self, workshop, bucket):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
        session = assumed(user, role, Policy=document(allow("s3:*", f"arn:aws:s3:::{bucket}/a")))
        assert session.answer["PackedPolicySize"] >= 1
        assert session.s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
        code, message, _ = refused(lambda: session.s3.get_object(Bucket=bucket, Key="b"))
        assert code == "AccessDenied" and message.endswith("because no session policy allows the s3:GetObject action")
        assert refused(lambda: session.s3.put_object(Bucket=bucket, Key="a", Body=b"y"))[0] == "AccessDenied"
        session = assumed(user, role, Policy=document(allow("*"), deny("s3:GetObject", f"arn:aws:s3:::{bucket}/a")))
        assert "explicit deny in a session policy" in refused(lambda: session.s3.get_object(Bucket=bucket, Key="a"))[1]
        session.s3.get_object(Bucket=bucket, Key="b")

    def test_managed_policies_narrow_as_they_are_by_now(self, workshop, bucket):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow("*"))
        policy = workshop.iam.create_policy(
            PolicyName=unique("p"), PolicyDocument=document(allow("s3:GetObject")))["Policy"]["Arn"]
        session = assumed(user, role, PolicyArns=[{"arn": policy}])
        get = lambda: session.s3.get_object(Bucket=bucket, Key="a")
        get()
        assert refused(session.iam.list_users)[0] == "AccessDenied"
        workshop.iam.create_policy_version(
            PolicyArn=policy, PolicyDocument=document(allow("iam:ListUsers")), SetAsDefault=True)
        session.iam.list_users()
        assert refused(get)[0] == "AccessDenied"
        missing = lambda: assumed(user, role, PolicyArns=[{"arn": policy + "x"}])
        assert refused(missing)[0] == "NoSuchEntity"

    def test_a_bucket_policy_may_name_the_role_or_the_session(self, workshop, bucket):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn))
        session = assumed(user, role)
        narrowed = assumed(user, role, RoleSessionName="narrowed", Policy=document(allow("iam:*")))
        def open_to(principal, effect="Allow"):
            statement = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Principal": {"AWS": principal}}
            workshop.s3.put_bucket_policy(Bucket=bucket, Policy=document({**statement, "Effect": effect}))
        get = lambda clients: clients.s3.get_object(Bucket=bucket, Key="a")
        try:
            open_to(ROOT)
            assert refused(lambda: get(session))[0] == "AccessDenied"
            open_to(role)
            get(session)
            assert refused(lambda: get(narrowed))[0] == "AccessDenied"
            open_to([session.arn, narrowed.arn])
            get(session), get(narrowed)
            open_to(f"{session.arn}x")
            assert refused(lambda: get(session))[0] == "AccessDenied"
            workshop.iam.put_role_policy(RoleName=name_of(role), PolicyName="p", PolicyDocument=document(allow("s3:*")))
            get(session)
            open_to(session.arn, "Deny")
            assert "explicit deny in a resource-based policy" in refused(lambda: get(session))[1]
        finally:
            workshop.s3.delete_bucket_policy(Bucket=bucket)


class TestTags:
    def test_tags_of_role_and_session_are_the_principal_s(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn),
                         allow("personalize:ListSchemas", StringEquals={"aws:PrincipalTag/team": "shop"}))
        session = assumed(user, role)
        assert refused(session.personalize.list_schemas)[0] == "AccessDeniedException"
        workshop.iam.tag_role(RoleName=name_of(role), Tags=[{"Key": "Team", "Value": "shop"}])
        session.personalize.list_schemas()
        other = assumed(user, role, Tags=[{"Key": "team", "Value": "ops"}])
        assert refused(other.personalize.list_schemas)[0] == "AccessDeniedException"
        workshop.iam.untag_role(RoleName=name_of(role), TagKeys=["team"])
        assert refused(session.personalize.list_schemas)[0] == "AccessDeniedException"

    def test_tags_need_their_permission(self, workshop):
        user = workshop.make_user("caller")
        trust = json.loads(trusting(user.arn))
        trust["Statement"]["Action"] = "sts:AssumeRole"
        role = make_role(workshop, json.dumps(trust))
        tagged = lambda: assumed(user, role, Tags=[{"Key": "a", "Value": "b"}])
        assert "sts:TagSession" in refused(tagged)[1]


class TestTheEnd:
    def test_deleted_policies_and_roles_stop_a_session_at_once(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow("*"))
        session = assumed(user, role)
        session.personalize.list_schemas()
        workshop.iam.delete_role_policy(RoleName=name_of(role), PolicyName="bucket-access")
        assert refused(session.personalize.list_schemas)[0] == "AccessDeniedException"
        workshop.iam.delete_role(RoleName=name_of(role))
        self.check_dead(session)
        workshop.iam.create_role(RoleName=name_of(role), AssumeRolePolicyDocument=trusting(user.arn))
        self.check_dead(session)

    def check_dead(self, session):
        event = {"eventType": "e", "sentAt": 1}
        put = lambda: session.events.put_events(trackingId="t", sessionId="s", eventList=[event])
        for code, status, call in (
            ("UnrecognizedClientException", 400, session.personalize.list_schemas),
            ("UnrecognizedClientException", 403, put),
            ("UnrecognizedClientException", 400, session.kms.list_keys),
            ("InvalidClientTokenId", 403, session.iam.list_users),
            ("InvalidClientTokenId", 403, session.sts.get_caller_identity),
            ("InvalidToken", 400, session.s3.list_buckets),
        ):
            assert refused(call)[::2] == (code, status)

    def test_sessions_can_be_revoked_by_their_age(self, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow("personalize:*"))
        session = assumed(user, role)
        session.personalize.list_schemas()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        revoke = deny("*", DateLessThan={"aws:TokenIssueTime": now})
        workshop.iam.put_role_policy(RoleName=name_of(role), PolicyName="revoke", PolicyDocument=document(revoke))
        assert refused(session.personalize.list_schemas)[0] == "AccessDeniedException"

    def test_sessions_outlive_a_restart_and_no_file_holds_their_secrets(self, own_server):
        workshop = Workshop(own_server.endpoint)
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow("*"))
        keys = assumed(user, role).keys
        own_server.restart()
        session = bearer(own_server.endpoint, keys)
        session.personalize.list_schemas(), session.s3.list_buckets(), session.iam.list_users()
        log = (own_server.folder / "stderr").read_text()
        assert keys["SecretAccessKey"] not in log and keys["SessionToken"] not in log

    def test_a_presigned_address_bears_the_token(self, workshop):
        bucket = workshop.make_bucket("presigned", policy="")
        workshop.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn), allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
        s3 = assumed(user, role).client("s3", config=Config(signature_version="s3v4"))
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert "X-Amz-Security-Token" in url and opener.open(url).read() == b"x"
        workshop.iam.delete_role_policy(RoleName=name_of(role), PolicyName="bucket-access")
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(url)
        assert caught.value.code == 403


class TestSessionToken:
    def test_a_user_acts_as_itself_for_a_while(self, workshop):
        user = workshop.make_user("caller", allow("*"))
        temporary = bearer(workshop.endpoint, user.sts.get_session_token(DurationSeconds=900)["Credentials"])
        assert temporary.sts.get_caller_identity()["Arn"] == user.arn
        temporary.personalize.list_schemas(), temporary.s3.list_buckets()
        assert refused(temporary.iam.list_users)[::2] == ("InvalidClientTokenId", 403)
        assert refused(temporary.sts.get_session_token)[::2] == ("AccessDenied", 403)
        role = make_role(workshop, trusting(user.arn))
        assumed(temporary, role)
        with_long = Clients(workshop.endpoint, temporary.keys["AccessKeyId"], temporary.keys["SecretAccessKey"])
        assert refused(with_long.personalize.list_schemas)[0] == "UnrecognizedClientException"
        workshop.iam.delete_access_key(UserName=user.name, AccessKeyId=user.key)
        workshop.iam.delete_user_policy(UserName=user.name, PolicyName="p")
        workshop.iam.delete_user(UserName=user.name)
        assert refused(temporary.sts.get_caller_identity)[0] == "InvalidClientTokenId"

    def test_the_root_has_temporary_keys_too(self, workshop):
        temporary = bearer(workshop.endpoint, workshop.sts.get_session_token()["Credentials"])
        assert temporary.sts.get_caller_identity()["Arn"] == ROOT
        temporary.s3.list_buckets()


class TestCommandLine:
    def test_a_profile_with_a_role_and_a_source_profile_works(self, server, workshop, tmp_path):
        bucket = workshop.make_bucket("profile", policy="")
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn, StringEquals={"sts:ExternalId": "e-1"}),
                         allow("s3:*", [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]),
                         allow("personalize:List*"))
        secret = user.session.get_credentials().secret_key
        config = tmp_path / "config"
        config.write_text(
            f"[profile base]\naws_access_key_id = {user.key}\naws_secret_access_key = {secret}\nregion = us-east-1\n"
            f"[profile worker]\nrole_arn = {role}\nsource_profile = base\nexternal_id = e-1\n"
            f"role_session_name = cli\nregion = us-east-1\n")
        env = {**server.client_environment(), "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "worker",
               "HOME": str(tmp_path)}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            env.pop(name)
        identity = aws_json(server, "sts", "get-caller-identity", env=env)
        assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name_of(role)}/cli"
        (tmp_path / "items.csv").write_text("ITEM_ID\ni1\n")
        aws(server, "s3", "cp", str(tmp_path / "items.csv"), f"s3://{bucket}/items.csv", env=env)
        aws(server, "s3", "cp", f"s3://{bucket}/items.csv", str(tmp_path / "back.csv"), env=env)
        assert (tmp_path / "back.csv").read_text() == "ITEM_ID\ni1\n"
        assert "schemas" in aws_json(server, "personalize", "list-schemas", env=env)
        denied = aws(server, "iam", "list-users", env=env, check=False)
        assert denied.returncode != 0 and "AccessDenied" in denied.stderr

    def test_the_cli_hands_out_keys(self, server, workshop):
        user = workshop.make_user("caller")
        role = make_role(workshop, trusting(user.arn))
        env = {**server.client_environment(), "AWS_ACCESS_KEY_ID": user.key,
               "AWS_SECRET_ACCESS_KEY": user.session.get_credentials().secret_key}
        keys = aws_json(server, "sts", "assume-role", "--role-arn", role, "--role-session-name", "cli",
                        "--duration-seconds", "900", env=env)["Credentials"]
        env |= {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
                "AWS_SESSION_TOKEN": keys["SessionToken"]}
        assert aws_json(server, "sts", "get-caller-identity", env=env)["Arn"].endswith(f"/{name_of(role)}/cli")
