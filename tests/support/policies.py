"""Policies as the service's documentation prints them, for a given bucket."""

import json

IMPORT = ("s3:GetObject", "s3:ListBucket")
EXPORT = ("s3:PutObject", "s3:ListBucket")


def role_policy(bucket, actions=EXPORT):
    """With the top-level Id that the document prints, though identity policies define none."""
    return json.dumps({
        "Version": "2012-10-17",
        "Id": "PersonalizeS3BucketAccessPolicy",
        "Statement": [{
            "Sid": "PersonalizeS3BucketAccessPolicy",
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }],
    })


def bucket_policy(bucket, actions=EXPORT):
    policy = json.loads(role_policy(bucket, actions))
    policy["Statement"][0]["Principal"] = {"Service": "personalize.amazonaws.com"}
    return json.dumps(policy)


def trust_policy(service="personalize.amazonaws.com"):
    return json.dumps({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "",
            "Effect": "Allow",
            "Principal": {"Service": [service]},
            "Action": "sts:AssumeRole",
        }],
    })


KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:ListGrants")


def key_policy(role, account="000000000000"):
    """What the documentation asks of a key: the account, the role and the service may use it."""
    statement = lambda principal, actions: {
        "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}
    use = [*KEY_ACTIONS, "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext"]
    return json.dumps({
        "Version": "2012-10-17",
        "Id": "key-policy",
        "Statement": [
            statement({"AWS": f"arn:aws:iam::{account}:root"}, "kms:*"),
            statement({"AWS": role, "Service": "personalize.amazonaws.com"}, use),
        ],
    })


def encrypting_role_policy(key):
    return json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(KEY_ACTIONS), "Resource": key}],
    })


def denying(policy, action, resource):
    """The policy with a statement more, which forbids."""
    policy = json.loads(policy)
    policy["Statement"].append({"Effect": "Deny", "Action": action, "Resource": resource})
    return json.dumps(policy)
def allow(actions, resources="*", **condition):
    """A statement; `condition` is an operator and what it asks for, such as `StringEquals={...}`."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **({"Condition": condition} if condition else {})}


def deny(actions, resources="*", **condition):
    return {**allow(actions, resources, **condition), "Effect": "Deny"}
