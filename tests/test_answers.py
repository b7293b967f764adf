"""What success looks like: answers hold what the service's model says and nothing else, and lists come in pages."""

import json

import pytest

from support import service_model
from support.raw import Line
from support.schemas import ACTION_INTERACTIONS, ACTIONS, INTERACTIONS, ITEMS, USERS, avro
from support.server import Server
from support.workshop import Workshop, unique, wait

ENDS = ("ACTIVE", "CREATE FAILED", "COMPLETED", "FAILED")


class Account:
    """An account with two of every kind of resource, made by raw calls whose answers are all held against the model."""

    def __init__(self, endpoint):
        self.line = Line(endpoint)
        self.workshop = Workshop(endpoint)
        self.done = set()
        self.groups, self.datasets, self.attributions = [], [], []
        for _ in range(2):
            self.make_group()

    def call(self, name, /, **body):
        path = service_model.path(name)
        answer = self.line.events(path, body) if path else self.line.control(name, body)
        assert answer.status == 200, f"{name}: {answer.body}"
        service_model.check_output(name, answer.body)
        self.done.add(name)
        return json.loads(answer.body) if answer.body else None

    def wait(self, name, /, **body):
        """Describes until the work on it has ended; the last description."""
        ended = wait(lambda: next(iter(self.call(name, **body).values())), ENDS)
        assert ended["status"] in ("ACTIVE", "COMPLETED"), ended
        return ended

    def make_group(self):
        group = self.call("CreateDatasetGroup", name=unique("group"), tags=[{"tagKey": "a", "tagValue": "1"}])
        group = group["datasetGroupArn"]
        self.wait("DescribeDatasetGroup", datasetGroupArn=group)
        self.groups.append(group)
        self.make_tags(group)
        items = self.make_dataset(group, "ITEMS", ITEMS)
        self.make_dataset(group, "USERS", USERS)
        self.make_dataset(group, "INTERACTIONS", INTERACTIONS)
        tracker = self.call("CreateEventTracker", name=unique("tracker"), datasetGroupArn=group)
        self.wait("DescribeEventTracker", eventTrackerArn=tracker["eventTrackerArn"])
        self.put(group, tracker["trackingId"])
        for _ in range(2):
            self.make_jobs(items)
        self.make_the_rest(group, items)

    def make_dataset(self, group, dataset_type, fields):
        schema = self.make_schema(dataset_type, fields)
        dataset = self.call("CreateDataset", name=unique("dataset"), schemaArn=schema, datasetGroupArn=group,
                            datasetType=dataset_type)["datasetArn"]
        self.wait("DescribeDataset", datasetArn=dataset)
        self.datasets.append(dataset)
        return dataset

    def make_schema(self, dataset_type, fields):
        document = avro(dataset_type, fields)
        schema = self.call("CreateSchema", name=unique("schema"), schema=document)["schemaArn"]
        assert self.call("DescribeSchema", schemaArn=schema)["schema"]["schema"] == document
        return schema

    def make_tags(self, group):
        self.call("TagResource", resourceArn=group, tags=[{"tagKey": "b", "tagValue": ""}])
        self.call("UntagResource", resourceArn=group, tagKeys=["a"])
        assert self.call("ListTagsForResource", resourceArn=group) == {"tags": [{"tagKey": "b", "tagValue": ""}]}

    def put(self, group, tracking_id):
        event = {"eventType": "e", "sentAt": 1553631760, "itemId": "i"}
        self.call("PutEvents", trackingId=tracking_id, sessionId="s", eventList=[event])
        items, users = self.datasets[-3:-1]
        self.call("PutItems", datasetArn=items, items=[{"itemId": "i", "properties": '{"price":1,"categoryL1":"A"}'}])
        self.call("PutUsers", datasetArn=users, users=[{"userId": "u", "properties": '{"age":1}'}])

    def make_jobs(self, dataset):
        location = self.workshop.upload("ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
        made = self.call("CreateDatasetImportJob", jobName=unique("import"), datasetArn=dataset,
                         dataSource={"dataLocation": location}, roleArn=self.workshop.import_role,
                         publishAttributionMetricsToS3=False)
        self.wait("DescribeDatasetImportJob", **made)
        made = self.call("CreateDatasetExportJob", jobName=unique("export"), datasetArn=dataset,
                         roleArn=self.workshop.export_role,
                         jobOutput={"s3DataDestination": {"path": f"s3://{self.workshop.target}/out"}})
        self.wait("DescribeDatasetExportJob", **made)

    def make_the_rest(self, group, items):
        self.put_actions(group)
        self.update(items)
        for _ in range(2):
            self.make_deletion(group)
        self.make_attribution(group)

    def put_actions(self, group):
        actions = self.make_dataset(group, "ACTIONS", ACTIONS)
        self.call("PutActions", datasetArn=actions, actions=[{"actionId": "a", "properties": '{"value":1,"kind":"A"}'}])
        taken = self.make_dataset(group, "ACTION_INTERACTIONS", ACTION_INTERACTIONS)
        tracking_id = self.call("DescribeDataset", datasetArn=taken)["dataset"]["trackingId"]
        interaction = {"actionId": "a", "sessionId": "s", "timestamp": 1553631760, "eventType": "Taken"}
        self.call("PutActionInteractions", trackingId=tracking_id, actionInteractions=[interaction])

    def update(self, dataset):
        schema = self.make_schema("ITEMS", f"{ITEMS} COLOUR:string?:categorical")
        self.call("UpdateDataset", datasetArn=dataset, schemaArn=schema)

        def describe():
            return self.call("DescribeDataset", datasetArn=dataset)["dataset"]["latestDatasetUpdate"]

        assert wait(describe, ("ACTIVE", "UPDATE FAILED"))["schemaArn"] == schema

    def make_deletion(self, group):
        made = self.call("CreateDataDeletionJob", jobName=unique("deletion"), datasetGroupArn=group,
                         dataSource={"dataLocation": self.workshop.upload("USER_ID\nnobody\n")},
                         roleArn=self.workshop.import_role)
        self.wait("DescribeDataDeletionJob", **made)

    def make_attribution(self, group):
        metrics = [{"eventType": "e", "metricName": name, "expression": "SAMPLECOUNT()"} for name in ("m1", "m2")]
        made = self.call("CreateMetricAttribution", name=unique("attribution"), datasetGroupArn=group, metrics=metrics,
                         metricsOutputConfig={"roleArn": self.workshop.export_role})
        self.wait("DescribeMetricAttribution", **made)
        more = {"eventType": "e", "metricName": "m3", "expression": "SAMPLECOUNT()"}
        self.call("UpdateMetricAttribution", addMetrics=[more], **made)
        self.wait("DescribeMetricAttribution", **made)
        self.attributions.append(made["metricAttributionArn"])

    def delete_a_group(self):
        """Makes one of everything that can be deleted, and deletes it."""
        group = self.call("CreateDatasetGroup", name=unique("group"))["datasetGroupArn"]
        self.wait("DescribeDatasetGroup", datasetGroupArn=group)
        dataset = self.make_dataset(group, "INTERACTIONS", INTERACTIONS)
        schema = self.call("DescribeDataset", datasetArn=dataset)["dataset"]["schemaArn"]
        self.make_attribution(group)
        self.call("DeleteMetricAttribution", metricAttributionArn=self.attributions.pop())
        tracker = self.call("CreateEventTracker", name=unique("tracker"), datasetGroupArn=group)["eventTrackerArn"]
        self.wait("DescribeEventTracker", eventTrackerArn=tracker)
        self.call("DeleteEventTracker", eventTrackerArn=tracker)
        self.until_gone("DescribeEventTracker", eventTrackerArn=tracker)
        self.call("DeleteDataset", datasetArn=dataset)
        self.until_gone("DescribeDataset", datasetArn=dataset)
        self.call("DeleteSchema", schemaArn=schema)
        self.call("DeleteDatasetGroup", datasetGroupArn=group)
        self.until_gone("DescribeDatasetGroup", datasetGroupArn=group)

    def until_gone(self, name, /, **body):
        def describe():
            answer = self.line.control(name, body)
            return {"status": "DELETED" if answer.code == "ResourceNotFoundException" else "THERE"}

        wait(describe, ("DELETED",))

    def filters(self, name):
        """The arguments that a list can be narrowed by, none of them first where it may be left out."""
        members = service_model.operation(name).input_shape.members
        if "metricAttributionArn" in members:
            return [{"metricAttributionArn": arn} for arn in self.attributions] or [{}]
        groups = [{"datasetGroupArn": arn} for arn in self.groups if "datasetGroupArn" in members]
        datasets = [{"datasetArn": arn} for arn in self.datasets if "datasetArn" in members and "/ITEMS" in arn]
        return [{}, *groups, *datasets]


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("answers")).start()
    yield Account(server.endpoint)
    assert server.stop() == 0, server.tail()


def rows(account, name, /, **body):
    return account.call(name, **body)[service_model.listed_member(name)]


PAGED = sorted(service_model.paged_lists())
# Metrics have no time of their own.
TIMED = sorted(set(service_model.paged_lists()) - {"ListMetricAttributionMetrics"})


def test_every_answer_is_as_the_model_says(account):
    for name in set(service_model.paged_lists()):
        for narrowed in account.filters(name):
            assert rows(account, name, **narrowed)
    account.delete_a_group()
    assert account.done == service_model.DATA_SIDE


class TestPages:
    @pytest.mark.parametrize("name", PAGED)
    def test_pages_of_one_row_show_all_rows_once_in_the_order_of_the_list(self, account, name):
        for narrowed in account.filters(name):
            whole, paged, token = rows(account, name, **narrowed), [], {}
            assert whole
            while token is not None:
                page = account.call(name, maxResults=1, **narrowed, **token)
                paged += page[service_model.listed_member(name)]
                token = {"nextToken": page["nextToken"]} if "nextToken" in page else None
            assert paged == whole
            assert "nextToken" not in account.call(name, maxResults=100, **narrowed)

    @pytest.mark.parametrize("name", TIMED)
    def test_rows_come_newest_first(self, account, name):
        listed, arn = rows(account, name), f"{service_model.listed_member(name)[:-1]}Arn"
        assert len(listed) > 1
        assert listed == sorted(listed, key=lambda row: (-row["creationDateTime"], row[arn]))

    @pytest.mark.parametrize("name", PAGED)
    def test_a_token_continues_with_pages_of_another_size(self, account, name):
        narrowed = account.filters(name)[0]
        behind = rows(account, name, **narrowed)[1:]
        token = account.call(name, maxResults=1, **narrowed)["nextToken"]
        assert rows(account, name, nextToken=token, maxResults=100, **narrowed) == behind
        assert rows(account, name, nextToken=token, **narrowed) == behind


class TestTokens:
    @pytest.mark.parametrize("name", PAGED)
    def test_no_token_can_be_made_up(self, account, name):
        narrowed = account.filters(name)[0]
        for token in ["", "x", "0", "null", "=", "AAAA", "A" * 64, "A" * 1500, "\0", "-" * 22, "eyJhIjoxfQ"]:
            self.refuse(account, name, nextToken=token, **narrowed)

    @pytest.mark.parametrize("name", PAGED)
    def test_no_token_can_be_altered(self, account, name):
        narrowed = account.filters(name)[0]
        token = account.call(name, maxResults=1, **narrowed)["nextToken"]
        altered = [token[:n] + ("A" if c != "A" else "B") + token[n + 1:] for n, c in enumerate(token)]
        cut = [token[:n] for n in range(0, len(token), 7)]
        for bad in [*altered, *cut, token + "A", token + "=", " " + token, token + "\n", token.swapcase(), token * 2]:
            self.refuse(account, name, nextToken=bad, **narrowed)

    @pytest.mark.parametrize("name", PAGED)
    def test_a_token_belongs_to_its_list_and_filter(self, account, name):
        filters = account.filters(name)
        for narrowed in filters:
            page = account.call(name, maxResults=1, **narrowed)
            for other in filters if "nextToken" in page else []:
                if other != narrowed:
                    self.refuse(account, name, nextToken=page["nextToken"], **other)
        for other in set(service_model.paged_lists()) - {name}:
            page = account.call(other, maxResults=1, **account.filters(other)[0])
            self.refuse(account, name, nextToken=page["nextToken"], **filters[0])

    @staticmethod
    def refuse(account, name, /, **body):
        answer = account.line.control(name, body)
        assert (answer.status, answer.code) == (400, "InvalidNextTokenException"), (body, answer)
