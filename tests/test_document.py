"""The published page "Exporting a dataset", top to bottom: its policies, commands and code run as printed."""

import json
import shlex
import subprocess
import sys

import pytest

from support.clients import AWS, Clients, aws, aws_json
from support.schemas import INTERACTIONS
from support.workshop import unique, wait

ROLE_POLICY = """
{
    "Version": "2012-10-17",
    "Id": "PersonalizeS3BucketAccessPolicy",
    "Statement": [
        {
            "Sid": "PersonalizeS3BucketAccessPolicy",
            "Effect": "Allow",
            "Action": [
                "s3:PutObject",
                "s3:ListBucket"
            ],
            "Resource": [
                "arn:aws:s3:::bucket-name",
                "arn:aws:s3:::bucket-name/*"
            ]
        }
    ]
}
"""
BUCKET_POLICY = ROLE_POLICY.replace(
    '"Effect": "Allow",',
    '"Effect": "Allow",\n            "Principal": {\n                "Service": "personalize.amazonaws.com"\n            },',
)
CLI = r"""
aws personalize create-dataset-export-job \
  --job-name job name \
  --dataset-arn dataset ARN \
  --job-output "{\"s3DataDestination\":{\"path\":\"s3://bucket-name/folder-name/\"}}" \
  --role-arn role ARN \
  --ingestion-mode PUT
"""
CLI_DESCRIBE = r"""
aws personalize describe-dataset-export-job \
  --dataset-export-job-arn dataset export job ARN
"""
BOTO3 = """
import boto3

personalize = boto3.client('personalize')

response = personalize.create_dataset_export_job(
    jobName = 'job name',
    datasetArn = 'dataset ARN',
    jobOutput = {
      "s3DataDestination": {
        "path": "s3://bucket-name/folder-name/"
      }
    },
    roleArn = 'role ARN',
    ingestionMode = 'PUT'
)

dsej_arn = response['datasetExportJobArn']

print ('Dataset Export Job arn: ' + dsej_arn)

description = personalize.describe_dataset_export_job(
    datasetExportJobArn = dsej_arn)['datasetExportJob']

print('Name: ' + description['jobName'])
print('ARN: ' + description['datasetExportJobArn'])
print('Status: ' + description['status'])
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{
        "Sid": "", "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "personalize.amazonaws.com"},
    }],
}


class Reader:
    """What the page's reader has at hand: a bucket, a role and a dataset with one recorded event."""

    def __init__(self, server, workshop, folder):
        self.server, self.workshop, self.folder = server, workshop, folder
        self.bucket = unique("bucket-name")
        self.role_name = unique("PersonalizeRole")
        group = workshop.make_group(interactions=INTERACTIONS, tracker=True)
        workshop.put_event(group.tracking_id, "u1", "i1", "click", 1553631760)
        self.dataset = group.interactions

    def fill_in(self, text, job_name, job_arn=""):
        """Replaces the page's placeholders, as it asks its reader to."""
        for placeholder, value in [
            ("job name", job_name), ("dataset export job ARN", job_arn), ("dataset ARN", self.dataset),
            ("role ARN", getattr(self, "role", "")), ("bucket-name", self.bucket),
        ]:
            text = text.replace(placeholder, value)
        return text

    def document(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return f"file://{path}"

    def prepare(self):
        """The page's section on permissions, with the AWS CLI."""
        aws(self.server, "s3api", "create-bucket", "--bucket", self.bucket)
        trust = self.document("trust.json", json.dumps(TRUST))
        role_policy = self.document("role.json", self.fill_in(ROLE_POLICY, ""))
        bucket_policy = self.document("bucket.json", self.fill_in(BUCKET_POLICY, ""))
        created = aws_json(self.server, "iam", "create-role", "--role-name", self.role_name,
                           "--assume-role-policy-document", trust)
        self.role = created["Role"]["Arn"]
        aws(self.server, "iam", "put-role-policy", "--role-name", self.role_name,
            "--policy-name", "export", "--policy-document", role_policy)
        aws(self.server, "s3api", "put-bucket-policy", "--bucket", self.bucket, "--policy", bucket_policy)
        return self

    def shell(self, text, env=None):
        text = text.replace("\naws ", f"\n{shlex.quote(AWS)} ")
        result = subprocess.run(["bash", "-ec", text], env=env or self.server.client_environment(),
                                capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def exported(self, job_name):
        """What the reader finds in the bucket, with the AWS CLI."""
        describe = self.workshop.personalize.describe_dataset_export_job
        arn = self.dataset.rsplit(":", 1)[0] + f":dataset-export-job/{job_name}"
        job = wait(lambda: describe(datasetExportJobArn=arn)["datasetExportJob"])
        assert job["status"] == "ACTIVE", job
        key = f"s3://{self.bucket}/folder-name/{job_name}/INTERACTIONS-00000.csv"
        return aws(self.server, "s3", "cp", key, "-").stdout


@pytest.fixture(scope="module")
def reader(server, workshop, tmp_path_factory):
    return Reader(server, workshop, tmp_path_factory.mktemp("document")).prepare()


EXPECTED = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i1,click,1553631760\n"


def test_cli_command_as_printed(reader):
    name = unique("cli-job")
    answer = json.loads(reader.shell(reader.fill_in(CLI, name)))
    assert list(answer) == ["datasetExportJobArn"]
    arn = answer["datasetExportJobArn"]
    assert arn == f"arn:aws:personalize:us-east-1:000000000000:dataset-export-job/{name}"
    description = json.loads(reader.shell(reader.fill_in(CLI_DESCRIBE, name, arn)))["datasetExportJob"]
    assert description["jobName"] == name and description["ingestionMode"] == "PUT"
    assert reader.exported(name) == EXPECTED


def test_boto3_block_as_printed(reader):
    name = unique("boto3-job")
    program = reader.fill_in(BOTO3, name)
    result = subprocess.run([sys.executable, "-c", program], env=reader.server.client_environment(),
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    arn = f"arn:aws:personalize:us-east-1:000000000000:dataset-export-job/{name}"
    lines = result.stdout.splitlines()
    assert lines[:3] == [f"Dataset Export Job arn: {arn}", f"Name: {name}", f"ARN: {arn}"]
    assert lines[3].removeprefix("Status: ") in {"CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"}
    assert reader.exported(name) == EXPECTED


def test_policies_are_given_back_as_they_were_put(reader):
    got = aws_json(reader.server, "iam", "get-role-policy", "--role-name", reader.role_name, "--policy-name", "export")
    assert got["PolicyDocument"] == json.loads(reader.fill_in(ROLE_POLICY, ""))
    got = aws_json(reader.server, "s3api", "get-bucket-policy", "--bucket", reader.bucket)
    assert json.loads(got["Policy"]) == json.loads(reader.fill_in(BUCKET_POLICY, ""))


def test_an_export_with_a_key_that_is_not_there_is_refused(reader):
    personalize = Clients(reader.server.endpoint).personalize
    with pytest.raises(personalize.exceptions.InvalidInputException) as refused:
        personalize.create_dataset_export_job(
            jobName=unique("kms"), datasetArn=reader.dataset, roleArn=reader.role,
            jobOutput={"s3DataDestination": {
                "kmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000",
                "path": f"s3://{reader.bucket}/folder-name/",
            }},
        )
    assert "kms" in str(refused.value).lower()
