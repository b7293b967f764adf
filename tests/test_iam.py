"""Roles and policies with stock clients, and what they let a job do."""

import json

import pytest

from support.clients import aws, aws_json
from support.policies import EXPORT, IMPORT, bucket_policy, role_policy, trust_policy
from support.schemas import ITEMS
from support.workshop import unique


@pytest.fixture(scope="module")
def items(workshop):
    """An Items dataset with one put record."""
    group = workshop.make_group(items=ITEMS)
    workshop.put_items(group.items, ("i1", {"price": 1, "categoryL1": "A"}))
    return group.items


def failure(call, exception):
    with pytest.raises(exception) as caught:
        call()
    return caught.value.response["Error"]


class TestRoles:
    def test_a_role_can_be_made_found_and_deleted(self, workshop):
        name = unique("role")
        role = workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy(), Path="/jobs/")["Role"]
        assert role["Arn"] == f"arn:aws:iam::000000000000:role/jobs/{name}"
        assert role["RoleId"].startswith("AROA")
        assert role["AssumeRolePolicyDocument"] == json.loads(trust_policy())
        assert workshop.iam.get_role(RoleName=name)["Role"]["Arn"] == role["Arn"]
        assert name in [found["RoleName"] for found in workshop.iam.list_roles()["Roles"]]
        workshop.iam.delete_role(RoleName=name)
        failure(lambda: workshop.iam.get_role(RoleName=name), workshop.iam.exceptions.NoSuchEntityException)

    def test_a_taken_name_is_refused(self, workshop):
        name = unique("role")
        workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
        again = lambda: workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
        failure(again, workshop.iam.exceptions.EntityAlreadyExistsException)

    def test_inline_policies_can_be_put_listed_and_deleted(self, workshop):
        name = unique("role")
        workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
        workshop.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=role_policy("b"))
        assert workshop.iam.list_role_policies(RoleName=name)["PolicyNames"] == ["p"]
        failure(lambda: workshop.iam.delete_role(RoleName=name), workshop.iam.exceptions.DeleteConflictException)
        workshop.iam.delete_role_policy(RoleName=name, PolicyName="p")
        assert workshop.iam.list_role_policies(RoleName=name)["PolicyNames"] == []
        workshop.iam.delete_role(RoleName=name)

    def test_the_documented_policy_round_trips_with_its_id(self, workshop):
        name = unique("role")
        workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
        workshop.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=role_policy("b"))
        got = workshop.iam.get_role_policy(RoleName=name, PolicyName="p")["PolicyDocument"]
        assert got == json.loads(role_policy("b")) and got["Id"] == "PersonalizeS3BucketAccessPolicy"

    def test_managed_policies_can_be_attached(self, workshop):
        name = unique("role")
        workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
        arn = workshop.iam.create_policy(PolicyName=unique("policy"), PolicyDocument=role_policy("b"))["Policy"]["Arn"]
        workshop.iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        attached = workshop.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert [policy["PolicyArn"] for policy in attached] == [arn]
        workshop.iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        assert workshop.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []

    def test_the_cli_speaks_the_same(self, server, workshop):
        name = unique("cli-role")
        aws(server, "iam", "create-role", "--role-name", name, "--assume-role-policy-document", trust_policy())
        aws(server, "iam", "put-role-policy", "--role-name", name, "--policy-name", "p",
            "--policy-document", role_policy("b"))
        got = aws_json(server, "iam", "get-role-policy", "--role-name", name, "--policy-name", "p")
        assert got["PolicyDocument"] == json.loads(role_policy("b"))
        identity = aws_json(server, "sts", "get-caller-identity")
        assert identity["Account"] == "000000000000" and identity["Arn"].startswith("arn:aws:iam::000000000000:")

    @pytest.mark.parametrize("document", [
        "not json",
        "[]",
        '{"Version": "2012-10-17"}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Action": "*", "Resource": "*"}]}',
        json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "s3:*", "Resource": "*",
            "Condition": {"StringSounds": {"s3:x-amz-server-side-encryption": "aws:kms"}},
        }]}),
    ], ids=["not-json", "not-an-object", "no-statement", "unknown-effect", "condition"])
    def test_what_is_not_evaluated_is_refused(self, workshop, document):
        name = unique("role")
        workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
        put = lambda: workshop.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
        failure(put, workshop.iam.exceptions.MalformedPolicyDocumentException)

    def test_a_bucket_policy_with_an_unknown_condition_key_is_refused(self, workshop):
        bucket = workshop.make_bucket("bucket", policy="")
        policy = json.loads(bucket_policy(bucket))
        policy["Statement"][0]["Condition"] = {"IpAddress": {"aws:SourceIpp": "10.0.0.0/8"}}
        put = lambda: workshop.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        assert failure(put, workshop.s3.exceptions.ClientError)["Code"] == "MalformedPolicy"


def deny(policy, action, resource):
    policy = json.loads(policy)
    denial = {"Effect": "Deny", "Action": action, "Resource": resource}
    if "Principal" in policy["Statement"][0]:
        denial["Principal"] = policy["Statement"][0]["Principal"]
    policy["Statement"].append(denial)
    return json.dumps(policy)


# What is wrong, and a function from the bucket's name to (trust policy, role policy, bucket policy); "" is none.
DENIALS = {
    "no-role-policy": lambda b: (trust_policy(), "", bucket_policy(b)),
    "role-may-only-list": lambda b: (trust_policy(), role_policy(b, ["s3:ListBucket"]), bucket_policy(b)),
    "role-may-only-put": lambda b: (trust_policy(), role_policy(b, ["s3:PutObject"]), bucket_policy(b)),
    "role-may-use-another-bucket": lambda b: (trust_policy(), role_policy(b + "x"), bucket_policy(b)),
    "no-bucket-policy": lambda b: (trust_policy(), role_policy(b), ""),
    "bucket-grants-list-only": lambda b: (trust_policy(), role_policy(b), bucket_policy(b, ["s3:ListBucket"])),
    "bucket-grants-another-service": lambda b: (
        trust_policy(), role_policy(b), bucket_policy(b).replace("personalize.amazonaws.com", "ec2.amazonaws.com")),
    "role-denies": lambda b: (
        trust_policy(), deny(role_policy(b), "s3:PutObject", f"arn:aws:s3:::{b}/*"), bucket_policy(b)),
    "bucket-denies": lambda b: (
        trust_policy(), role_policy(b), deny(bucket_policy(b), "s3:PutObject", f"arn:aws:s3:::{b}/*")),
}


class TestExportPermissions:
    @pytest.mark.parametrize("what", DENIALS)
    def test_a_denied_export_is_refused_at_create(self, workshop, items, what):
        bucket = workshop.make_bucket("denied", policy="")
        trust, role, policy = DENIALS[what](bucket)
        if policy:
            workshop.s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        arn = workshop.make_role("denied", bucket, trust=trust, policy=role)
        name = unique("denied")
        start = lambda: workshop.start_export(items, "PUT", name=name, path=f"s3://{bucket}/out", roleArn=arn)
        error = failure(start, workshop.personalize.exceptions.InvalidInputException)
        assert error["Message"].startswith(
            "Insufficient privileges for accessing data in S3. Please look at https://docs.aws.amazon.com/personalize/"
            "latest/dg/granting-personalize-s3-access.html#attach-bucket-policy and fix bucket policy on " + bucket)
        jobs = workshop.personalize.list_dataset_export_jobs(datasetArn=items)["datasetExportJobs"]
        assert name not in [job["jobName"] for job in jobs]

    def test_a_role_that_does_not_trust_the_service_is_refused(self, workshop, items):
        arn = workshop.make_role("untrusting", workshop.target, trust=trust_policy("ec2.amazonaws.com"))
        start = lambda: workshop.start_export(items, "PUT", roleArn=arn)
        error = failure(start, workshop.personalize.exceptions.InvalidInputException)
        assert error["Message"].startswith(f"Personalize can't assume the role {arn}.")

    def test_a_role_that_is_not_there_is_refused(self, workshop, items):
        arn = "arn:aws:iam::000000000000:role/nobody"
        error = failure(lambda: workshop.start_export(items, "PUT", roleArn=arn),
                        workshop.personalize.exceptions.InvalidInputException)
        assert arn in error["Message"]

    def test_a_bucket_that_is_not_there_is_refused(self, workshop, items):
        bucket = unique("nowhere")
        arn = workshop.make_role("lost", bucket)
        error = failure(lambda: workshop.start_export(items, "PUT", path=f"s3://{bucket}/out", roleArn=arn),
                        workshop.personalize.exceptions.InvalidInputException)
        assert bucket in error["Message"]

    def test_the_documented_policies_are_enough(self, workshop, items):
        """PutObject and ListBucket alone: an export never reads back what it wrote."""
        bucket = workshop.make_bucket("enough", EXPORT)
        arn = workshop.make_role("enough", bucket, EXPORT)
        assert workshop.export(items, "PUT", path=f"s3://{bucket}", roleArn=arn).lines == ["i1,1.0,A"]

    def test_a_managed_policy_is_as_good_as_an_inline_one(self, workshop, items):
        bucket = workshop.make_bucket("managed")
        arn = workshop.make_role("managed", bucket, policy="")
        policy = workshop.iam.create_policy(PolicyName=unique("managed"), PolicyDocument=role_policy(bucket))
        workshop.iam.attach_role_policy(RoleName=arn.rsplit("/", 1)[1], PolicyArn=policy["Policy"]["Arn"])
        assert workshop.export(items, "PUT", path=f"s3://{bucket}/out", roleArn=arn).lines == ["i1,1.0,A"]


class TestImportPermissions:
    @pytest.mark.parametrize("role_actions, bucket_actions", [
        (["s3:ListBucket"], IMPORT), (["s3:GetObject"], IMPORT), (IMPORT, ["s3:ListBucket"]), (EXPORT, EXPORT),
    ], ids=["role-cannot-get", "role-cannot-list", "bucket-cannot-get", "export-policies"])
    def test_a_denied_import_is_refused_at_create(self, workshop, items, role_actions, bucket_actions):
        bucket = workshop.make_bucket("closed", bucket_actions)
        workshop.s3.put_object(Bucket=bucket, Key="in.csv", Body=b"ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
        arn = workshop.make_role("closed", bucket, role_actions)
        error = failure(lambda: workshop.start_import(items, f"s3://{bucket}/in.csv", roleArn=arn),
                        workshop.personalize.exceptions.InvalidInputException)
        assert error["Message"].startswith("Insufficient privileges for accessing data in S3.")
        assert bucket in error["Message"]
