"""Every operation on data: a call that succeeds, and one that is refused by an exception of the service's model.

The inputs are those of the wire, so that boto3 and the AWS CLI take them alike.
"""

import json
from functools import cached_property

from botocore.loaders import Loader
from botocore.model import ServiceModel

from support.schemas import INTERACTIONS, ITEMS, USERS, avro
from support.workshop import unique, wait

ARN = "arn:aws:personalize:us-east-1:000000000000:"
ACTIONS = "ACTION_ID:string COLOR:string:categorical"
# What trains, recommends or runs in batches is not of the data side.
OTHER = {
    "CreateBatchInferenceJob", "CreateBatchSegmentJob", "CreateCampaign", "CreateFilter", "CreateRecommender",
    "CreateSolution", "CreateSolutionVersion", "DeleteCampaign", "DeleteFilter", "DeleteRecommender", "DeleteSolution",
    "DescribeAlgorithm", "DescribeBatchInferenceJob", "DescribeBatchSegmentJob", "DescribeCampaign",
    "DescribeFeatureTransformation", "DescribeFilter", "DescribeRecipe", "DescribeRecommender", "DescribeSolution",
    "DescribeSolutionVersion", "GetSolutionMetrics", "ListBatchInferenceJobs", "ListBatchSegmentJobs", "ListCampaigns",
    "ListFilters", "ListRecipes", "ListRecommenders", "ListSolutionVersions", "ListSolutions", "StartRecommender",
    "StopRecommender", "StopSolutionVersionCreation", "UpdateCampaign", "UpdateRecommender", "UpdateSolution",
}


def service(name):
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


MODELS = {name: service(name) for name in ("personalize", "personalize-events")}
DATA_SIDE = [name for model in MODELS.values() for name in model.operation_names if name not in OTHER]


def service_of(operation):
    """The name of the service, as clients are called, that has an operation."""
    return next(name for name, model in MODELS.items() if operation in model.operation_names)


class World:
    """What the calls are about; each thing is made when it is first asked for."""

    def __init__(self, workshop):
        self.workshop, self.personalize = workshop, workshop.personalize
        self.group = workshop.make_group(items=ITEMS, users=USERS, interactions=INTERACTIONS, tracker=True)
        self.schema = self.personalize.describe_dataset(datasetArn=self.group.items)["dataset"]["schemaArn"]
        self.location = workshop.upload("ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")

    @cached_property
    def import_job(self):
        return self.workshop.start_import(self.group.items, self.location)

    @cached_property
    def export_job(self):
        return self.workshop.start_export(self.group.items)

    @cached_property
    def deletion_job(self):
        return self.personalize.create_data_deletion_job(**self.deletion())["dataDeletionJobArn"]

    @cached_property
    def attribution(self):
        return self.made_attribution()

    @cached_property
    def actions(self):
        return self.workshop.make_dataset(self.group.arn, "ACTIONS", ACTIONS)

    @cached_property
    def actions_tracking_id(self):
        """Of an Action interactions dataset, which has a tracker of its own."""
        fields = [{"name": name, "type": "string"} for name in ("USER_ID", "ACTION_ID", "EVENT_TYPE")]
        schema = json.dumps({"type": "record", "name": "ActionInteractions", "version": "1.0",
                             "namespace": "com.amazonaws.personalize.schema",
                             "fields": [*fields, {"name": "TIMESTAMP", "type": "long"}]})
        schema = self.personalize.create_schema(name=unique("schema"), schema=schema)["schemaArn"]
        arn = self.personalize.create_dataset(name=unique("dataset"), schemaArn=schema, datasetGroupArn=self.group.arn,
                                              datasetType="Action_Interactions")["datasetArn"]
        return wait(lambda: self.personalize.describe_dataset(datasetArn=arn)["dataset"])["trackingId"]

    def empty_group(self):
        return self.workshop.make_group().arn

    def tracker(self):
        return self.workshop.make_tracker(self.empty_group())[0]

    def deletion(self, group=None):
        location = self.workshop.upload("USER_ID\nnobody\n")
        return {"jobName": unique("deletion"), "datasetGroupArn": group or self.empty_group(),
                "dataSource": {"dataLocation": location}, "roleArn": self.workshop.import_role}

    def metrics(self, group=None):
        group = group or self.workshop.make_group(interactions=INTERACTIONS).arn
        metric = {"eventType": "click", "metricName": "clicks", "expression": "SAMPLECOUNT()"}
        return {"name": unique("attribution"), "datasetGroupArn": group, "metrics": [metric],
                "metricsOutputConfig": {"roleArn": self.metrics_role}}

    @cached_property
    def metrics_role(self):
        return self.workshop.make_role("metrics", self.workshop.target, policy=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*"}]}))

    def made_attribution(self):
        arn = self.personalize.create_metric_attribution(**self.metrics())["metricAttributionArn"]
        describe = self.personalize.describe_metric_attribution
        wait(lambda: describe(metricAttributionArn=arn)["metricAttribution"])
        return arn

    def export(self, dataset):
        return {"jobName": unique("export"), "datasetArn": dataset, "roleArn": self.workshop.export_role,
                "jobOutput": {"s3DataDestination": {"path": f"s3://{self.workshop.target}/out"}}}

    def import_(self, location):
        return {"jobName": unique("import"), "datasetArn": self.group.items, "importMode": "FULL",
                "dataSource": {"dataLocation": location}, "roleArn": self.workshop.import_role}

    def wider_schema(self):
        """An Items dataset of its own, and a schema that its own can be replaced with."""
        return {"datasetArn": self.workshop.make_group(items=ITEMS).items,
                "schemaArn": self.workshop.make_schema("ITEMS", ITEMS + " COLOR:string?:categorical")}


NOTHING = {name: f"{ARN}{path}" for name, path in {
    "schemaArn": "schema/nobody", "datasetGroupArn": "dataset-group/nobody", "datasetArn": "dataset/nobody/ITEMS",
    "eventTrackerArn": "event-tracker/00000000", "datasetImportJobArn": "dataset-import-job/nobody",
    "datasetExportJobArn": "dataset-export-job/nobody", "dataDeletionJobArn": "data-deletion-job/nobody",
    "metricAttributionArn": "metric-attribution/nobody", "resourceArn": "dataset-group/nobody",
}.items()}
NO_TRACKER = "00000000-0000-4000-8000-000000000000"
EXISTS, IN_USE, INVALID = "ResourceAlreadyExistsException", "ResourceInUseException", "InvalidInputException"
NOT_FOUND, NO_TOKEN = "ResourceNotFoundException", "InvalidNextTokenException"


def name_of(arn):
    return arn.rsplit("/", 1)[1]


def nothing(member):
    return lambda w: {member: NOTHING[member]}


def no_token(w):
    return {"nextToken": "of-my-own-making"}


def tags(count):
    return [{"tagKey": f"k{n}", "tagValue": str(n)} for n in range(count)]


def event(tracking_id):
    return {"trackingId": tracking_id, "sessionId": "s1", "userId": "u1",
            "eventList": [{"eventType": "click", "sentAt": 1553631760, "itemId": "i1"}]}


def action_interaction(tracking_id):
    return {"trackingId": tracking_id, "actionInteractions": [
        {"actionId": "a1", "sessionId": "s1", "userId": "u1", "timestamp": 1553631760, "eventType": "Viewed"}]}


def record(dataset, member, key, properties):
    return {"datasetArn": dataset, member: [{key: "x1", "properties": json.dumps(properties)}]}


ITEM = ("items", "itemId", {"price": 1, "categoryL1": "A"})
USER = ("users", "userId", {"age": 1})
ACTION = ("actions", "actionId", {"color": "red"})

# Operation → input that succeeds, input that is refused, the refusal.
CALLS = {
    "CreateSchema": (
        lambda w: {"name": unique("schema"), "schema": avro("ITEMS", ITEMS)},
        lambda w: {"name": name_of(w.schema), "schema": avro("ITEMS", ITEMS)}, EXISTS),
    "DescribeSchema": (lambda w: {"schemaArn": w.schema}, nothing("schemaArn"), NOT_FOUND),
    "ListSchemas": (lambda w: {"maxResults": 100}, no_token, NO_TOKEN),
    "DeleteSchema": (
        lambda w: {"schemaArn": w.workshop.make_schema("ITEMS", ITEMS)}, lambda w: {"schemaArn": w.schema}, IN_USE),
    "CreateDatasetGroup": (
        lambda w: {"name": unique("group"), "tags": tags(2)}, lambda w: {"name": name_of(w.group.arn)}, EXISTS),
    "DescribeDatasetGroup": (
        lambda w: {"datasetGroupArn": w.group.arn}, nothing("datasetGroupArn"), NOT_FOUND),
    "ListDatasetGroups": (lambda w: {"maxResults": 100}, no_token, NO_TOKEN),
    "DeleteDatasetGroup": (
        lambda w: {"datasetGroupArn": w.empty_group()}, lambda w: {"datasetGroupArn": w.group.arn}, IN_USE),
    "CreateDataset": (
        lambda w: {"name": unique("dataset"), "schemaArn": w.schema, "datasetType": "Items",
                   "datasetGroupArn": w.empty_group()},
        lambda w: {"name": unique("dataset"), "schemaArn": w.schema, "datasetType": "Items",
                   "datasetGroupArn": w.group.arn}, EXISTS),
    "DescribeDataset": (lambda w: {"datasetArn": w.group.items}, nothing("datasetArn"), NOT_FOUND),
    "ListDatasets": (lambda w: {"datasetGroupArn": w.group.arn}, no_token, NO_TOKEN),
    "UpdateDataset": (
        lambda w: w.wider_schema(),
        lambda w: {"datasetArn": w.group.items, "schemaArn": NOTHING["schemaArn"]}, NOT_FOUND),
    "DeleteDataset": (
        lambda w: {"datasetArn": w.workshop.make_group(items=ITEMS).items},
        lambda w: {"datasetArn": w.group.interactions}, IN_USE),
    "CreateEventTracker": (
        lambda w: {"name": unique("tracker"), "datasetGroupArn": w.empty_group()},
        lambda w: {"name": unique("tracker"), "datasetGroupArn": w.group.arn}, EXISTS),
    "DescribeEventTracker": (
        lambda w: {"eventTrackerArn": w.group.tracker}, nothing("eventTrackerArn"), NOT_FOUND),
    "ListEventTrackers": (lambda w: {"datasetGroupArn": w.group.arn}, no_token, NO_TOKEN),
    "DeleteEventTracker": (
        lambda w: {"eventTrackerArn": w.tracker()}, nothing("eventTrackerArn"), NOT_FOUND),
    "CreateDatasetImportJob": (
        lambda w: w.import_(w.location), lambda w: w.import_(f"s3://{w.workshop.source}/no/such.csv"), INVALID),
    "DescribeDatasetImportJob": (
        lambda w: {"datasetImportJobArn": w.import_job}, nothing("datasetImportJobArn"), NOT_FOUND),
    "ListDatasetImportJobs": (lambda w: {"datasetArn": w.group.items}, no_token, NO_TOKEN),
    "CreateDatasetExportJob": (
        lambda w: w.export(w.group.users), lambda w: w.export(NOTHING["datasetArn"]), NOT_FOUND),
    "DescribeDatasetExportJob": (
        lambda w: {"datasetExportJobArn": w.export_job}, nothing("datasetExportJobArn"), NOT_FOUND),
    "ListDatasetExportJobs": (lambda w: {"datasetArn": w.group.items}, no_token, NO_TOKEN),
    "CreateDataDeletionJob": (
        lambda w: w.deletion(), lambda w: w.deletion(NOTHING["datasetGroupArn"]), NOT_FOUND),
    "DescribeDataDeletionJob": (
        lambda w: {"dataDeletionJobArn": w.deletion_job}, nothing("dataDeletionJobArn"), NOT_FOUND),
    "ListDataDeletionJobs": (lambda w: {"datasetGroupArn": w.group.arn}, no_token, NO_TOKEN),
    "CreateMetricAttribution": (
        lambda w: w.metrics(), lambda w: w.metrics(NOTHING["datasetGroupArn"]), NOT_FOUND),
    "DescribeMetricAttribution": (
        lambda w: {"metricAttributionArn": w.attribution}, nothing("metricAttributionArn"), NOT_FOUND),
    "ListMetricAttributions": (lambda w: {"datasetGroupArn": w.group.arn}, no_token, NO_TOKEN),
    "ListMetricAttributionMetrics": (lambda w: {"metricAttributionArn": w.attribution},
                                     lambda w: {"metricAttributionArn": w.attribution, **no_token(w)}, NO_TOKEN),
    "UpdateMetricAttribution": (
        lambda w: {"metricAttributionArn": w.made_attribution(), "addMetrics": [
            {"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}]},
        lambda w: {"metricAttributionArn": NOTHING["metricAttributionArn"], "removeMetrics": ["clicks"]}, NOT_FOUND),
    "DeleteMetricAttribution": (
        lambda w: {"metricAttributionArn": w.made_attribution()}, nothing("metricAttributionArn"), NOT_FOUND),
    "TagResource": (
        lambda w: {"resourceArn": w.group.arn, "tags": tags(2)},
        lambda w: {"resourceArn": w.group.arn, "tags": tags(51)}, "TooManyTagsException"),
    "UntagResource": (
        lambda w: {"resourceArn": w.group.arn, "tagKeys": ["never-there"]},
        lambda w: {"resourceArn": w.group.arn, "tagKeys": [f"k{n}" for n in range(51)]}, "TooManyTagKeysException"),
    "ListTagsForResource": (lambda w: {"resourceArn": w.group.arn}, nothing("resourceArn"), NOT_FOUND),
    "PutEvents": (lambda w: event(w.group.tracking_id), lambda w: event(NO_TRACKER), INVALID),
    "PutItems": (
        lambda w: record(w.group.items, *ITEM), lambda w: record(NOTHING["datasetArn"], *ITEM), NOT_FOUND),
    "PutUsers": (
        lambda w: record(w.group.users, *USER), lambda w: record(NOTHING["datasetArn"], *USER), NOT_FOUND),
    "PutActions": (
        lambda w: record(w.actions, *ACTION), lambda w: record(NOTHING["datasetArn"], *ACTION), NOT_FOUND),
    "PutActionInteractions": (
        lambda w: action_interaction(w.actions_tracking_id), lambda w: action_interaction(NO_TRACKER), NOT_FOUND),
}


def check_answer(operation, answer):
    """The members of an answer are those of the model, and there is at least one where it has any."""
    shape = MODELS[service_of(operation)].operation_model(operation).output_shape
    members = set(shape.members) if shape else set()
    assert set(answer) <= members, answer
    assert answer or operation.startswith(("Delete", "Put", "Tag", "Untag")), operation
    assert all(value not in (None, "") for value in answer.values()), answer


def check_modelled(operation, code):
    """An operation's model has this exception."""
    model = MODELS[service_of(operation)]
    assert code in [shape.name for shape in model.operation_model(operation).error_shapes], (operation, code)
