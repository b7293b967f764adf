"""Terraform's AWS provider: what it asks when it creates, refreshes, and destroys, call for call, so that a plan shows no drift.

The provider itself is in no package that can be installed here. The sequences are those of its resources' create, read and
delete functions (internal/service/{s3,iam,kms}); an answer that a client has no success for is the error code that it takes
for "not set".
"""

import json

import pytest
from botocore.exceptions import ClientError

from support.policies import trust_policy
from support.server import ACCOUNT
from support.workshop import unique

TAGS = [{"Key": "team", "Value": "shop"}]
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}]})

# The provider's reads of a bucket, and the codes that it takes for "not set".
BUCKET_READS = [
    ("head_bucket", None), ("get_bucket_location", None), ("get_bucket_policy", "NoSuchBucketPolicy"), ("get_bucket_acl", None),
    ("get_bucket_cors", "NoSuchCORSConfiguration"), ("get_bucket_website", "NoSuchWebsiteConfiguration"),
    ("get_bucket_versioning", None), ("get_bucket_accelerate_configuration", None), ("get_bucket_request_payment", None),
    ("get_bucket_logging", None), ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
    ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
    ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"), ("get_bucket_tagging", "NoSuchTagSet"),
]


def read(client, name, unset=None, **given):
    """An answer without what is the call's own; the code where that is what "not set" is told by."""
    try:
        answer = getattr(client, name)(**given)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code == unset, f"{name}: {error}"
        return code
    answer.pop("ResponseMetadata")
    return answer


def gone(client, name, code, **given):
    with pytest.raises(ClientError) as caught:
        getattr(client, name)(**given)
    assert caught.value.response["Error"]["Code"] == code, (name, caught.value)


def read_bucket(s3, bucket):
    return {name: read(s3, name, unset, Bucket=bucket) for name, unset in BUCKET_READS}


def test_the_provider_finds_out_where_it_is(workshop):
    assert workshop.sts.get_caller_identity()["Account"] == ACCOUNT


def test_a_bucket_its_policy_its_encryption_its_cors_and_its_tags(workshop):
    s3, bucket = workshop.s3, unique("terraform")
    s3.create_bucket(Bucket=bucket)
    first = read_bucket(s3, bucket)
    unset = {name: code for name, code in BUCKET_READS if code}
    assert {name: first[name] for name in unset} == unset
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "personalize.amazonaws.com"},
        "Action": ["s3:PutObject", "s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]})
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example"]}]
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": TAGS})
    second = read_bucket(s3, bucket)
    assert second == read_bucket(s3, bucket), "a refresh without a change shows one"
    assert json.loads(second["get_bucket_policy"]["Policy"]) == json.loads(policy)
    assert second["get_bucket_encryption"]["ServerSideEncryptionConfiguration"] == encryption
    assert second["get_bucket_cors"]["CORSRules"] == rules and second["get_bucket_tagging"]["TagSet"] == TAGS
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/csv")
    assert read(s3, "head_object", Bucket=bucket, Key="k")["ContentType"] == "text/csv"
    assert read(s3, "get_object_tagging", Bucket=bucket, Key="k") == {"TagSet": []}
    s3.delete_object(Bucket=bucket, Key="k")
    for undo in ("policy", "encryption", "cors", "tagging"):
        getattr(s3, f"delete_bucket_{undo}")(Bucket=bucket)
    assert read_bucket(s3, bucket) == first
    s3.delete_bucket(Bucket=bucket)
    gone(s3, "head_bucket", "404", Bucket=bucket)


def test_a_role_with_a_path_its_inline_policy_and_a_managed_one(workshop):
    iam, name = workshop.iam, unique("terraform")
    policy = iam.create_policy(PolicyName=name, Path="/shop/", PolicyDocument=DOCUMENT, Tags=TAGS)["Policy"]["Arn"]
    made = iam.create_role(RoleName=name, Path="/shop/", AssumeRolePolicyDocument=trust_policy(), MaxSessionDuration=7200,
                           Description="by a tool", Tags=TAGS)["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/shop/{name}"
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=DOCUMENT)
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)

    def refresh():
        return [read(iam, "get_role", RoleName=name), read(iam, "list_role_policies", RoleName=name),
                read(iam, "get_role_policy", RoleName=name, PolicyName="inline"),
                read(iam, "list_attached_role_policies", RoleName=name), read(iam, "list_role_tags", RoleName=name),
                read(iam, "get_policy", PolicyArn=policy), read(iam, "list_policy_tags", PolicyArn=policy),
                read(iam, "get_policy_version", PolicyArn=policy, VersionId="v1")]

    role, inline, document, attached, tags, managed, policy_tags, version = first = refresh()
    assert refresh() == first, "a refresh without a change shows one"
    assert role["Role"]["AssumeRolePolicyDocument"] == json.loads(trust_policy())
    assert (role["Role"]["MaxSessionDuration"], role["Role"]["Description"]) == (7200, "by a tool")
    assert inline["PolicyNames"] == ["inline"] and document["PolicyDocument"] == json.loads(DOCUMENT)
    assert attached["AttachedPolicies"] == [{"PolicyName": name, "PolicyArn": policy}]
    assert tags["Tags"] == policy_tags["Tags"] == role["Role"]["Tags"] == TAGS
    assert managed["Policy"]["DefaultVersionId"] == "v1" and managed["Policy"]["AttachmentCount"] == 1
    assert version["PolicyVersion"]["Document"] == json.loads(DOCUMENT)

    # Changes in place.
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust_policy())
    iam.update_role(RoleName=name, MaxSessionDuration=3600)
    iam.untag_role(RoleName=name, TagKeys=["team"])
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=DOCUMENT, SetAsDefault=True)
    assert read(iam, "get_policy", PolicyArn=policy)["Policy"]["DefaultVersionId"] == "v2"
    assert read(iam, "get_role", RoleName=name)["Role"].get("Tags", []) == []

    # What is asked and done before a role and a policy are deleted.
    assert read(iam, "list_instance_profiles_for_role", RoleName=name)["InstanceProfiles"] == []
    iam.detach_role_policy(RoleName=name, PolicyArn=policy)
    iam.delete_role_policy(RoleName=name, PolicyName="inline")
    iam.delete_role(RoleName=name)
    for version in iam.list_policy_versions(PolicyArn=policy)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=policy, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=policy)
    gone(iam, "get_role", "NoSuchEntity", RoleName=name)
    gone(iam, "get_role_policy", "NoSuchEntity", RoleName=name, PolicyName="inline")
    gone(iam, "get_policy", "NoSuchEntity", PolicyArn=policy)


def test_a_users_access_key_and_full_access_to_personalize(workshop):
    iam, name = workshop.iam, unique("terraform")
    iam.create_user(UserName=name, Path="/shop/", Tags=TAGS)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonPersonalizeFullAccess")
    key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    assert read(iam, "get_user", UserName=name)["User"]["Tags"] == TAGS
    assert [one["AccessKeyId"] for one in read(iam, "list_access_keys", UserName=name)["AccessKeyMetadata"]] == [key]
    used = read(iam, "get_access_key_last_used", AccessKeyId=key)
    assert used == {"UserName": name, "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
    assert read(iam, "list_attached_user_policies", UserName=name)["AttachedPolicies"][0]["PolicyName"] == (
        "AmazonPersonalizeFullAccess")


def test_a_key_and_its_alias(workshop):
    kms, alias = workshop.kms, f"alias/{unique('terraform')}"
    tags = [{"TagKey": "team", "TagValue": "shop"}]
    key = kms.create_key(Description="by a tool", KeyUsage="ENCRYPT_DECRYPT", CustomerMasterKeySpec="SYMMETRIC_DEFAULT",
                         BypassPolicyLockoutSafetyCheck=False, Tags=tags)["KeyMetadata"]
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])

    def refresh():
        aliases = [one for one in kms.list_aliases()["Aliases"] if one["AliasName"] == alias]
        return [read(kms, "describe_key", KeyId=key["KeyId"]), read(kms, "get_key_rotation_status", KeyId=key["KeyId"]),
                read(kms, "get_key_policy", KeyId=key["KeyId"], PolicyName="default"),
                read(kms, "list_resource_tags", KeyId=key["KeyId"]), aliases]

    described, rotation, policy, found, aliases = first = refresh()
    assert refresh() == first, "a refresh without a change shows one"
    assert described["KeyMetadata"]["KeyState"] == "Enabled" and not described["KeyMetadata"]["MultiRegion"]
    assert rotation["KeyRotationEnabled"] is False and found["Tags"] == tags
    assert json.loads(policy["Policy"])["Statement"] and aliases[0]["TargetKeyId"] == key["KeyId"]
    kms.delete_alias(AliasName=alias)
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert read(kms, "describe_key", KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
