"""Every operation of every door asks for its own permission: denied it is refused, and with it alone admitted."""

import botocore.session
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from support.clients import ONCE
from support.policies import allow, deny

# Denials come before most checks, so that not all of what is sent has to make sense.
LAX = ONCE.merge(Config(parameter_validation=False))
MODELS = botocore.session.get_session()
ROLE = "arn:aws:iam::000000000000:role/nobody"
POLICY = "arn:aws:iam::000000000000:policy/nobody"
DOCUMENT = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
TRUST = DOCUMENT.replace('"Action":"*","Resource":"*"', '"Principal":"*","Action":"sts:AssumeRole"')

# Values that a service's own checks let pass, by the name of the member.
VALUES = {
    "roleArn": ROLE, "PolicyArn": POLICY, "kmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
    "datasetType": "Items", "dataLocation": "s3://nowhere/x", "path": "s3://nowhere/x", "tagKey": "a", "tagValue": "b",
    "AssumeRolePolicyDocument": TRUST, "PolicyDocument": DOCUMENT, "VersionId": "v1", "Status": "Inactive",
    "AccessKeyId": "AKIANOBODYNOBODYNOBO", "importMode": "FULL", "ingestionMode": "ALL",
}
# What the model does not require, but the services need, or what asks for a further permission.
ALWAYS = ["dataLocation"]
NEEDED = {"CreateDatasetImportJob": ["roleArn"], "ListMetricAttributionMetrics": ["metricAttributionArn"],
          "UpdateMetricAttribution": ["metricAttributionArn"], "CreateDatasetGroup": ["tags"], "CreateUser": ["Tags"],
          "GetUser": ["UserName"], "CreateAccessKey": ["UserName"], "ListAccessKeys": ["UserName"],
          "UpdateAccessKey": ["UserName"], "DeleteAccessKey": ["UserName"]}


def value(shape, name):
    if name in VALUES:
        return VALUES[name]
    match shape.type_name:
        case "structure":
            return arguments(shape)
        case "list":
            return [value(shape.member, name.removesuffix("s"))]
        case "map":
            return {}
        case "integer" | "long" | "float" | "double":
            return 1
        case "timestamp":
            return 1
        case "boolean":
            return False
    if shape.enum:
        return shape.enum[0]
    if name.lower().endswith("arn"):
        return "arn:aws:personalize:us-east-1:000000000000:dataset-group/nobody"
    return "asked-by-nobody"


def arguments(shape, more=()):
    wanted = [name for name in shape.members if name in [*shape.required_members, *ALWAYS, *more]] if shape else []
    return {name: value(shape.members[name], name) for name in wanted}


def operations(service):
    model = MODELS.get_service_model(service)
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        yield name, arguments(shape, NEEDED.get(name, ()))


def outcome(client, name, given):
    """The error's code and text, or None for a call that was done."""
    try:
        getattr(client, xform_name(name))(**given)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None


def is_denial(found):
    return found is not None and found[0] in ("AccessDenied", "AccessDeniedException")


@pytest.fixture(scope="module")
def user(workshop):
    return workshop.make_user("asked")


def check(workshop, user, client, action, name, given, beside=()):
    workshop.set_policy(user, allow("*"), deny(action))
    found = outcome(client, name, given)
    assert is_denial(found) and action in found[1], f"{action} denied: {found}"
    workshop.set_policy(user, allow([action, *beside]))
    found = outcome(client, name, given)
    assert not is_denial(found), f"{action} allowed: {found}"
    for other in beside:
        if other.startswith(("iam:Pass", "personalize:Tag", "iam:Tag")):
            workshop.set_policy(user, allow("*"), deny(other))
            found = outcome(client, name, given)
            assert is_denial(found) and other in found[1], f"{other} denied: {found}"


@pytest.mark.parametrize("service", ["personalize", "personalize-events"])
def test_every_operation_of_personalize_asks(workshop, user, service):
    client, root = user.client(service, config=LAX), workshop.client(service, config=LAX)
    for name, given in operations(service):
        # Operations that are known by name only read nothing, and so pass no role on.
        told = (outcome(root, name, given) or ("", ""))[1]
        is_offered = not told.startswith(f"The operation {name} is not offered")
        hands_over = given.get("roleArn") or given.get("metricsOutputConfig", {}).get("roleArn")
        beside = ["iam:PassRole"] if hands_over and is_offered else []
        beside += ["personalize:TagResource"] if name.startswith("Create") and given.get("tags") else []
        check(workshop, user, client, f"personalize:{name}", name, given, beside)


def test_every_operation_of_iam_asks(workshop, user):
    nobody, client = workshop.make_user("nobody").client("iam", config=LAX), user.client("iam", config=LAX)
    asked = 0
    for name, given in operations("iam"):
        code, _ = outcome(nobody, name, given)
        if code == "InvalidAction":
            continue
        assert code == "AccessDenied", name
        check(workshop, user, client, f"iam:{name}", name, given, ["iam:TagUser"] if name == "CreateUser" else [])
        asked += 1
    assert asked >= 34


# Operation, the action that it asks, what it is given beside the bucket.
S3 = [
    ("ListBuckets", "s3:ListAllMyBuckets", None),
    ("CreateBucket", "s3:CreateBucket", {}),
    ("HeadBucket", "s3:ListBucket", {}),
    ("ListObjects", "s3:ListBucket", {}),
    ("ListObjectsV2", "s3:ListBucket", {}),
    ("GetBucketLocation", "s3:GetBucketLocation", {}),
    ("GetBucketVersioning", "s3:GetBucketVersioning", {}),
    ("GetBucketPolicy", "s3:GetBucketPolicy", {}),
    ("PutBucketPolicy", "s3:PutBucketPolicy", {"Policy": "{}"}),
    ("DeleteBucketPolicy", "s3:DeleteBucketPolicy", {}),
    ("ListMultipartUploads", "s3:ListBucketMultipartUploads", {}),
    ("GetObject", "s3:GetObject", {"Key": "k"}),
    ("HeadObject", "s3:GetObject", {"Key": "k"}),
    ("GetObjectAttributes", "s3:GetObjectAttributes", {"Key": "k", "ObjectAttributes": ["ETag"]}),
    ("GetObjectAttributes", "s3:GetObject", {"Key": "k", "ObjectAttributes": ["ETag"]}),
    ("PutObject", "s3:PutObject", {"Key": "k", "Body": b"x"}),
    ("CopyObject", "s3:PutObject", {"Key": "l", "CopySource": "{bucket}/k"}),
    ("CopyObject", "s3:GetObject", {"Key": "l", "CopySource": "{bucket}/k"}),
    ("CreateMultipartUpload", "s3:PutObject", {"Key": "m"}),
    ("UploadPart", "s3:PutObject", {"Key": "m", "UploadId": "u", "PartNumber": 1, "Body": b"x"}),
    ("UploadPartCopy", "s3:PutObject", {"Key": "m", "UploadId": "u", "PartNumber": 1, "CopySource": "{bucket}/k"}),
    ("UploadPartCopy", "s3:GetObject", {"Key": "m", "UploadId": "u", "PartNumber": 1, "CopySource": "{bucket}/k"}),
    ("CompleteMultipartUpload", "s3:PutObject", {"Key": "m", "UploadId": "u", "MultipartUpload": {"Parts": []}}),
    ("ListParts", "s3:ListMultipartUploadParts", {"Key": "m", "UploadId": "u"}),
    ("AbortMultipartUpload", "s3:AbortMultipartUpload", {"Key": "m", "UploadId": "u"}),
    ("DeleteObject", "s3:DeleteObject", {"Key": "l"}),
    ("DeleteObjects", "s3:DeleteObject", {"Delete": {"Objects": [{"Key": "l"}]}}),
    ("DeleteBucket", "s3:DeleteBucket", {}),
]


@pytest.mark.parametrize("name, action, given", S3, ids=[f"{name}-{action}" for name, action, _ in S3])
def test_every_operation_of_s3_asks(workshop, user, name, action, given):
    bucket = workshop.make_bucket("asked", policy="")
    workshop.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    given = {} if given is None else {"Bucket": bucket, **given}
    given = {key: text.format(bucket=bucket) if key == "CopySource" else text for key, text in given.items()}
    also = ["s3:GetObject", "s3:PutObject", "s3:GetObjectAttributes", "s3:ListBucket"]
    denied, allowed = (s3_outcome(workshop, user, name, given, statements)
                       for statements in ([allow("*"), deny(action)], [allow([action, *also])]))
    assert denied, f"{action} denied"
    assert not allowed, f"{action} allowed"


def s3_outcome(workshop, user, name, given, statements):
    """Whether the call is denied; answers to HEAD have no code, and lists of deletions have it inside."""
    workshop.set_policy(user, *statements)
    try:
        answer = getattr(user.client("s3", config=ONCE), xform_name(name))(**given)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "403")
    return any(error["Code"] == "AccessDenied" for error in answer.get("Errors", []))


def test_a_user_without_a_policy_is_refused_every_operation_of_s3(workshop, user):
    bucket = workshop.make_bucket("refused", policy="")
    for name, _, given in S3:
        given = {} if given is None else {"Bucket": bucket, **given}
        if "CopySource" in given:
            given["CopySource"] = f"{bucket}/k"
        assert s3_outcome(workshop, user, name, given, [allow("sts:AssumeRole")]), name


def test_everybody_may_know_who_it_is(workshop, user):
    workshop.set_policy(user, deny("*"))
    assert user.sts.get_caller_identity()["Arn"] == user.arn
