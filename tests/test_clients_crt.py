"""boto3 with awscrt installed, which signs and computes checksums through another implementation."""

import os
import subprocess
import sys

from support.workshop import unique

PROGRAM = """
import sys, urllib.request
import boto3
from botocore.compat import HAS_CRT
from botocore.config import Config

assert HAS_CRT
bucket, body = sys.argv[1], b"x" * 200_000
s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
s3.create_bucket(Bucket=bucket)
put = s3.put_object(Bucket=bucket, Key="a b/ü", Body=body, ChecksumAlgorithm="CRC64NVME")
got = s3.get_object(Bucket=bucket, Key="a b/ü", ChecksumMode="ENABLED")
assert got["ChecksumCRC64NVME"] == put["ChecksumCRC64NVME"] and got["Body"].read() == body
url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b/ü"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == body
print(boto3.client("personalize").list_schemas()["schemas"] is not None)
print(boto3.client("sts").get_caller_identity()["Account"])
"""


def test_signatures_and_checksums_of_the_common_runtime(server):
    env = {**server.client_environment(), "BOTO_DISABLE_CRT": "false", "no_proxy": "127.0.0.1"}
    result = subprocess.run([sys.executable, "-c", PROGRAM, unique("crt")], env=env, capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["True", "000000000000"]
    assert os.environ["BOTO_DISABLE_CRT"] == "true", "the other suites sign as a plain boto3 does"
