"""A small world for the examples of the documents: run as a program, it makes it and prints the variables of a shell."""

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
    print(f"export TRACKING_ID={make()}")
