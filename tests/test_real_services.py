"""Groups and jobs on services of another server: its S3, STS and KMS are real ones to this one."""

import json

import pytest
from botocore.exceptions import ClientError

from support.clients import Clients
from support.export import Export
from support.policies import EXPORT, IMPORT, allow
from support.schemas import INTERACTIONS
from support.server import Server
from support.workshop import Workshop, unique

CSV = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(f"user{n},item{n % 7},click,{n}\n" for n in range(200))
USE = ["kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"]


class Guest(Workshop):
    """A workshop on one server, with buckets, roles and keys on another, the host."""

    def __init__(self, endpoint, host, principal):
        Clients.__init__(self, endpoint)
        self.host, self.principal = host, principal
        self.bucket = host.make_bucket("guest", policy="")
        objects = [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]
        self.import_role = self.make_outer_role("importer", allow(list(IMPORT), objects))
        self.export_role = self.make_outer_role("exporter", allow(list(EXPORT), objects))
        host.s3.put_object(Bucket=self.bucket, Key="in/data.csv", Body=CSV.encode())

    def make_outer_role(self, prefix, *statements):
        document = lambda *all: json.dumps({"Version": "2012-10-17", "Statement": all})
        trust = document({"Effect": "Allow", "Principal": {"AWS": self.principal}, "Action": "sts:AssumeRole"})
        return self.host.make_role(prefix, self.bucket, trust=trust, policy=document(*statements))

    def start_outer_import(self, dataset):
        return self.start_import(dataset, f"s3://{self.bucket}/in/")

    def start_outer_export(self, dataset):
        return self.start_export(dataset, "ALL", path=f"s3://{self.bucket}/out")

    def rows_of(self, job):
        job = self.wait_export(job)
        assert job["status"] == "ACTIVE", job
        return Export(self.host.s3, job["jobOutput"]["s3DataDestination"]["path"], job["jobName"]).check().rows


@pytest.fixture(scope="module")
def service(workshop):
    """The guest's own user on the host."""
    return workshop.make_user("lade")


@pytest.fixture(scope="module")
def guest(tmp_path_factory, workshop, service):
    secret = tmp_path_factory.mktemp("secret") / "key"
    secret.write_text(service.session.get_credentials().secret_key + "\n")
    env = {f"LADE_{name}_ENDPOINT": workshop.endpoint for name in ("S3", "STS", "KMS")}
    env |= {"LADE_SERVICE_ACCESS_KEY_ID": service.key, "LADE_SERVICE_SECRET_ACCESS_KEY_FILE": str(secret),
            "LADE_SERVICE_ARN": service.arn}
    server = Server(tmp_path_factory.mktemp("guest"), env=env).start()
    yield Guest(server.endpoint, workshop, service.arn)
    assert server.stop() == 0, server.tail()


@pytest.fixture
def key(workshop):
    return workshop.kms.create_key()["KeyMetadata"]["Arn"]


def make_group(guest, key, role, caller=None):
    arn = (caller or guest).personalize.create_dataset_group(
        name=unique("group"), kmsKeyArn=key, roleArn=role)["datasetGroupArn"]
    guest.wait_group(arn)
    return arn


def refusal(call, code="InvalidInputException"):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return error["Message"]


def test_a_group_is_sealed_under_a_key_of_the_real_kms(guest, workshop, key):
    role = guest.make_outer_role("sealer", allow(USE, [key]))
    group = make_group(guest, key, role)
    assert guest.personalize.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]["kmsKeyArn"] == key
    dataset = guest.make_dataset(group, "INTERACTIONS", INTERACTIONS)
    assert guest.wait_import(guest.start_outer_import(dataset))["status"] == "ACTIVE"
    assert len(guest.rows_of(guest.start_outer_export(dataset))) == 200

    workshop.kms.disable_key(KeyId=key)
    message = refusal(lambda: guest.start_outer_export(dataset))
    assert message == f"Insufficient privileges for KMS key {key}. {key} is disabled."
    workshop.kms.enable_key(KeyId=key)
    assert len(guest.rows_of(guest.start_outer_export(dataset))) == 200


def test_the_role_of_a_group_needs_both_actions_on_the_key(guest, key):
    for missing in USE:
        role = guest.make_outer_role("halfway", allow([action for action in USE if action != missing], [key]))
        message = refusal(lambda: make_group(guest, key, role))
        assert f"assumed-role/{role.rsplit('/')[-1]}/" in message, message
        assert f"is not authorized to perform: {missing} on resource: {key}" in message, message
        assert "Add this statement to a policy of the role" in message, message


def test_a_caller_needs_a_right_of_its_own_to_the_key(guest, key):
    role = guest.make_outer_role("sealer", allow(USE, [key]))
    personalize = allow(["personalize:*", "iam:PassRole"])
    caller = guest.make_user("caller", personalize)
    assert key in refusal(lambda: make_group(guest, key, role, caller), "AccessDeniedException")
    guest.set_policy(caller, personalize, allow(USE, [key]))
    make_group(guest, key, role, caller)


def test_doors_of_services_that_are_elsewhere_are_closed(guest):
    for call in (guest.kms.list_keys, guest.sts.get_caller_identity, guest.s3.list_buckets):
        with pytest.raises(ClientError, match="send the request there"):
            call()


def test_a_job_s_session_ends_with_the_trust_in_the_server(guest, workshop):
    dataset = guest.make_group(interactions=INTERACTIONS).interactions
    assert guest.wait_import(guest.start_outer_import(dataset))["status"] == "ACTIVE"
    name = guest.import_role.rsplit("/")[-1]
    trusting = workshop.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    nobody = json.dumps(trusting).replace(guest.principal, guest.principal + "-of-another")
    workshop.iam.update_assume_role_policy(RoleName=name, PolicyDocument=nobody)
    message = refusal(lambda: guest.start_outer_import(dataset))
    assert f"User: {guest.principal} is not authorized to perform: sts:AssumeRole on resource: {guest.import_role}" in message
    workshop.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trusting))
    assert guest.wait_import(guest.start_outer_import(dataset))["status"] == "ACTIVE"
