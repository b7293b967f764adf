"""Every operation of every door asks for its own permission: denied it is refused, and with it alone admitted.

What there is to ask comes from the services' own models, so that an operation that is new here is asked about too, and
fails where nobody has said on what it asks.
"""

import json

import botocore.session
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from support.clients import ONCE
from support.lade import ask, job_path
from support.policies import allow, bucket_policy, deny, trust_policy
from support.schemas import ITEMS
from support.server import ACCOUNT, REGION
from support.service_model import DATA_SIDE
from support.workshop import unique

# Denials come before most checks, so that not all of what is sent has to make sense.
LAX = ONCE.merge(Config(parameter_validation=False))
MODELS = botocore.session.get_session()
ROLE = "arn:aws:iam::000000000000:role/nobody"
POLICY = "arn:aws:iam::000000000000:policy/nobody"
DOCUMENT = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
TRUST = DOCUMENT.replace('"Action":"*","Resource":"*"', '"Principal":"*","Action":"sts:AssumeRole"')

# Values that a service's own checks let pass, by the name of the member.
VALUES = {
    "roleArn": ROLE, "RoleArn": ROLE, "PolicySourceArn": ROLE, "PolicyArn": POLICY, "kmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
    "datasetType": "Items", "dataLocation": "s3://nowhere/x", "path": "s3://nowhere/x", "tagKey": "a", "tagValue": "b",
    "AssumeRolePolicyDocument": TRUST, "PolicyDocument": DOCUMENT, "VersionId": "v1", "Status": "Inactive",
    "AccessKeyId": "AKIANOBODYNOBODYNOBO", "importMode": "FULL", "ingestionMode": "ALL",
}
# What the model does not require, but the services need, or what asks for a further permission.
ALWAYS = ["dataLocation"]
NEEDED = {"CreateDatasetImportJob": ["roleArn"], "ListMetricAttributionMetrics": ["metricAttributionArn"],
          "UpdateMetricAttribution": ["metricAttributionArn", "metricsOutputConfig"], "CreateGrant": ["GranteePrincipal"],
          "Decrypt": ["CiphertextBlob"], "ReEncrypt": ["CiphertextBlob"],
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
    if shape.metadata.get("enum"):
        return shape.metadata["enum"][0]
    if shape.type_name == "blob":
        return b""
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
        # What is created with tags asks for their permission too.
        tags = ["tags", "Tags"] if name.startswith("Create") else []
        yield name, arguments(shape, [*NEEDED.get(name, ()), *tags])


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


def is_told(found, user, action, resource):
    """Whether this is the documented refusal: who, what, and on what."""
    text = f"User: {user.arn} is not authorized to perform: {action} on resource: {resource}"
    return is_denial(found) and found[1].startswith(text)


def check(workshop, user, client, action, name, given, resource, beside=(), shown=None):
    """Asks as a user with everything but the action, with only the action, and with it on one resource."""
    found = answered(workshop, user, client, name, given, allow("*"), deny(action))
    assert is_told(found, user, action, shown or resource), f"{action} denied: {found}"
    found = answered(workshop, user, client, name, given, allow([action, *beside]))
    assert not is_denial(found), f"{action} allowed: {found}"
    others = [allow(list(beside))] if beside else []
    found = answered(workshop, user, client, name, given, allow(action, resource), *others)
    assert not is_denial(found), f"{action} allowed on {resource}: {found}"
    found = answered(workshop, user, client, name, given, allow(action, another(resource)), *others)
    assert is_told(found, user, action, shown or resource), f"{action} allowed elsewhere: {found}"
    for other in beside:
        found = answered(workshop, user, client, name, given, allow("*"), deny(other))
        assert is_denial(found) and other in found[1], f"{other} denied: {found}"


def answered(workshop, user, client, name, given, *statements):
    workshop.set_policy(user, *statements)
    return outcome(client, name, given)


def another(resource):
    """A resource of the same kind; where an operation asks on none, any."""
    if resource == "*":
        return f"arn:aws:personalize:{REGION}:{ACCOUNT}:schema/other"
    return resource.rstrip("*").rsplit("/", 1)[0] + "/some-other" if "/" in resource else f"{resource}-other"


# What an operation of Personalize asks on, as a part of the ARN; `{member}` is filled from the request. An operation
# that is given one ARN, and is no list, asks on that.
MADE = {
    "CreateSchema": "schema/{name}",
    "CreateDatasetGroup": "dataset-group/{name}",
    "CreateDataset": "dataset/nobody/ITEMS",
    "CreateEventTracker": "event-tracker/*",
    "CreateDatasetImportJob": "dataset-import-job/{jobName}",
    "CreateDatasetExportJob": "dataset-export-job/{jobName}",
    "CreateDataDeletionJob": "data-deletion-job/{jobName}",
    "CreateMetricAttribution": "metric-attribution/{name}",
}
ON_NOTHING = ["PutEvents", "PutActionInteractions"]
ON_MEMBER = {"UpdateDataset": "datasetArn", "UpdateMetricAttribution": "metricAttributionArn"}


def personalize_resource(name, given, is_offered):
    if name in MADE:
        return f"arn:aws:personalize:{REGION}:{ACCOUNT}:{MADE[name].format(**given)}"
    is_list = name.startswith("List") and name != "ListTagsForResource"
    if is_list or name in ON_NOTHING or not is_offered:
        return "*"
    (member,) = [ON_MEMBER[name]] if name in ON_MEMBER else [m for m in given if m.endswith("Arn")]
    return given[member]


@pytest.mark.parametrize("service", ["personalize", "personalize-events"])
def test_every_operation_of_personalize_asks(workshop, user, service):
    client = user.client(service, config=LAX)
    for name, given in operations(service):
        # Operations that are known by name only read nothing, and so pass no role on.
        is_offered = name in DATA_SIDE
        hands_over = given.get("roleArn") or given.get("metricsOutputConfig", {}).get("roleArn")
        beside = ["iam:PassRole"] if hands_over and is_offered else []
        beside += ["personalize:TagResource"] if name.startswith("Create") and given.get("tags") and is_offered else []
        resource = personalize_resource(name, given, is_offered)
        check(workshop, user, client, f"personalize:{name}", name, given, resource, beside)


# What stands beyond the service asks for the permission of the operation that it is nearest to, on the same ARN.
JOBS = {"dataset-import-job": "DatasetImportJob", "dataset-export-job": "DatasetExportJob",
        "data-deletion-job": "DataDeletionJob"}


def test_every_operation_of_lade_asks(server, workshop, user):
    credentials = user.session.get_credentials()

    def told(method, path, *statements):
        workshop.set_policy(user, *statements)
        status, answer = ask(server.endpoint, method, path, credentials.access_key, credentials.secret_key)
        return (answer["__type"], answer["message"]) if status >= 400 else None

    for kind, noun in JOBS.items():
        arn = f"arn:aws:personalize:{REGION}:{ACCOUNT}:{kind}/nobody"
        for method, path, verb in (("GET", job_path(arn), "Describe"), ("POST", job_path(arn, "/cancel"), "Create")):
            action = f"personalize:{verb}{noun}"
            assert is_told(told(method, path, allow("*"), deny(action)), user, action, arn), action
            assert told(method, path, allow(action))[0] == "ResourceNotFoundException", action
            assert told(method, path, allow(action, arn))[0] == "ResourceNotFoundException", action
            assert is_told(told(method, path, allow(action, another(arn))), user, action, arn), action
    lists = [f"personalize:List{noun}s" for noun in JOBS.values()]
    assert told("GET", "/jobs", allow(lists)) is None
    for action in lists:
        assert is_told(told("GET", "/jobs", allow("*"), deny(action)), user, action, "*"), action


PASSING = ["CreateDatasetGroup", "CreateDatasetImportJob", "CreateDatasetExportJob", "CreateDataDeletionJob",
           "CreateMetricAttribution", "UpdateMetricAttribution"]


def test_every_operation_that_hands_a_role_over_says_to_whom(workshop, user):
    client, asked = user.client("personalize", config=LAX), []
    for name, given in operations("personalize"):
        given = {**given, "roleArn": ROLE} if name == "CreateDatasetGroup" else given
        if name not in DATA_SIDE or ROLE not in json.dumps(given):
            continue
        asked.append(name)
        own = allow(f"personalize:{name}"), allow("personalize:TagResource")
        passed = lambda **where: allow("iam:PassRole", where.get("role", ROLE), StringEquals={
            "iam:PassedToService": where.get("service", "personalize.amazonaws.com")})
        assert not is_denial(answered(workshop, user, client, name, given, *own, passed())), name
        for where in ({"service": "ec2.amazonaws.com"}, {"role": f"{ROLE}-2"}):
            found = answered(workshop, user, client, name, given, *own, passed(**where))
            assert is_told(found, user, "iam:PassRole", ROLE), (name, where, found)
    assert sorted(asked) == sorted(PASSING)


def test_whoever_may_not_does_not_learn_what_there_is(workshop, user):
    """The refusal is the same, but for the name, whether the resource exists or not."""
    group, name = workshop.make_group(items=ITEMS, tracker=True), unique("there")
    workshop.personalize.create_schema(name=name, schema=workshop.personalize.describe_schema(
        schemaArn=workshop.personalize.describe_dataset(datasetArn=group.items)["dataset"]["schemaArn"])["schema"]["schema"])
    there = {"dataset-group": group.arn, "dataset": group.items, "event-tracker": group.tracker,
             "schema": f"arn:aws:personalize:{REGION}:{ACCOUNT}:schema/{name}"}
    personalize = user.client("personalize", config=LAX)
    workshop.set_policy(user, allow("sts:*"))
    asked = 0
    for name, given in operations("personalize"):
        kind = {"DatasetGroup": "dataset-group", "EventTracker": "event-tracker"}.get(name[6:] if name[:6] == "Delete" else name[8:],
                                                                                    name[6 if name[:6] == "Delete" else 8:].lower())
        if not name.startswith(("Describe", "Delete")) or kind not in there:
            continue
        (member,) = given
        resource = there[kind]
        assert is_told(outcome(personalize, name, {member: resource}), user, f"personalize:{name}", resource)
        assert is_told(outcome(personalize, name, {member: f"{resource}x"}), user, f"personalize:{name}", f"{resource}x")
        asked += 1
    assert asked == 8


# How the operations of IAM that name no user, role or policy say on what they ask.
IAM = {"ListRoles": "role/", "ListUsers": "user/", "ListPolicies": "policy/", "ListGroups": "group/",
       "ListInstanceProfiles": "instance-profile/"}
IAM_OTHERS = {"GetAccessKeyLastUsed": ("user/*", "access key {AccessKeyId}")}
IAM_ON_NOTHING = ["SimulateCustomPolicy", "GetAccountSummary", "GetAccountAuthorizationDetails", "ListAccountAliases"]
# The first of them that a request has is what it asks on.
IAM_MEMBERS = {"GroupName": "group", "InstanceProfileName": "instance-profile", "UserName": "user", "RoleName": "role"}


def iam_resource(name, given):
    """By what policies name it, and how a denial shows it."""
    arn = lambda kind, of: f"arn:aws:iam::{ACCOUNT}:{kind}/{of}"
    if name in IAM_ON_NOTHING:
        return "*", None
    if name in IAM_OTHERS:
        resource, shown = IAM_OTHERS[name]
        return arn(*resource.split("/")), shown.format(**given)
    if name in IAM:
        return arn(*IAM[name].split("/")), None
    if name == "CreatePolicy":
        return arn("policy", given["PolicyName"]), None
    for member, kind in IAM_MEMBERS.items():
        if member in given:
            is_new = name == f"Create{kind.title().replace('-', '')}"
            return arn(kind, given[member]), None if is_new else f"{kind} {given[member]}"
    if "PolicySourceArn" in given:
        return given["PolicySourceArn"], None
    assert "PolicyArn" in given, f"nobody has said what {name} asks on"
    return given["PolicyArn"], f"policy {given['PolicyArn']}"


def test_every_operation_of_iam_asks(workshop, user):
    nobody, client = workshop.make_user("nobody").client("iam", config=LAX), user.client("iam", config=LAX)
    asked = 0
    for name, given in operations("iam"):
        code, _ = outcome(nobody, name, given)
        if code == "InvalidAction":
            continue
        assert code == "AccessDenied", name
        resource, shown = iam_resource(name, given)
        tagging = [name.replace("Create", "iam:Tag")] if "Tags" in given and name.startswith("Create") else []
        check(workshop, user, client, f"iam:{name}", name, given, resource, tagging, shown)
        asked += 1
    assert asked >= 34


# Operations of STS and on what they ask their permission; None: everybody may.
STS = {"GetCallerIdentity": None, "GetSessionToken": None, "AssumeRole": ROLE, "GetAccessKeyInfo": "*"}


def test_every_operation_of_sts_asks(workshop, user):
    client = user.client("sts", config=LAX)
    for name, given in operations("sts"):
        code = (answered(workshop, user, client, name, given, allow("*")) or ("", ""))[0]
        if code in ("InvalidAction", "MissingAuthenticationToken"):
            continue
        assert name in STS, f"nobody has said what {name} asks on"
        if STS[name] is None:
            continue
        found = answered(workshop, user, client, name, given, allow("*"), deny(f"sts:{name}"))
        assert is_denial(found) and f"sts:{name}" in found[1], found


# What the operations of KMS ask on: the key that is named unless they stand here.
KMS_ON_NOTHING = ["CreateKey", "ListKeys", "ListAliases", "GenerateRandom"]
KMS_ACTIONS = {"CreateKey": ["kms:CreateKey", "kms:TagResource"], "ReEncrypt": ["kms:ReEncryptFrom", "kms:ReEncryptTo"]}
# Who made a grant, or was given it, may do away with it.
KMS_OWN = ["RetireGrant"]


@pytest.fixture(scope="module")
def keys(workshop):
    """Two keys, with an alias each."""
    made = [workshop.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    for arn in made:
        workshop.kms.create_alias(AliasName=f"alias/{unique('asked')}", TargetKeyId=arn)
    return made


def kms_arguments(workshop, name, given, key):
    alias = workshop.kms.list_aliases(KeyId=key)["Aliases"][-1]["AliasName"]
    text = workshop.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    values = {
        "KeyId": key, "TargetKeyId": key, "DestinationKeyId": key, "AliasName": alias, "CiphertextBlob": text,
        "Policy": "{}", "GrantId": "g", "Plaintext": b"x", "GranteePrincipal": ROLE, "NumberOfBytes": 16, "PendingWindowInDays": 7,
        "Operations": ["Decrypt"], "Tags": [{"TagKey": "a", "TagValue": "b"}], "TagKeys": ["a"],
    }
    more = {"GenerateDataKey": ["NumberOfBytes"], "GenerateDataKeyWithoutPlaintext": ["NumberOfBytes"],
            "GenerateRandom": ["NumberOfBytes"], "CreateAlias": ["AliasName"]}.get(name, [])
    given = {member: values.get(member, value) for member, value in given.items()}
    given = {**given, **{member: values[member] for member in more}}
    return {**given, "AliasName": f"alias/{unique('new')}"} if name == "CreateAlias" else given


def test_every_operation_of_kms_asks(workshop, user, keys):
    client, (key, other), asked = user.client("kms", config=LAX), keys, 0
    for name, given in operations("kms"):
        given = kms_arguments(workshop, name, given, key)
        found = answered(workshop, user, client, name, given, allow("sts:*"))
        if found and found[0] == "UnsupportedOperationException" or name in KMS_OWN:
            continue
        assert is_denial(found), f"{name} with nothing: {found}"
        actions = KMS_ACTIONS.get(name, [f"kms:{name}"])
        asked += 1
        for action in actions:
            found = answered(workshop, user, client, name, given, allow("*"), deny(action))
            assert is_denial(found) and f"is not authorized to perform: {action} on resource: " in found[1], (name, found)
        if name in KMS_ON_NOTHING:
            assert not is_denial(answered(workshop, user, client, name, given, allow(actions))), name
            assert is_denial(answered(workshop, user, client, name, given, allow(actions, key))), name
            continue
        alias = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/*"
        found = answered(workshop, user, client, name, given, allow(actions, other), allow(actions, alias))
        assert is_told(found, user, actions[0], key), f"{name} on another key: {found}"
        found = answered(workshop, user, client, name, given, allow(actions, key), allow(actions, alias))
        assert not is_denial(found), f"{name} on its own key: {found}"
        workshop.kms.cancel_key_deletion(KeyId=key) if name == "ScheduleKeyDeletion" else None
        workshop.kms.enable_key(KeyId=key)
        if name == "DeleteAlias":
            workshop.kms.create_alias(AliasName=given["AliasName"], TargetKeyId=key)
    assert asked == 28


def test_whoever_may_not_use_keys_does_not_learn_which_there_are(workshop, user, keys):
    workshop.set_policy(user, allow("kms:*", keys[1]))
    key = keys[0]
    unknown = key[:-12] + "0" * 12
    for arn in (key, unknown):
        for named in (arn, arn.rsplit("/", 1)[1]):
            found = outcome(user.kms, "DescribeKey", {"KeyId": named})
            assert is_told(found, user, "kms:DescribeKey", arn), found
    because = {outcome(user.kms, "DescribeKey", {"KeyId": arn})[1].replace(arn, "") for arn in (key, unknown)}
    assert len(because) == 1, because


# Operation, the action that it asks, what it is given beside the bucket.
S3 = [
    ("ListBuckets", "s3:ListAllMyBuckets", None),
    ("CreateBucket", "s3:CreateBucket", {}),
    ("HeadBucket", "s3:ListBucket", {}),
    ("ListObjects", "s3:ListBucket", {}),
    ("ListObjectsV2", "s3:ListBucket", {}),
    ("GetBucketLocation", "s3:GetBucketLocation", {}),
    ("GetBucketVersioning", "s3:GetBucketVersioning", {}),
    ("GetBucketAcl", "s3:GetBucketAcl", {}),
    ("GetBucketLogging", "s3:GetBucketLogging", {}),
    ("GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration", {}),
    ("GetBucketNotificationConfiguration", "s3:GetBucketNotification", {}),
    ("GetBucketRequestPayment", "s3:GetBucketRequestPayment", {}),
    ("GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", {}),
    ("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration", {}),
    ("GetBucketLifecycle", "s3:GetLifecycleConfiguration", {}),
    ("GetBucketNotification", "s3:GetBucketNotification", {}),
    ("GetBucketReplication", "s3:GetReplicationConfiguration", {}),
    ("GetBucketWebsite", "s3:GetBucketWebsite", {}),
    ("GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration", {}),
    ("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", {}),
    ("GetBucketCors", "s3:GetBucketCORS", {}),
    ("PutBucketCors", "s3:PutBucketCORS", {"CORSConfiguration": {
        "CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}}),
    ("DeleteBucketCors", "s3:PutBucketCORS", {}),
    ("GetBucketTagging", "s3:GetBucketTagging", {}),
    ("PutBucketTagging", "s3:PutBucketTagging", {"Tagging": {"TagSet": []}}),
    ("DeleteBucketTagging", "s3:PutBucketTagging", {}),
    ("GetObjectTagging", "s3:GetObjectTagging", {"Key": "k"}),
    ("GetBucketPolicy", "s3:GetBucketPolicy", {}),
    ("PutBucketPolicy", "s3:PutBucketPolicy", {"Policy": "{}"}),
    ("DeleteBucketPolicy", "s3:DeleteBucketPolicy", {}),
    ("GetBucketEncryption", "s3:GetEncryptionConfiguration", {}),
    ("PutBucketEncryption", "s3:PutEncryptionConfiguration", {"ServerSideEncryptionConfiguration": {
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}}),
    ("DeleteBucketEncryption", "s3:PutEncryptionConfiguration", {}),
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
    bucket, source = workshop.make_bucket("asked", policy=""), action == "s3:GetObject" and "Copy" in name
    workshop.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    key = "k" if source else (given or {}).get("Key") or ("l" if name == "DeleteObjects" else None)
    own = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    others = [other for operation, other, _ in S3 if operation == name and other != action]
    others = [allow(others)] if others else []
    given = s3_given(bucket, given)
    told = lambda *statements: s3_outcome(workshop, user, name, given, statements)
    assert told(allow("*"), deny(action)), f"{action} denied"
    assert told(allow("*"), deny(action, own if given else "*")), f"{action} denied on {own}"
    assert not told(allow(action), *others), f"{action} allowed"
    if name in ("DeleteBucket", "CreateBucket"):
        workshop.s3.create_bucket(Bucket=bucket)
    workshop.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert told(allow(action, f"{own}x"), *others), f"{action} allowed elsewhere"
    if given:
        assert not told(allow(action, own), *others), f"{action} allowed on {own}"


def s3_given(bucket, given):
    given = {} if given is None else {"Bucket": bucket, **given}
    return {key: text.format(bucket=bucket) if key == "CopySource" else text for key, text in given.items()}


# Object lambdas answer at an address of their own; directory buckets are signed for another service.
S3_ELSEWHERE = ["WriteGetObjectResponse", "ListDirectoryBuckets"]


def test_every_operation_of_s3_has_a_row_or_is_not_offered(workshop):
    rows = {name for name, _, _ in S3}
    client, offered = workshop.client("s3", config=LAX), {}
    for name, given in operations("s3"):
        if name in rows or name in S3_ELSEWHERE:
            continue
        bucket = workshop.make_bucket("offered", policy="")
        found = outcome(client, name, {**given, "Bucket": bucket} if "Bucket" in given else given)
        if found is None or found[0] not in ("NotImplemented", "MethodNotAllowed"):
            offered[name] = found
    assert not offered, "\n".join(map(str, offered.items()))


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
        assert s3_outcome(workshop, user, name, s3_given(bucket, given), [allow("sts:AssumeRole")]), name


def test_everybody_may_know_who_it_is(workshop, user):
    workshop.set_policy(user, deny("*"))
    assert user.sts.get_caller_identity()["Arn"] == user.arn
