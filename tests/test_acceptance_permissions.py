"""Acceptance, exports: who may, what is refused before a job exists, and how a refusal reaches the caller."""

import json
from datetime import timedelta

import botocore.auth
import pytest

from support import raw
from support.clients import Clients
from support.policies import bucket_policy, role_policy, trust_policy
from support.schemas import INTERACTIONS, ITEMS, USERS
from support.server import ACCOUNT
from support.workshop import unique

ARN = f"arn:aws:personalize:us-east-1:{ACCOUNT}:"
PRIVILEGES = ("Insufficient privileges for accessing data in S3. Please look at https://docs.aws.amazon.com/personalize/"
              "latest/dg/granting-personalize-s3-access.html#attach-bucket-policy and fix bucket policy on ")


@pytest.fixture(scope="module")
def items(workshop):
    """An Items dataset with one put record."""
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    return items


def refused(call, exception, status=400):
    with pytest.raises(exception) as caught:
        call()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    return caught.value.response["Error"]["Message"]


def names(workshop, items):
    jobs = workshop.personalize.list_dataset_export_jobs(datasetArn=items)["datasetExportJobs"]
    return [job["jobName"] for job in jobs]


def refused_export(workshop, items, exception=None, **more):
    """The text of a refusal that left no job behind."""
    name = unique("refused")
    start = lambda: workshop.start_export(items, name=name, **more)
    text = refused(start, exception or workshop.personalize.exceptions.InvalidInputException)
    assert name not in names(workshop, items)
    return text


def trust_with_source(account):
    trust = json.loads(trust_policy())
    trust["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return json.dumps(trust)


def test_31_missing_bucket_policy(workshop, items):
    bucket = workshop.make_bucket("closed", policy="")
    role = workshop.make_role("closed", bucket)
    text = refused_export(workshop, items, path=f"s3://{bucket}/out", roleArn=role)
    assert text.startswith(PRIVILEGES + bucket)
    workshop.s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket))
    assert workshop.export(items, path=f"s3://{bucket}/out", roleArn=role).lines == ["i1,1.0,A"]


def test_32_role_not_trusting(workshop, items):
    for trust in (trust_policy("ec2.amazonaws.com"), trust_with_source("111122223333")):
        role = workshop.make_role("untrusting", workshop.target, trust=trust)
        text = refused_export(workshop, items, roleArn=role)
        assert text.startswith(f"Personalize can't assume the role {role}.")
    role = workshop.make_role("trusting", workshop.target, trust=trust_with_source(ACCOUNT))
    assert workshop.export(items, roleArn=role).lines == ["i1,1.0,A"]


def test_33_pass_role_denied(workshop, items):
    user = unique("analyst")
    workshop.iam.create_user(UserName=user)
    key = workshop.iam.create_access_key(UserName=user)["AccessKey"]
    allow = {"Effect": "Allow", "Action": "personalize:*", "Resource": "*"}
    policy = lambda *statements: json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    workshop.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy(allow))
    client = Clients(workshop.endpoint, key["AccessKeyId"], key["SecretAccessKey"]).personalize
    name = unique("passed")
    create = lambda: client.create_dataset_export_job(
        jobName=name, datasetArn=items, roleArn=workshop.export_role, ingestionMode="PUT",
        jobOutput={"s3DataDestination": {"path": f"s3://{workshop.target}/out"}})
    with pytest.raises(client.exceptions.ClientError) as caught:
        create()
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    caller = f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: iam:PassRole"
    assert error["Message"].startswith(caller) and workshop.export_role in error["Message"]
    assert name not in names(workshop, items)
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": workshop.export_role}
    workshop.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy(allow, passing))
    assert workshop.read_export(create()["datasetExportJobArn"]).lines == ["i1,1.0,A"]


def test_34_list_bucket_only(workshop, items):
    bucket = workshop.make_bucket("listed")
    role = workshop.make_role("lister", bucket, ["s3:ListBucket"])
    assert refused_export(workshop, items, path=f"s3://{bucket}/out", roleArn=role).startswith(PRIVILEGES + bucket)
    assert workshop.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_35_export_needs_no_get(workshop, items):
    actions = ["s3:PutObject", "s3:ListBucket"]
    bucket = workshop.make_bucket("written", policy="")
    workshop.s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, actions))
    role = workshop.make_role("writer", bucket, policy=role_policy(bucket, actions))
    assert workshop.export(items, path=f"s3://{bucket}/out", roleArn=role).lines == ["i1,1.0,A"]


def test_36_duplicate_job_name(workshop, items):
    users, name = workshop.make_group(users=USERS).users, unique("a")
    workshop.export(items, name=name)
    taken = workshop.personalize.exceptions.ResourceAlreadyExistsException
    for dataset in (items, users):
        text = refused(lambda: workshop.start_export(dataset, name=name), taken)
        assert f"{ARN}dataset-export-job/{name}" in text


def test_38_unknown_dataset(workshop, items):
    exceptions = workshop.personalize.exceptions
    refused_export(workshop, f"{ARN}dataset/nobody/ITEMS", exceptions.ResourceNotFoundException)
    with pytest.raises(exceptions.InvalidInputException):
        workshop.start_export("arn:of:nothing")


# How refusals and signatures reach the caller.


def test_66_boto3_errors(workshop):
    personalize, events = workshop.personalize, workshop.events
    with pytest.raises(personalize.exceptions.ResourceNotFoundException) as control:
        personalize.describe_dataset(datasetArn=f"{ARN}dataset/nobody/ITEMS")
    with pytest.raises(events.exceptions.ResourceNotFoundException) as put:
        events.put_items(datasetArn=f"{ARN}dataset/nobody/ITEMS", items=[{"itemId": "i1"}])
    for caught, status in ((control, 400), (put, 404)):
        response = caught.value.response
        assert response["Error"]["Code"] == "ResourceNotFoundException" and response["Error"]["Message"]
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status and response["ResponseMetadata"]["RequestId"]


def test_67_signing_name(workshop):
    group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
    body = {"trackingId": group.tracking_id, "userId": "u1", "sessionId": "s1",
            "eventList": [{"eventType": "click", "sentAt": 100, "itemId": "i1"}]}
    answer = raw.events(workshop.endpoint, "/events", body, service="personalize-events")
    assert (answer.status, answer.code) == (403, "InvalidSignatureException")
    assert workshop.export(group.interactions).rows == []
    answer = raw.events(workshop.endpoint, "/events", body, service="personalize")
    assert (answer.status, answer.body) == (200, b"")
    assert workshop.export(group.interactions).lines == ["u1,i1,click,100"]


def test_68_clock_skew(workshop, monkeypatch):
    now = botocore.auth.get_current_datetime
    list_schemas = lambda: raw.control(workshop.endpoint, "ListSchemas", {"maxResults": 1})
    for minutes, status in [(-16, 400), (16, 400), (-14, 200), (14, 200)]:
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now() + timedelta(minutes=minutes))
        answer = list_schemas()
        assert answer.status == status, minutes
        if status == 400:
            assert answer.code == "InvalidSignatureException"
