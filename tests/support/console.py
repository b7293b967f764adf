"""A server with one of everything that the console shows, and the addresses of its pages."""

import json
from urllib.parse import quote

from support.schemas import INTERACTIONS, ITEMS, USERS
from support.surfer import routes
from support.workshop import Workshop, unique, wait

# Stands in what is shown, and in no address.
MARK = "only-for-those-who-may"
ITEMS_CSV = "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"i{n},{n}.5,kind {n % 7}\n" for n in range(200))
WRONG_CSV = "ITEM_ID,PRICE,CATEGORY_L1\n" + "".join(f"i{n},dear,kind {n % 7}\n" for n in range(30))
EVENTS_CSV = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n" + "".join(
    f"u{n % 40},i{n % 50},{('view', 'buy')[n % 3 == 0]},{1_700_000_000 + n * 3600}\n" for n in range(400))


class World:
    """One of everything, each with a mark that only those see who may look at it."""

    def __init__(self, server):
        self.server = server
        self.workshop = w = Workshop(server.endpoint)
        self.group = w.make_group(items=ITEMS, users=USERS, interactions=INTERACTIONS, tracker=True)
        self.empty = w.make_group()
        self._fill_buckets()
        self._import()
        self._export()
        self._tell()
        self.names = {
            "group": last(self.group.arn), "tracker": last(self.group.tracker), "bucket": self.bucket,
            "role": last(self.role), "key": self.key, "policy": "bucket-access", "export": last(self.export_job),
            "import": last(self.import_job), "deletion": self.deletion_job, "attribution": self.attribution,
            "empty": last(self.empty.arn), "failed": last(self.failed_job),
        }

    def _fill_buckets(self):
        w = self.workshop
        self.bucket = w.source
        w.s3.put_object(Bucket=self.bucket, Key=f"{MARK}.csv", Body=b"a")
        w.upload(ITEMS_CSV, "in/items.csv")
        self.role = w.make_role("marked", self.bucket, policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Sid": MARK.replace("-", ""), "Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{MARK}"}]}))
        self.key = w.kms.create_key(Description=MARK)["KeyMetadata"]["KeyId"]

    def _import(self):
        w = self.workshop
        self.import_job = w.start_import(self.group.items, f"s3://{self.bucket}/in/items.csv")
        assert w.wait_import(self.import_job)["status"] == "ACTIVE"
        w.import_csv(self.group.interactions, EVENTS_CSV)
        self.failed_job = w.start_import(self.group.items, w.upload(WRONG_CSV))
        assert w.wait_import(self.failed_job)["status"] == "CREATE FAILED"
        w.put_items(self.group.items, ("i2", {"price": 2.0, "categoryL1": MARK}))
        w.put_event(self.group.tracking_id, "u1", "i1", "view", 1_700_000_000)

    def _export(self):
        w = self.workshop
        self.export_job = w.start_export(self.group.items, "ALL")
        assert w.wait_export(self.export_job)["status"] == "ACTIVE"

    def _tell(self):
        """What belongs to the group, besides its data."""
        w = self.workshop
        w.personalize.tag_resource(resourceArn=self.group.arn, tags=[{"tagKey": "team", "tagValue": MARK}])
        self.deletion_job = unique("deletion")
        w.personalize.create_data_deletion_job(
            jobName=self.deletion_job, datasetGroupArn=self.group.arn, roleArn=w.import_role,
            dataSource={"dataLocation": w.upload("USER_ID\nu39\n")})
        self.attribution = unique("attribution")
        w.personalize.create_metric_attribution(
            name=self.attribution, datasetGroupArn=self.group.arn,
            metrics=[{"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}],
            metricsOutputConfig={"roleArn": w.export_role, "s3DataDestination": {"path": f"s3://{w.target}/reports"}})
        jobs = lambda: w.personalize.list_data_deletion_jobs(datasetGroupArn=self.group.arn)["dataDeletionJobs"][0]
        assert wait(jobs, ("COMPLETED", "FAILED"))["status"] == "COMPLETED"

    def path(self, pattern):
        """`groups/{group}/tags` as the path of a page that is there."""
        return "/console/" + pattern.format(**{name: quote(value, safe="") for name, value in self.names.items()})

    def paths(self):
        """A path for each route but that to sign in, with names of what is there, and whether it takes forms only."""
        for words, is_post in routes():
            if words != ['"sign-in"']:
                yield self.path("/".join(stand_in(word, words) for word in words)), is_post

    def calls(self):
        """How many lines the audit log has: each call of whoever it may be leaves one."""
        return (self.server.data_dir / "audit.log").read_text().count("\n")


def last(arn):
    return arn.rsplit("/", 1)[1]


def stand_in(word, words):
    """What stands in a route's place: itself, or what this world has for it."""
    fixed = [word.strip('"') for word in words if word.startswith('"')]
    if word.startswith('"'):
        return word.strip('"')
    if fixed[0] == "jobs":
        kind = next((kind for kind in ("export", "import", "deletion") if kind in fixed), "export")
        return kind if word == "kind" else f"{{{kind}}}"
    if word == "kind":
        return "ITEMS"
    for place, name in [("trackers", "tracker"), ("deletions", "deletion"), ("buckets", "bucket"), ("keys", "key")]:
        if place in fixed and word in ("name", "id", "bucket", "tracker", "job"):
            return f"{{{name}}}"
    return {"group": "{group}", "name": "{role}", "role": "{role}", "policy": "{policy}"}.get(word, "x")
