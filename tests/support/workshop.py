"""Makes groups, datasets, roles and buckets on a server, runs jobs on them and waits for their end."""

import itertools
import json
import os
import time

from support.clients import Clients
from support.export import Export
from support.policies import EXPORT, IMPORT, bucket_policy, role_policy, trust_policy
from support.schemas import avro

POLL_S = 0.05
JOB_S = 60
_numbers = itertools.count(1)


def unique(prefix):
    """A name that no other test has used on this server."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


def wait(describe, ends=("ACTIVE", "CREATE FAILED"), within_s=JOB_S):
    """Polls a description until its status is one of `ends`."""
    deadline = time.monotonic() + within_s
    while (found := describe())["status"] not in ends:
        assert time.monotonic() < deadline, f"not ended after {within_s} s: {found}"
        time.sleep(POLL_S)
    return found


class Group:
    """A dataset group with the datasets and the tracker that were asked for."""

    def __init__(self, arn):
        self.arn = arn
        self.items = self.users = self.interactions = self.tracking_id = self.tracker = None


class Workshop(Clients):
    """Clients of the root user, a role and bucket to import from, and a role and bucket to export to."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        self.source = self.make_bucket("source", IMPORT)
        self.target = self.make_bucket("target", EXPORT)
        self.import_role = self.make_role("importer", self.source, IMPORT)
        self.export_role = self.make_role("exporter", self.target, EXPORT)

    def at(self, endpoint):
        """The same buckets and roles at the address that a restarted server answers at."""
        again = object.__new__(type(self))
        Clients.__init__(again, endpoint)
        for name in ("source", "target", "import_role", "export_role"):
            setattr(again, name, getattr(self, name))
        return again

    # Roles and buckets

    def make_role(self, prefix, bucket, actions=EXPORT, trust=None, policy=None):
        name = unique(prefix)
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust or trust_policy())["Role"]
        document = role_policy(bucket, actions) if policy is None else policy
        if document:
            self.iam.put_role_policy(RoleName=name, PolicyName="bucket-access", PolicyDocument=document)
        return role["Arn"]

    def make_bucket(self, prefix, actions=EXPORT, policy=None):
        bucket = unique(prefix)
        self.s3.create_bucket(Bucket=bucket)
        document = bucket_policy(bucket, actions) if policy is None else policy
        if document:
            self.s3.put_bucket_policy(Bucket=bucket, Policy=document)
        return bucket

    def make_user(self, prefix, *statements):
        """A user with a key and, where there are statements, a policy `p`; its clients know its name and ARN."""
        name = unique(prefix)
        arn = self.iam.create_user(UserName=name)["User"]["Arn"]
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        user = Clients(self.endpoint, key["AccessKeyId"], key["SecretAccessKey"])
        user.name, user.arn, user.key = name, arn, key["AccessKeyId"]
        if statements:
            self.set_policy(user, *statements)
        return user

    def set_policy(self, user, *statements):
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.iam.put_user_policy(UserName=user.name, PolicyName="p", PolicyDocument=document)

    # Groups, datasets, trackers

    def make_schema(self, dataset_type, fields, domain=None):
        more = {"domain": domain} if domain else {}
        name = unique("schema")
        return self.personalize.create_schema(name=name, schema=avro(dataset_type, fields), **more)["schemaArn"]

    def make_group(self, items=None, users=None, interactions=None, tracker=False, domain=None):
        more = {"domain": domain} if domain else {}
        created = self.personalize.create_dataset_group(name=unique("group"), **more)
        group = Group(created["datasetGroupArn"])
        self.wait_group(group.arn)
        group.items = items and self.make_dataset(group.arn, "ITEMS", items, domain)
        group.users = users and self.make_dataset(group.arn, "USERS", users, domain)
        group.interactions = interactions and self.make_dataset(group.arn, "INTERACTIONS", interactions, domain)
        if tracker:
            group.tracker, group.tracking_id = self.make_tracker(group.arn)
        return group

    def make_dataset(self, group_arn, dataset_type, fields, domain=None):
        schema = self.make_schema(dataset_type, fields, domain)
        arn = self.personalize.create_dataset(
            name=unique("dataset"), schemaArn=schema, datasetGroupArn=group_arn, datasetType=dataset_type
        )["datasetArn"]
        wait(lambda: self.personalize.describe_dataset(datasetArn=arn)["dataset"])
        return arn

    def replace_schema(self, dataset, fields):
        """Updates a dataset to a new schema of its type and waits; the schema's ARN."""
        schema = self.make_schema(dataset.rsplit("/", 1)[1], fields)
        self.personalize.update_dataset(datasetArn=dataset, schemaArn=schema)
        assert self.wait_update(dataset)["status"] == "ACTIVE"
        return schema

    def wait_update(self, dataset):
        """Waits for the end of a dataset's latest update."""
        describe = lambda: self.personalize.describe_dataset(datasetArn=dataset)["dataset"]["latestDatasetUpdate"]
        return wait(describe, ends=("ACTIVE", "UPDATE FAILED"))

    def make_tracker(self, group_arn):
        created = self.personalize.create_event_tracker(name=unique("tracker"), datasetGroupArn=group_arn)
        arn = created["eventTrackerArn"]
        wait(lambda: self.personalize.describe_event_tracker(eventTrackerArn=arn)["eventTracker"])
        return arn, created["trackingId"]

    def wait_group(self, arn):
        return wait(lambda: self.personalize.describe_dataset_group(datasetGroupArn=arn)["datasetGroup"])

    # Records one by one

    def put_items(self, dataset, *items):
        """Each item is (id, properties)."""
        records = [{"itemId": key, "properties": json.dumps(values)} for key, values in items]
        return self.events.put_items(datasetArn=dataset, items=records)

    def put_users(self, dataset, *users):
        records = [{"userId": key, "properties": json.dumps(values)} for key, values in users]
        return self.events.put_users(datasetArn=dataset, users=records)

    def put_event(self, tracking_id, user, item, kind, at, session="s1", **more):
        who = {"userId": user} if user else {}
        event = {"eventType": kind, "sentAt": at, "itemId": item, **more}
        return self.events.put_events(trackingId=tracking_id, sessionId=session, eventList=[event], **who)

    # Jobs

    def upload(self, text, key=None):
        """Puts a CSV into the source bucket; its location."""
        key = key or f"{unique('in')}/data.csv"
        self.s3.put_object(Bucket=self.source, Key=key, Body=text.encode() if isinstance(text, str) else text)
        return f"s3://{self.source}/{key}"

    def start_import(self, dataset, location, mode="FULL", name=None, **more):
        more = {"roleArn": self.import_role, **more}
        return self.personalize.create_dataset_import_job(
            jobName=name or unique("import"), datasetArn=dataset, dataSource={"dataLocation": location},
            importMode=mode, **more,
        )["datasetImportJobArn"]

    def wait_import(self, arn, within_s=JOB_S):
        describe = self.personalize.describe_dataset_import_job
        return wait(lambda: describe(datasetImportJobArn=arn)["datasetImportJob"], within_s=within_s)

    def import_csv(self, dataset, text, mode="FULL", within_s=JOB_S):
        """Uploads and imports; the job, which has to have succeeded."""
        job = self.wait_import(self.start_import(dataset, self.upload(text), mode), within_s)
        assert job["status"] == "ACTIVE", job
        return job

    def start_export(self, dataset, mode=None, name=None, path=None, **more):
        more = {"roleArn": self.export_role, **({"ingestionMode": mode} if mode else {}), **more}
        path = path or f"s3://{self.target}/out"
        return self.personalize.create_dataset_export_job(
            jobName=name or unique("export"), datasetArn=dataset,
            jobOutput={"s3DataDestination": {"path": path}}, **more,
        )["datasetExportJobArn"]

    def wait_export(self, arn, within_s=JOB_S):
        describe = self.personalize.describe_dataset_export_job
        return wait(lambda: describe(datasetExportJobArn=arn)["datasetExportJob"], within_s=within_s)

    def read_export(self, arn, within_s=JOB_S):
        """Waits for an export and reads it; it has to have succeeded, and its manifest to be true."""
        job = self.wait_export(arn, within_s)
        assert job["status"] == "ACTIVE", job
        return Export(self.s3, job["jobOutput"]["s3DataDestination"]["path"], job["jobName"]).check()

    def export(self, dataset, mode=None, within_s=JOB_S, **more):
        return self.read_export(self.start_export(dataset, mode, **more), within_s)
