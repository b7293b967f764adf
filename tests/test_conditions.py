"""Conditions in trust policies, the policies of users and roles, and bucket policies."""

import json

import pytest
from botocore.exceptions import ClientError

from support.clients import Clients
from support.policies import allow, bucket_policy, deny, role_policy, trust_policy
from support.schemas import INTERACTIONS, ITEMS
from support.workshop import unique

ACCOUNT = "000000000000"
JOBS = f"arn:aws:personalize:us-east-1:{ACCOUNT}:*"


@pytest.fixture(scope="module")
def items(workshop):
    group = workshop.make_group(items=ITEMS)
    workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
    return group.items


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def deputy(account=ACCOUNT, source=JOBS):
    """The condition that the documentation recommends against confused deputies."""
    return {"StringEquals": {"aws:SourceAccount": account}, "StringLike": {"aws:SourceArn": source}}


def with_condition(policy, condition):
    policy = json.loads(policy)
    policy["Statement"][0]["Condition"] = condition
    return json.dumps(policy)


class TestTrust:
    def test_the_documented_condition_lets_the_service_in(self, workshop, items):
        role = workshop.make_role("trusting", workshop.target, trust=with_condition(trust_policy(), deputy()))
        assert workshop.export(items, "PUT", roleArn=role).lines == ["i1,1.0,A"]

    @pytest.mark.parametrize("condition", [
        deputy(account="111122223333"),
        deputy(source="arn:aws:personalize:us-west-2:000000000000:*"),
        deputy(source="arn:aws:personalize:us-east-1:000000000000:dataset-import-job/*"),
        {"StringEquals": {"sts:ExternalId": "x"}},
        {"Bool": {"aws:SecureTransport": "true"}},
    ], ids=["another-account", "another-region", "another-kind-of-job", "external-id", "secure-transport"])
    def test_another_condition_keeps_it_out(self, workshop, items, condition):
        role = workshop.make_role("untrusting", workshop.target, trust=with_condition(trust_policy(), condition))
        code, message = refused(lambda: workshop.start_export(items, "PUT", roleArn=role))
        assert code == "InvalidInputException" and message.startswith(f"Personalize can't assume the role {role}.")

    def test_the_condition_may_name_one_job(self, workshop, items):
        name = unique("only")
        one = {"ArnEquals": {"aws:SourceArn": f"arn:aws:personalize:us-east-1:{ACCOUNT}:dataset-export-job/{name}"}}
        role = workshop.make_role("one", workshop.target, trust=with_condition(trust_policy(), one))
        workshop.export(items, "PUT", name=name, roleArn=role)
        assert refused(lambda: workshop.start_export(items, "PUT", roleArn=role))[0] == "InvalidInputException"


class TestBucketOfAJob:
    @pytest.mark.parametrize("condition, is_open", [
        (deputy(), True),
        (deputy(account="111122223333"), False),
        (deputy(source="arn:aws:personalize:us-east-1:000000000000:dataset-import-job/*"), False),
        ({"StringEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
    ], ids=["documented", "another-account", "another-kind-of-job", "encryption-header", "address"])
    @pytest.mark.parametrize("where", ["bucket", "role"])
    def test_a_condition_restricts_the_job(self, workshop, items, condition, is_open, where):
        bucket = workshop.make_bucket("conditional", policy="")
        plain, conditional = bucket_policy(bucket), role_policy(bucket)
        if where == "bucket":
            plain = with_condition(plain, condition)
        else:
            conditional = with_condition(conditional, condition)
        workshop.s3.put_bucket_policy(Bucket=bucket, Policy=plain)
        role = workshop.make_role("conditional", bucket, policy=conditional)
        if is_open:
            assert workshop.export(items, "PUT", path=f"s3://{bucket}/out", roleArn=role).lines == ["i1,1.0,A"]
        else:
            start = lambda: workshop.start_export(items, "PUT", path=f"s3://{bucket}/out", roleArn=role)
            code, message = refused(start)
            assert code == "InvalidInputException" and message.startswith("Insufficient privileges")


class TestPassRole:
    @pytest.mark.parametrize("service, is_passed", [("personalize.amazonaws.com", True), ("ec2.amazonaws.com", False)])
    def test_the_service_that_gets_the_role_is_a_condition(self, workshop, items, service, is_passed):
        passing = allow("iam:PassRole", workshop.export_role, StringEquals={"iam:PassedToService": service})
        user = workshop.make_user("passer", allow("personalize:*"), passing)
        start = lambda: user.personalize.create_dataset_export_job(
            jobName=unique("job"), datasetArn=items, roleArn=workshop.export_role,
            jobOutput={"s3DataDestination": {"path": f"s3://{workshop.target}/out"}})
        if is_passed:
            workshop.wait_export(start()["datasetExportJobArn"])
        else:
            code, message = refused(start)
            assert code == "AccessDeniedException" and "iam:PassRole" in message


class TestTags:
    def test_new_resources_may_need_certain_tags(self, workshop):
        user = workshop.make_user("tagger", allow(
            ["personalize:CreateDatasetGroup", "personalize:TagResource"],
            **{"StringEquals": {"aws:RequestTag/Team": "shop"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["Team", "x"]}}))
        tags = lambda **tags: [{"tagKey": key, "tagValue": value} for key, value in tags.items()]
        make = lambda **given: user.personalize.create_dataset_group(name=unique("g"), **given)
        arn = make(tags=tags(Team="shop", x="1"))["datasetGroupArn"]
        for given in ({}, {"tags": tags(Team="other")}, {"tags": tags(Team="shop", y="1")}):
            assert refused(lambda: make(**given))[0] == "AccessDeniedException"
        assert refused(lambda: user.personalize.tag_resource(resourceArn=arn, tags=tags(Team="x")))[0] == "AccessDeniedException"

    def test_the_tags_of_a_resource_are_a_condition(self, workshop):
        group = workshop.make_group(items=ITEMS)
        user = workshop.make_user("owner", allow("personalize:*", **{"StringEquals": {"aws:ResourceTag/Team": "shop"}}))
        describe = lambda: user.personalize.describe_dataset_group(datasetGroupArn=group.arn)
        put = lambda: user.events.put_items(datasetArn=group.items, items=[
            {"itemId": "i", "properties": json.dumps({"price": 1, "categoryL1": "A"})}])
        assert refused(describe)[0] == refused(put)[0] == "AccessDeniedException"
        for arn in (group.arn, group.items):
            workshop.personalize.tag_resource(resourceArn=arn, tags=[{"tagKey": "team", "tagValue": "shop"}])
        describe(), put()
        workshop.personalize.untag_resource(resourceArn=group.arn, tagKeys=["team"])
        assert refused(describe)[0] == "AccessDeniedException"

    def test_the_keys_of_removed_tags_are_a_condition(self, workshop):
        arn = workshop.make_group().arn
        user = workshop.make_user("untagger", allow("personalize:UntagResource"),
                                  deny("personalize:UntagResource", **{"ForAnyValue:StringEquals": {"aws:TagKeys": "keep"}}))
        user.personalize.untag_resource(resourceArn=arn, tagKeys=["drop"])
        untag = lambda: user.personalize.untag_resource(resourceArn=arn, tagKeys=["drop", "keep"])
        assert refused(untag)[0] == "AccessDeniedException"

    def test_a_caller_s_own_tag_is_a_condition(self, workshop):
        user = workshop.make_user("plain", allow("personalize:*", StringEquals={"aws:PrincipalTag/team": "shop"}))
        assert refused(user.personalize.list_schemas)[0] == "AccessDeniedException"
        name = unique("tagged")
        workshop.iam.create_user(UserName=name, Tags=[{"Key": "Team", "Value": "shop"}])
        key = workshop.iam.create_access_key(UserName=name)["AccessKey"]
        policy = workshop.iam.get_user_policy(UserName=user.name, PolicyName="p")["PolicyDocument"]
        workshop.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        Clients(workshop.endpoint, key["AccessKeyId"], key["SecretAccessKey"]).personalize.list_schemas()


class TestS3:
    def test_a_user_has_a_folder_of_its_own(self, workshop):
        bucket = workshop.make_bucket("homes", policy="")
        user = workshop.make_user(
            "Ann",
            allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": ["${aws:username}/*"]}),
            allow("s3:*Object", f"arn:aws:s3:::{bucket}/${{aws:username}}/*"),
        )
        own, other = f"{user.name}/k", "else/k"
        user.s3.put_object(Bucket=bucket, Key=own, Body=b"x")
        for call in (user.s3.list_objects_v2, user.s3.list_objects):
            assert [o["Key"] for o in call(Bucket=bucket, Prefix=f"{user.name}/")["Contents"]] == [own]
            for prefix in ({}, {"Prefix": ""}, {"Prefix": "else/"}, {"Prefix": user.name}):
                assert refused(lambda: call(Bucket=bucket, **prefix))[0] == "AccessDenied"
        assert refused(lambda: user.s3.put_object(Bucket=bucket, Key=other, Body=b"x"))[0] == "AccessDenied"
        assert refused(lambda: user.s3.get_object(Bucket=bucket, Key=other))[0] == "AccessDenied"

    def test_a_list_may_be_kept_short_and_flat(self, workshop):
        bucket = workshop.make_bucket("short", policy="")
        user = workshop.make_user("short", allow("s3:ListBucket", NumericLessThanEquals={"s3:max-keys": "10"},
                                                 StringEquals={"s3:delimiter": "/"}))
        user.s3.list_objects_v2(Bucket=bucket, MaxKeys=10, Delimiter="/")
        for given in ({"MaxKeys": 11, "Delimiter": "/"}, {"Delimiter": "/"}, {"MaxKeys": 1}):
            assert refused(lambda: user.s3.list_objects_v2(Bucket=bucket, **given))[0] == "AccessDenied"

    def test_the_caller_s_address_is_a_condition(self, workshop):
        bucket = workshop.make_bucket("here", policy="")
        here = workshop.make_user("here", allow("s3:ListBucket", IpAddress={"aws:SourceIp": ["127.0.0.0/8", "::1"]}))
        there = workshop.make_user("there", allow("s3:*"), deny("s3:*", NotIpAddress={"aws:SourceIp": "203.0.113.0/24"}))
        here.s3.list_objects_v2(Bucket=bucket)
        assert refused(lambda: there.s3.list_objects_v2(Bucket=bucket))[0] == "AccessDenied"
        assert refused(lambda: here.s3.get_bucket_location(Bucket=bucket))[0] == "AccessDenied"

    def test_a_header_is_a_condition(self, workshop):
        bucket = workshop.make_bucket("acl", policy="")
        user = workshop.make_user("acl", allow("s3:PutObject", StringEquals={"s3:x-amz-acl": "bucket-owner-full-control"}))
        user.s3.put_object(Bucket=bucket, Key="k", Body=b"", ACL="bucket-owner-full-control")
        for given in ({}, {"ACL": "private"}):
            assert refused(lambda: user.s3.put_object(Bucket=bucket, Key="k", Body=b"", **given))[0] == "AccessDenied"

    def test_a_bucket_policy_may_deny_all_but_some(self, workshop):
        """The root, too, is denied by a bucket's policy; it can still mend it."""
        bucket = workshop.make_bucket("closed", policy="")
        user, other = workshop.make_user("in", allow("s3:*")), workshop.make_user("out", allow("s3:*"))
        workshop.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": {
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": user.arn}}}}))
        user.s3.list_objects_v2(Bucket=bucket)
        for clients in (other, workshop):
            assert refused(lambda: clients.s3.list_objects_v2(Bucket=bucket))[0] == "AccessDenied"
        workshop.s3.delete_bucket_policy(Bucket=bucket)


class TestRefusals:
    @pytest.mark.parametrize("condition", [
        {"StringSounds": {"aws:username": "x"}},
        {"StringEquals": {"aws:SourceAcount": "x"}},
        {"StringLike": {"s3:prefix": "${aws:nobody}"}},
        {"BinaryEquals": {"s3:prefix": "no base64"}},
        {"Bool": {"aws:SecureTransport": "perhaps"}},
        {},
    ], ids=["operator", "key", "variable", "binary", "value", "empty"])
    def test_what_is_not_evaluated_is_refused(self, workshop, condition):
        user, bucket = workshop.make_user("wrong"), workshop.make_bucket("wrong", policy="")
        document = {"Version": "2012-10-17", "Statement": {**allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"), "Condition": condition}}
        put = lambda: workshop.iam.put_user_policy(UserName=user.name, PolicyName="p", PolicyDocument=json.dumps(document))
        assert refused(put)[0] == "MalformedPolicyDocument"
        document["Statement"]["Principal"] = "*"
        put = lambda: workshop.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
        assert refused(put)[0] == "MalformedPolicy"
        trust = with_condition(trust_policy(), condition)
        make = lambda: workshop.iam.create_role(RoleName=unique("r"), AssumeRolePolicyDocument=trust)
        assert refused(make)[0] == "MalformedPolicyDocument"
