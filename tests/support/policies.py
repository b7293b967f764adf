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


def allow(actions, resources="*", **condition):
    """A statement; `condition` is an operator and what it asks for, such as `StringEquals={...}`."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **({"Condition": condition} if condition else {})}


def deny(actions, resources="*", **condition):
    return {**allow(actions, resources, **condition), "Effect": "Deny"}
