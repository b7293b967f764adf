"""Users, their access keys and their policies as callers of every door."""

import json
import re
import time
import stat
import threading
import urllib.error
import urllib.request

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.catalog import is_on_postgres
from support.clients import Clients, aws_json
from support.policies import allow, bucket_policy, deny
from support.schemas import INTERACTIONS, ITEMS
from support.workshop import Workshop, unique


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


class TestUsers:
    def test_a_user_can_be_made_found_and_deleted(self, workshop):
        name = unique("user")
        made = workshop.iam.create_user(UserName=name, Path="/ops/", Tags=[{"Key": "team", "Value": "shop"}])["User"]
        assert made["Arn"] == f"arn:aws:iam::000000000000:user/ops/{name}"
        assert re.fullmatch(r"AIDA[A-Z2-7]{17}", made["UserId"])
        found = workshop.iam.get_user(UserName=name)["User"]
        assert found == made and found["Tags"] == [{"Key": "team", "Value": "shop"}]
        listed = workshop.iam.list_users(PathPrefix="/ops/")["Users"]
        assert [user["Arn"] for user in listed if user["UserName"] == name] == [made["Arn"]]
        again = lambda: workshop.iam.create_user(UserName=name.upper())
        assert refused(again)[::2] == ("EntityAlreadyExists", 409)
        workshop.iam.delete_user(UserName=name)
        for gone in (workshop.iam.get_user, workshop.iam.delete_user, workshop.iam.create_access_key):
            assert refused(lambda: gone(UserName=name))[::2] == ("NoSuchEntity", 404)

    def test_users_are_listed_in_pages(self, workshop):
        path = f"/{unique('page')}/"
        names = sorted(unique("user") for _ in range(5))
        for name in names:
            workshop.iam.create_user(UserName=name, Path=path)
        pages = workshop.iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
        assert [[user["UserName"] for user in page["Users"]] for page in pages] == [names[:2], names[2:4], names[4:]]

    def test_a_user_is_deleted_last(self, workshop):
        user = workshop.make_user("last", allow("s3:*"))
        arn = workshop.iam.create_policy(PolicyName=unique("p"), PolicyDocument=bucketless())["Policy"]["Arn"]
        workshop.iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        who = {"UserName": user.name}
        for undo in (
            lambda: workshop.iam.delete_access_key(AccessKeyId=user.key, **who),
            lambda: workshop.iam.delete_user_policy(PolicyName="p", **who),
            lambda: workshop.iam.detach_user_policy(PolicyArn=arn, **who),
        ):
            assert refused(lambda: workshop.iam.delete_user(**who))[::2] == ("DeleteConflict", 409)
            undo()
        workshop.iam.delete_user(**who)

    def test_policies_of_a_user_round_trip(self, workshop):
        user = workshop.make_user("policies", allow("s3:*"))
        who = {"UserName": user.name}
        got = workshop.iam.get_user_policy(PolicyName="p", **who)["PolicyDocument"]
        assert got["Statement"] == [allow("s3:*")]
        assert workshop.iam.list_user_policies(**who)["PolicyNames"] == ["p"]
        name = unique("managed")
        arn = workshop.iam.create_policy(PolicyName=name, PolicyDocument=bucketless())["Policy"]["Arn"]
        role = workshop.make_role("both", "b")
        workshop.iam.attach_user_policy(PolicyArn=arn, **who)
        workshop.iam.attach_role_policy(PolicyArn=arn, RoleName=role.rsplit("/")[-1])
        attached = workshop.iam.list_attached_user_policies(**who)["AttachedPolicies"]
        assert attached == [{"PolicyName": name, "PolicyArn": arn}]
        assert workshop.iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 2
        pages = workshop.iam.get_paginator("list_entities_for_policy")
        pages = list(pages.paginate(PolicyArn=arn, PaginationConfig={"PageSize": 1}))
        assert [e["UserName"] for page in pages for e in page["PolicyUsers"]] == [user.name]
        assert [e["RoleName"] for page in pages for e in page["PolicyRoles"]] == [role.rsplit("/")[-1]]
        only = workshop.iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="User")
        assert (len(only["PolicyUsers"]), only["PolicyRoles"]) == (1, [])
        assert refused(lambda: workshop.iam.delete_policy(PolicyArn=arn))[0] == "DeleteConflict"
        long = json.dumps({"Statement": allow("s3:*", f"arn:aws:s3:::b/{'k' * 2048}")})
        put = lambda: workshop.iam.put_user_policy(PolicyName="long", PolicyDocument=long, **who)
        assert refused(put)[::2] == ("LimitExceeded", 409)

    def test_the_cli_makes_a_user_that_can_call(self, server, workshop):
        name = unique("cli-user")
        aws_json(server, "iam", "create-user", "--user-name", name)
        key = aws_json(server, "iam", "create-access-key", "--user-name", name)["AccessKey"]
        env = {**server.client_environment(), "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
               "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        assert aws_json(server, "sts", "get-caller-identity", env=env)["Arn"].endswith(f":user/{name}")


def bucketless():
    return json.dumps({"Version": "2012-10-17", "Statement": allow("s3:ListAllMyBuckets")})


class TestAccessKeys:
    def test_a_key_says_who_bears_it(self, workshop):
        user = workshop.make_user("who")
        identity = user.sts.get_caller_identity()
        assert identity["Arn"] == user.arn and identity["Account"] == "000000000000"
        assert identity["UserId"] == workshop.iam.get_user(UserName=user.name)["User"]["UserId"]
        assert re.fullmatch(r"AKIA[A-Z2-7]{16}", user.key)

    def test_a_user_has_two_keys_and_secrets_are_told_once(self, workshop):
        user = workshop.make_user("two")
        more = workshop.iam.create_access_key(UserName=user.name)["AccessKey"]
        assert Clients(workshop.endpoint, more["AccessKeyId"], more["SecretAccessKey"]).sts.get_caller_identity()
        third = lambda: workshop.iam.create_access_key(UserName=user.name)
        assert refused(third)[::2] == ("LimitExceeded", 409)
        listed = workshop.iam.list_access_keys(UserName=user.name)
        assert {key["AccessKeyId"] for key in listed["AccessKeyMetadata"]} == {user.key, more["AccessKeyId"]}
        assert more["SecretAccessKey"] not in json.dumps(listed, default=str)

    def test_a_key_says_when_and_for_what_it_was_last_used(self, own_server):
        root = Clients(own_server.endpoint)
        root.iam.create_user(UserName="used")
        root.iam.put_user_policy(UserName="used", PolicyName="p", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": allow("s3:*")}))
        key = root.iam.create_access_key(UserName="used")["AccessKey"]
        last = lambda: Clients(own_server.endpoint).iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
        assert last()["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
        clients = lambda secret: Clients(own_server.endpoint, key["AccessKeyId"], secret)
        # Whoever has the id alone has not used the key.
        assert refused(clients("x" * 40).s3.list_buckets)[0] == "SignatureDoesNotMatch"
        assert "LastUsedDate" not in last()["AccessKeyLastUsed"]
        before = time.time()
        for service, call in (("s3", lambda one: one.s3.list_buckets()), ("sts", lambda one: one.sts.get_caller_identity())):
            call(clients(key["SecretAccessKey"]))
            deadline = time.monotonic() + 20
            while (found := last())["AccessKeyLastUsed"]["ServiceName"] != service:
                assert time.monotonic() < deadline, found
            assert found["UserName"] == "used" and found["AccessKeyLastUsed"]["Region"] == "us-east-1"
            assert before - 1 <= found["AccessKeyLastUsed"]["LastUsedDate"].timestamp() <= time.time() + 1
        own_server.restart()
        assert last()["AccessKeyLastUsed"]["ServiceName"] == "sts"
        root = Clients(own_server.endpoint)
        root.iam.delete_access_key(UserName="used", AccessKeyId=key["AccessKeyId"])
        assert refused(last)[::2] == ("NoSuchEntity", 404)

    def test_an_inactive_or_deleted_key_stops_at_once(self, workshop):
        user = workshop.make_user("stopped", allow("*"))
        key = {"UserName": user.name, "AccessKeyId": user.key}
        calls = {
            "UnrecognizedClientException": lambda: user.personalize.list_schemas(),
            "InvalidClientTokenId": lambda: user.iam.list_users(),
            "InvalidAccessKeyId": lambda: user.s3.list_buckets(),
        }
        for call in calls.values():
            call()
        workshop.iam.update_access_key(Status="Inactive", **key)
        for code, call in calls.items():
            assert refused(call)[0] == code
        put = lambda: user.events.put_events(trackingId="t", sessionId="s", eventList=[{"eventType": "e", "sentAt": 1}])
        assert refused(put)[::2] == ("UnrecognizedClientException", 403)
        workshop.iam.update_access_key(Status="Active", **key)
        user.personalize.list_schemas()
        workshop.iam.delete_access_key(**key)
        assert refused(calls["UnrecognizedClientException"])[0] == "UnrecognizedClientException"
        assert refused(lambda: workshop.iam.update_access_key(Status="Active", **key))[0] == "NoSuchEntity"

    def test_a_user_turns_its_own_key_over(self, workshop):
        own = "arn:aws:iam::000000000000:user/${aws:username}"
        user = workshop.make_user("turns", allow(["iam:*AccessKey*", "iam:GetUser"], own))
        assert user.iam.get_user()["User"]["Arn"] == user.arn
        assert [key["AccessKeyId"] for key in user.iam.list_access_keys()["AccessKeyMetadata"]] == [user.key]
        new = user.iam.create_access_key()["AccessKey"]
        user.iam.delete_access_key(AccessKeyId=user.key)
        again = Clients(workshop.endpoint, new["AccessKeyId"], new["SecretAccessKey"])
        assert again.sts.get_caller_identity()["Arn"] == user.arn
        other = workshop.make_user("other")
        assert refused(lambda: again.iam.create_access_key(UserName=other.name))[0] == "AccessDenied"
        taken = lambda: again.iam.delete_access_key(AccessKeyId=other.key)
        assert refused(taken)[0] == "NoSuchEntity"

    def test_the_root_names_whose_key_it_means(self, workshop):
        for call in (workshop.iam.create_access_key, workshop.iam.list_access_keys):
            assert refused(call)[0] == "ValidationError"
        assert workshop.iam.get_user()["User"]["Arn"] == "arn:aws:iam::000000000000:root"

    def test_keys_outlive_a_restart_and_no_file_shows_them_to_others(self, own_server):
        workshop = Workshop(own_server.endpoint)
        user, stopped = workshop.make_user("stays"), workshop.make_user("stopped")
        workshop.iam.update_access_key(UserName=stopped.name, AccessKeyId=stopped.key, Status="Inactive")
        secrets = [clients.session.get_credentials().secret_key for clients in (user, stopped)]
        own_server.restart()
        at = lambda one, secret: Clients(own_server.endpoint, one.key, secret).sts.get_caller_identity()
        assert at(user, secrets[0])["Arn"] == user.arn
        assert refused(lambda: at(stopped, secrets[1]))[0] == "InvalidClientTokenId"
        files = list(own_server.data_dir.glob("catalog.db*"))
        assert (files or is_on_postgres()) and all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
        assert stat.S_IMODE(own_server.data_dir.stat().st_mode) == 0o700
        log = (own_server.folder / "stderr").read_text()
        assert not any(secret in log for secret in secrets)

    def test_keys_changed_at_the_same_time_end_as_the_last_change_said(self, workshop):
        user = workshop.make_user("hasty")
        key = {"UserName": user.name, "AccessKeyId": user.key}
        change = lambda n: workshop.iam.update_access_key(Status="Active" if n % 2 else "Inactive", **key)
        threads = [threading.Thread(target=change, args=(n,)) for n in range(16)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        [shown] = workshop.iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]
        if shown["Status"] == "Active":
            user.sts.get_caller_identity()
        else:
            assert refused(user.sts.get_caller_identity)[0] == "InvalidClientTokenId"


class TestPersonalize:
    def test_a_user_without_a_policy_may_nothing(self, workshop):
        user = workshop.make_user("nobody")
        code, message, status = refused(lambda: user.personalize.list_datasets())
        assert (code, status) == ("AccessDeniedException", 400)
        assert message == f"User: {user.arn} is not authorized to perform: personalize:ListDatasets on resource: *"

    def test_a_denial_does_not_tell_what_exists(self, workshop):
        arn, user = workshop.make_group().arn, workshop.make_user("blind")
        there, nowhere = (refused(lambda: user.personalize.describe_dataset_group(datasetGroupArn=one))
                          for one in (arn, arn + "x"))
        assert there[0] == nowhere[0] == "AccessDeniedException"
        assert there[1].replace(arn, "?") == nowhere[1].replace(arn + "x", "?")

    def test_puts_need_their_permission(self, workshop):
        group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
        user = workshop.make_user("putter", allow("personalize:PutEvents"), allow("personalize:PutItems", group.items))
        event = {"eventType": "click", "sentAt": 1, "itemId": "i1"}
        put = {"trackingId": group.tracking_id, "sessionId": "s", "userId": "u", "eventList": [event]}
        items = {"datasetArn": group.items, "items": [{"itemId": "i1", "properties": '{"price": 1, "categoryL1": "A"}'}]}
        user.events.put_events(**put), user.events.put_items(**items)
        workshop.set_policy(user, allow("personalize:*", "arn:aws:personalize:us-east-1:000000000000:schema/*"))
        for action, call in (("PutEvents", lambda: user.events.put_events(**put)),
                             ("PutItems", lambda: user.events.put_items(**items))):
            code, message, status = refused(call)
            assert (code, status) == ("AccessDeniedException", 403) and f"personalize:{action}" in message

    def test_a_job_needs_pass_role(self, workshop):
        items = workshop.make_group(items=ITEMS).items
        user = workshop.make_user("passer", allow("personalize:*"))
        arguments = {"jobName": unique("job"), "datasetArn": items, "roleArn": workshop.export_role,
                     "jobOutput": {"s3DataDestination": {"path": f"s3://{workshop.target}/out"}}}
        start = lambda: user.personalize.create_dataset_export_job(**arguments)
        code, message, _ = refused(start)
        assert code == "AccessDeniedException"
        assert message == (f"User: {user.arn} is not authorized to perform: iam:PassRole on resource: "
                           f"{workshop.export_role}")
        workshop.set_policy(user, allow("personalize:*"), allow("iam:PassRole", workshop.export_role))
        workshop.wait_export(start()["datasetExportJobArn"])

    def test_tags_at_creation_need_their_permission(self, workshop):
        user = workshop.make_user("tagger", allow("personalize:CreateDatasetGroup"))
        make = lambda: user.personalize.create_dataset_group(name=unique("g"), tags=[{"tagKey": "a", "tagValue": "b"}])
        assert "personalize:TagResource" in refused(make)[1]
        workshop.set_policy(user, allow(["personalize:CreateDatasetGroup", "personalize:TagResource"]))
        make()


@pytest.fixture(scope="module")
def bucket(workshop):
    bucket = workshop.make_bucket("users", policy="")
    workshop.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    return bucket


@pytest.fixture
def policy(workshop, bucket):
    """Sets the bucket's policy: an effect for a principal to read its objects."""
    def put(effect, principal):
        document = json.loads(bucket_policy(bucket, ["s3:GetObject", "s3:ListBucket"]))
        document["Statement"][0].update(Effect=effect, Principal=principal)
        workshop.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    yield put
    workshop.s3.delete_bucket_policy(Bucket=bucket)


class TestS3:
    def test_either_policy_suffices_and_either_denies(self, workshop, bucket, policy):
        user = workshop.make_user("reader")
        get = lambda: user.s3.get_object(Bucket=bucket, Key="k")["Body"].read()
        assert refused(get)[::2] == ("AccessDenied", 403)
        policy("Allow", {"AWS": user.arn})
        assert get() == b"x"
        workshop.set_policy(user, deny("s3:GetObject"))
        assert "explicit deny in an identity-based policy" in refused(get)[1]
        workshop.set_policy(user, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
        policy("Allow", {"Service": "personalize.amazonaws.com"})
        assert get() == b"x"
        policy("Deny", {"AWS": "000000000000"})
        assert "explicit deny in a resource-based policy" in refused(get)[1]

    def test_a_policy_for_the_account_leaves_it_to_the_user_s_own(self, workshop, bucket, policy):
        user = workshop.make_user("delegated")
        get = lambda: user.s3.get_object(Bucket=bucket, Key="k")
        policy("Allow", {"AWS": "arn:aws:iam::000000000000:root"})
        assert refused(get)[0] == "AccessDenied"
        workshop.set_policy(user, allow("s3:GetObject"))
        get()
        policy("Allow", "*")
        workshop.set_policy(user, allow("sts:AssumeRole"))
        get()

    def test_a_presigned_address_may_what_its_signer_may(self, workshop, bucket):
        user = workshop.make_user("presigner", allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
        s3 = user.client("s3", config=Config(signature_version="s3v4"))
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert opener.open(url).read() == b"x"
        workshop.set_policy(user, deny("s3:GetObject"))
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(url)
        assert caught.value.code == 403


class TestIam:
    def test_a_user_may_what_its_policy_allows_on_the_right_arn(self, workshop):
        mine = unique("mine")
        user = workshop.make_user("admin", allow("iam:*", f"arn:aws:iam::000000000000:user/{mine}/*"))
        made = user.iam.create_user(UserName=unique("sub"), Path=f"/{mine}/")["User"]
        assert user.iam.get_user(UserName=made["UserName"])["User"]["Arn"] == made["Arn"]
        assert user.iam.list_users(PathPrefix=f"/{mine}/")["Users"]
        other = unique("sub")
        code, message, status = refused(lambda: user.iam.create_user(UserName=other))
        assert (code, status) == ("AccessDenied", 403)
        assert message.startswith(f"User: {user.arn} is not authorized to perform: iam:CreateUser on resource: "
                                  f"arn:aws:iam::000000000000:user/{other} because no identity-based policy allows")
        for call in (user.iam.list_users, user.iam.list_roles, user.iam.list_policies):
            assert refused(call)[0] == "AccessDenied"
        assert refused(lambda: user.iam.get_user(UserName=user.name))[0] == "AccessDenied"

    def test_a_denial_does_not_tell_which_roles_there_are(self, workshop):
        user = workshop.make_user("blind")
        there = workshop.iam.create_role(
            RoleName=unique("there"), Path="/hidden/", AssumeRolePolicyDocument=json.dumps({
                "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}))["Role"]["RoleName"]
        messages = [refused(lambda: user.iam.get_role(RoleName=name))[1].replace(name, "?")
                    for name in (there, there + "x")]
        assert messages[0] == messages[1] and "hidden" not in messages[0]

    def test_who_attaches_policies_may_be_kept_to_some(self, workshop):
        arn = workshop.iam.create_policy(PolicyName=unique("p"), PolicyDocument=bucketless())["Policy"]["Arn"]
        user = workshop.make_user("attacher", allow("iam:AttachUserPolicy", ArnEquals={"iam:PolicyARN": arn}))
        other = workshop.iam.create_policy(PolicyName=unique("p"), PolicyDocument=bucketless())["Policy"]["Arn"]
        user.iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        assert refused(lambda: user.iam.attach_user_policy(UserName=user.name, PolicyArn=other))[0] == "AccessDenied"

    def test_tags_of_a_new_user_need_their_permission(self, workshop):
        user = workshop.make_user("tagger", allow("iam:CreateUser"))
        make = lambda: user.iam.create_user(UserName=unique("tagged"), Tags=[{"Key": "a", "Value": "b"}])
        assert "iam:TagUser" in refused(make)[1]
