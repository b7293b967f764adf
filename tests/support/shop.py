"""A small world for the examples of the documents: run as a program, it makes it and prints the variables of a shell.

With `compare` it looks whether docs/getting-started.md has made the same one, by hand.
"""

import json
import os
import sys

import boto3

from support.policies import bucket_policy, role_policy, trust_policy
from support.schemas import INTERACTIONS, avro
from support.workshop import wait

BUCKET = "shop"
DATASETS = "arn:aws:personalize:us-east-1:000000000000:dataset/shop"
ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:ListBucket")
# Fields and rows of each dataset; the file and the schema are called after it, too.
CONTENT = {
    "items": ("ITEM_ID:string PRICE:float GENRES:string?:categorical",
              "ITEM_ID,PRICE,GENRES\nkettle,39.5,kitchen\nlamp,25,living|light\nlamp,25,living|light\n"),
    "users": ("USER_ID:string AGE:int", "USER_ID,AGE\nann,31\nbob,45\n"),
    "interactions": (INTERACTIONS,
                     "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nann,kettle,click,1790000000\nann,lamp,click,1790000060\n"
                     "bob,lamp,buy,1790000120\nbob,lamp,buy,1790000120\n"),
}


def make():
    """Bucket, role, group, datasets with rows, tracker, and an export; the tracker's id."""
    role = _role_and_bucket()
    personalize = boto3.client("personalize")
    group = personalize.create_dataset_group(name="shop")["datasetGroupArn"]
    imports = [_import(personalize, group, role, name) for name in CONTENT]
    tracking_id = personalize.create_event_tracker(name="shop", datasetGroupArn=group)["trackingId"]
    for arn in imports:
        _active(lambda: personalize.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"])
    export = personalize.create_dataset_export_job(
        jobName="nightly", datasetArn=f"{DATASETS}/INTERACTIONS", roleArn=role, ingestionMode="ALL",
        jobOutput={"s3DataDestination": {"path": f"s3://{BUCKET}/out/"}},
    )["datasetExportJobArn"]
    _active(lambda: personalize.describe_dataset_export_job(datasetExportJobArn=export)["datasetExportJob"])
    return tracking_id


def compare():
    """Fails where the world that is there is another one than `make` would make."""
    personalize, s3, iam = boto3.client("personalize"), boto3.client("s3"), boto3.client("iam")
    policy = iam.get_role_policy(RoleName="PersonalizeRole", PolicyName="s3")["PolicyDocument"]
    assert _allowed(policy) == _allowed(json.loads(role_policy(BUCKET, ACTIONS))), policy
    policy = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    assert _allowed(policy) == _allowed(json.loads(bucket_policy(BUCKET, ACTIONS))), policy
    for name, (fields, rows) in CONTENT.items():
        assert s3.get_object(Bucket=BUCKET, Key=f"in/{name}.csv")["Body"].read().decode() == rows, name
        dataset = personalize.describe_dataset(datasetArn=f"{DATASETS}/{name.upper()}")["dataset"]
        schema = personalize.describe_schema(schemaArn=dataset["schemaArn"])["schema"]
        assert (dataset["name"], schema["name"]) == (name, name)
        assert json.loads(schema["schema"]) == json.loads(avro(name.upper(), fields)), name
        [job] = personalize.list_dataset_import_jobs(datasetArn=dataset["datasetArn"])["datasetImportJobs"]
        assert (job["jobName"], job["status"]) == (f"{name}-1", "ACTIVE"), job
    [tracker] = personalize.list_event_trackers()["eventTrackers"]
    shown = personalize.describe_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])["eventTracker"]
    assert (shown["name"], shown["trackingId"]) == ("shop", os.environ["TRACKING_ID"])
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key="out/nightly/_manifest.json")["Body"].read())
    assert (manifest["ledger"]["readBulk"], manifest["ledger"]["written"]) == (4, 3), manifest


def _allowed(policy):
    return [{key: one[key] for key in ("Effect", "Action", "Resource", "Principal") if key in one} for one in policy["Statement"]]


def _role_and_bucket():
    iam, s3 = boto3.client("iam"), boto3.client("s3")
    role = iam.create_role(RoleName="PersonalizeRole", AssumeRolePolicyDocument=trust_policy())["Role"]["Arn"]
    iam.put_role_policy(RoleName="PersonalizeRole", PolicyName="s3", PolicyDocument=role_policy(BUCKET, ACTIONS))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, ACTIONS))
    for name, (_, rows) in CONTENT.items():
        s3.put_object(Bucket=BUCKET, Key=f"in/{name}.csv", Body=rows.encode())
    return role


def _import(personalize, group, role, name):
    fields, _ = CONTENT[name]
    schema = personalize.create_schema(name=name, schema=avro(name.upper(), fields))["schemaArn"]
    dataset = personalize.create_dataset(name=name, schemaArn=schema, datasetGroupArn=group, datasetType=name.upper())
    return personalize.create_dataset_import_job(
        jobName=f"{name}-1", datasetArn=dataset["datasetArn"], roleArn=role,
        dataSource={"dataLocation": f"s3://{BUCKET}/in/{name}.csv"},
    )["datasetImportJobArn"]


def _active(describe):
    job = wait(describe)
    assert job["status"] == "ACTIVE", job


if __name__ == "__main__":
    if sys.argv[1:] == ["compare"]:
        compare()
    else:
        print(f"export TRACKING_ID={make()}")
