"""Metric attributions: their six operations, and the reports that imports write of them."""

import time
from datetime import datetime, timezone

import pytest

from support.policies import bucket_policy, role_policy, trust_policy
from support.schemas import INTERACTIONS, ITEMS
from support.workshop import unique

ARN = "arn:aws:personalize:us-east-1:000000000000:"
PUT = ("s3:PutObject",)
WATCHED = ("USER_ID:string ITEM_ID:string EVENT_TYPE:string EVENT_VALUE:float? TIMESTAMP:long "
           "EVENT_ATTRIBUTION_SOURCE:string?")
HEADER = "METRIC_NAME,EVENT_TYPE,VALUE,MATH_FUNCTION,EVENT_ATTRIBUTION_SOURCE,TIMESTAMP\n"


def metric(name, event="watch", expression="SAMPLECOUNT()"):
    return {"eventType": event, "metricName": name, "expression": expression}


@pytest.fixture(scope="module")
def reports(workshop):
    """A bucket for reports, and a role that may do no more than put objects into it."""
    bucket = workshop.make_bucket("reports", PUT)
    return bucket, workshop.make_role("reporter", bucket, PUT)


def attribute(workshop, reports, group, *metrics, name=None, path="/out", role=None):
    bucket, reporter = reports
    destination = {} if path is None else {"s3DataDestination": {"path": f"s3://{bucket}{path}"}}
    return workshop.personalize.create_metric_attribution(
        name=name or unique("attribution"), datasetGroupArn=group.arn, metrics=list(metrics),
        metricsOutputConfig={"roleArn": role or reporter, **destination},
    )["metricAttributionArn"]


def describe(workshop, arn):
    return workshop.personalize.describe_metric_attribution(metricAttributionArn=arn)["metricAttribution"]


def metrics_of(workshop, arn):
    return workshop.personalize.list_metric_attribution_metrics(metricAttributionArn=arn)["metrics"]


def code(call):
    with pytest.raises(Exception) as caught:
        call()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def group(workshop):
    return workshop.make_group(interactions=WATCHED)


class TestOperations:
    def test_an_attribution_describes_itself(self, workshop, reports, group):
        name, (bucket, role) = unique("attribution"), reports
        watched = [metric("Views"), metric("Value", "buy", "SUM(Interactions.EVENT_VALUE)")]
        arn = attribute(workshop, reports, group, *watched, name=name)
        assert arn == f"{ARN}metric-attribution/{name}"
        found = describe(workshop, arn)
        assert (found["name"], found["metricAttributionArn"], found["status"]) == (name, arn, "ACTIVE")
        assert found["datasetGroupArn"] == group.arn and "failureReason" not in found
        assert found["metricsOutputConfig"] == {
            "roleArn": role, "s3DataDestination": {"path": f"s3://{bucket}/out"}}
        assert abs((datetime.now(timezone.utc) - found["creationDateTime"]).total_seconds()) < 60
        assert found["creationDateTime"] == found["lastUpdatedDateTime"]
        assert metrics_of(workshop, arn) == watched
        listed = workshop.personalize.list_metric_attributions(datasetGroupArn=group.arn)["metricAttributions"]
        assert listed == [{key: found[key] for key in (
            "name", "metricAttributionArn", "status", "creationDateTime", "lastUpdatedDateTime")}]

    def test_an_update_changes_metrics_and_output(self, workshop, reports, group):
        arn = attribute(workshop, reports, group, metric("a"), metric("b"))
        bucket, role = reports
        answer = workshop.personalize.update_metric_attribution(
            metricAttributionArn=arn, removeMetrics=["a"], addMetrics=[metric("c", "buy")],
            metricsOutputConfig={"roleArn": role})
        assert answer["metricAttributionArn"] == arn
        assert metrics_of(workshop, arn) == [metric("b"), metric("c", "buy")]
        found = describe(workshop, arn)
        assert found["metricsOutputConfig"] == {"roleArn": role}
        assert found["lastUpdatedDateTime"] >= found["creationDateTime"]

    def test_a_group_has_one_and_a_name_is_taken_once(self, workshop, reports, group):
        taken = workshop.personalize.exceptions.ResourceAlreadyExistsException
        name = unique("attribution")
        attribute(workshop, reports, group, metric("a"), name=name)
        with pytest.raises(taken):
            attribute(workshop, reports, group, metric("a"))
        with pytest.raises(taken):
            attribute(workshop, reports, workshop.make_group(interactions=WATCHED), metric("a"), name=name)

    def test_another_one_can_follow_a_deleted_one(self, workshop, reports, group):
        arn = attribute(workshop, reports, group, metric("a"))
        workshop.personalize.delete_metric_attribution(metricAttributionArn=arn)
        for call in (lambda: describe(workshop, arn),
                     lambda: workshop.personalize.delete_metric_attribution(metricAttributionArn=arn),
                     lambda: workshop.personalize.update_metric_attribution(metricAttributionArn=arn)):
            assert code(call) == "ResourceNotFoundException"
        assert metrics_of(workshop, arn) == []
        attribute(workshop, reports, group, metric("b"))

    @pytest.mark.parametrize("expression", [
        "", "COUNT()", "SUM()", "SUM(EVENT_VALUE)", "SUM(Interactions.USER_ID)", "SUM(Interactions.NONE)",
        "SUM(Users.AGE)", "SUM(Items.PRICE)",
    ])
    def test_an_expression_has_to_fit(self, workshop, reports, group, expression):
        create = lambda: attribute(workshop, reports, group, metric("a", expression=expression))
        assert code(create) == "InvalidInputException"

    def test_what_an_attribution_cannot_be(self, workshop, reports, group):
        create = lambda *metrics, of=group, **more: lambda: attribute(workshop, reports, of, *metrics, **more)
        plain = workshop.make_group(interactions="USER_ID:string ITEM_ID:string TIMESTAMP:long")
        nobody = workshop.make_group()
        nobody.arn += "-nobody"
        for call, expected in [
            (create(*[metric(f"m{n}") for n in range(11)]), "InvalidInputException"),
            (create(metric("a"), metric("a")), "InvalidInputException"),
            (create(metric("a"), name="no blanks"), "InvalidInputException"),
            (create(metric("a"), of=plain), "InvalidInputException"),
            (create(metric("a"), of=workshop.make_group()), "InvalidInputException"),
            (create(metric("a"), of=nobody), "ResourceNotFoundException"),
            (create(metric("a"), role=workshop.import_role), "InvalidInputException"),
            (create(metric("a"), role="arn:aws:iam::000000000000:role/nobody"), "InvalidInputException"),
        ]:
            assert code(call) == expected
        assert workshop.personalize.list_metric_attributions(datasetGroupArn=group.arn)["metricAttributions"] == []

    def test_an_update_that_cannot_be_done_changes_nothing(self, workshop, reports, group):
        arn = attribute(workshop, reports, group, metric("a"), metric("b"))
        update = lambda **change: lambda: workshop.personalize.update_metric_attribution(
            metricAttributionArn=arn, **change)
        for call, expected in [
            (update(removeMetrics=["a", "x"]), "ResourceNotFoundException"),
            (update(removeMetrics=["b"], addMetrics=[metric("a")]), "ResourceAlreadyExistsException"),
            (update(addMetrics=[metric(f"m{n}") for n in range(9)]), "InvalidInputException"),
            (update(removeMetrics=["a"], addMetrics=[metric("x", expression="SUM(Items.X)")]), "InvalidInputException"),
            (update(metricsOutputConfig={"roleArn": "arn:aws:iam::000000000000:role/nobody"}), "InvalidInputException"),
            (lambda: workshop.personalize.update_metric_attribution(addMetrics=[metric("c")]), "InvalidInputException"),
            (lambda: workshop.personalize.list_metric_attribution_metrics(), "InvalidInputException"),
        ]:
            assert code(call) == expected
        assert metrics_of(workshop, arn) == [metric("a"), metric("b")]

    def test_a_bucket_that_takes_no_reports_is_told_at_once(self, workshop, group):
        bucket = workshop.make_bucket("closed", ("s3:ListBucket",))
        closed = bucket, workshop.make_role("reporter", bucket, PUT)
        with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
            attribute(workshop, closed, group, metric("a"))
        assert "Insufficient privileges" in str(caught.value) and bucket in str(caught.value)

    def test_pages_of_attributions_and_of_metrics(self, workshop, reports):
        arns = [attribute(workshop, reports, workshop.make_group(interactions=WATCHED), metric("a")) for _ in range(3)]
        pages = workshop.personalize.get_paginator("list_metric_attributions").paginate(
            PaginationConfig={"PageSize": 2})
        listed = [a["metricAttributionArn"] for page in pages for a in page["metricAttributions"]]
        assert [arn for arn in listed if arn in arns] == arns[::-1]
        workshop.personalize.update_metric_attribution(
            metricAttributionArn=arns[0], addMetrics=[metric(name) for name in "zyxw"])
        pages = list(workshop.personalize.get_paginator("list_metric_attribution_metrics").paginate(
            metricAttributionArn=arns[0], PaginationConfig={"PageSize": 2}))
        assert [[m["metricName"] for m in page["metrics"]] for page in pages] == [["a", "z"], ["y", "x"], ["w"]]
        token = pages[0]["nextToken"]
        metrics = workshop.personalize.list_metric_attribution_metrics
        for call in (
            lambda: metrics(metricAttributionArn=arns[1], nextToken=token),
            lambda: metrics(metricAttributionArn=arns[0], nextToken="mine"),
            lambda: workshop.personalize.list_metric_attributions(nextToken=token),
        ):
            assert code(call) == "InvalidNextTokenException"

    def test_deletion_begins_with_the_attribution(self, workshop, reports):
        group = workshop.make_group(interactions=WATCHED, items=ITEMS)
        workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
        arn = attribute(workshop, reports, group, metric("a"), metric("b", "buy", "SUM(Items.PRICE)"))
        personalize = workshop.personalize
        assert code(lambda: personalize.delete_dataset(datasetArn=group.interactions)) == "ResourceInUseException"
        assert code(lambda: personalize.delete_dataset(datasetArn=group.items)) == "ResourceInUseException"
        personalize.update_metric_attribution(metricAttributionArn=arn, removeMetrics=["b"])
        personalize.delete_dataset(datasetArn=group.items)
        assert code(lambda: personalize.delete_dataset_group(datasetGroupArn=group.arn)) == "ResourceInUseException"
        personalize.delete_metric_attribution(metricAttributionArn=arn)
        personalize.delete_dataset(datasetArn=group.interactions)
        personalize.delete_dataset_group(datasetGroupArn=group.arn)

    def test_an_attribution_has_no_tags(self, workshop, reports, group):
        arn = attribute(workshop, reports, group, metric("a"))
        tag = lambda: workshop.personalize.tag_resource(resourceArn=arn, tags=[{"tagKey": "a", "tagValue": "b"}])
        assert code(tag) == "InvalidInputException"


def publish(workshop, dataset, text, mode="FULL"):
    return workshop.start_import(dataset, workshop.upload(text), mode, publishAttributionMetricsToS3=True)


def report(workshop, bucket, job, prefix="out/"):
    """The report of a job, by the name that it must have."""
    created_s = int(job["creationDateTime"].timestamp())
    key = f"{prefix}AggregatedAttributionMetrics - {job['importMode']} - {created_s}.csv"
    return workshop.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


class TestReports:
    def test_a_report_is_what_the_import_held(self, workshop, reports):
        group = workshop.make_group(interactions=WATCHED, items=ITEMS)
        workshop.import_csv(group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,5,A\ni2,20.25,B\n")
        # The newest record of an item tells its price, whether it came in bulk or alone.
        workshop.put_items(group.items, ("i1", {"price": 7.5, "categoryL1": "A"}))
        arn = attribute(
            workshop, reports, group, metric("CountWatches"), metric("Revenue", "buy", "SUM(Items.PRICE)"),
            metric("Value, all", "buy", " sum( Interactions.EVENT_VALUE ) "), metric("Never", "sing"))
        now = int(describe(workshop, arn)["creationDateTime"].timestamp())
        home, later = f"{ARN}recommender/home", now + 900
        rows = [
            ("u1", "i1", "watch", "", now, home), ("u2", "i1", "watch", "", now, home),
            ("u3", "i1", "watch", "", later, home), ("u1", "i2", "watch", "", now, ""),
            ("u1", "i1", "watch", "", now - 10, home), ("u1", "i1", "Watch", "", now, home),
            ("u1", "i1", "buy", "0.25", now, home), ("u1", "i2", "buy", "1.5", now, home),
            ("u1", "i9", "buy", "", now, "app"),
            # Twice the same: the dataset keeps one, the report counts both.
            ("u2", "i1", "buy", "2", now, home), ("u2", "i1", "buy", "2", now, home),
        ]
        text = "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP,EVENT_ATTRIBUTION_SOURCE\n"
        text += "".join(",".join(map(str, row)) + "\n" for row in rows)
        job = workshop.wait_import(publish(workshop, group.interactions, text))
        assert (job["status"], job["publishAttributionMetricsToS3"]) == ("ACTIVE", True), job
        bucket, first, second = reports[0], now // 900 * 900, later // 900 * 900
        none = "SOURCE_NAME_UNDEFINED"
        assert report(workshop, bucket, job) == HEADER + (
            f"COUNTWATCHES,WATCH,1.0,samplecount,{none},{first}\n"
            f"COUNTWATCHES,WATCH,2.0,samplecount,{home},{first}\n"
            f"COUNTWATCHES,WATCH,1.0,samplecount,{home},{second}\n"
            f"REVENUE,BUY,0.0,sum,app,{first}\n"
            f"REVENUE,BUY,42.75,sum,{home},{first}\n"
            f'"VALUE, ALL",BUY,0.0,sum,app,{first}\n'
            f'"VALUE, ALL",BUY,5.75,sum,{home},{first}\n')
        assert len(workshop.export(group.interactions, "BULK").rows) == 10

    def test_a_report_without_rows_has_its_header(self, workshop, reports, group):
        attribute(workshop, reports, group, metric("a"), path="")
        text = "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP,EVENT_ATTRIBUTION_SOURCE\nu1,i1,watch,,1,\n"
        workshop.import_csv(group.interactions, text)
        job = workshop.wait_import(publish(workshop, group.interactions, text, "INCREMENTAL"))
        assert job["status"] == "ACTIVE" and report(workshop, reports[0], job, "") == HEADER

    def test_a_schema_without_sources_has_one(self, workshop, reports):
        group = workshop.make_group(interactions=INTERACTIONS)
        attribute(workshop, reports, group, metric("a"), path="/plain/")
        now = int(time.time())
        text = f"USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i1,watch,{now}\nu1,i2,watch,{now}\n"
        job = workshop.wait_import(publish(workshop, group.interactions, text))
        assert report(workshop, reports[0], job, "plain/") == (
            f"{HEADER}A,WATCH,2.0,samplecount,SOURCE_NAME_UNDEFINED,{now // 900 * 900}\n")

    def test_two_imports_of_one_second_write_two_reports(self, workshop, reports, group):
        attribute(workshop, reports, group, metric("a"), path="/two")
        text = "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP,EVENT_ATTRIBUTION_SOURCE\nu1,i1,watch,,1,\n"
        for arn in [publish(workshop, group.interactions, text) for _ in range(3)]:
            assert workshop.wait_import(arn)["status"] == "ACTIVE"
        assert workshop.s3.list_objects_v2(Bucket=reports[0], Prefix="two/")["KeyCount"] == 3

    def test_there_must_be_something_to_publish(self, workshop, reports):
        group = workshop.make_group(interactions=INTERACTIONS, items=ITEMS)
        text = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu1,i1,watch,1\n"
        refused = lambda: code(lambda: publish(workshop, group.interactions, text))
        assert refused() == "InvalidInputException"
        arn = attribute(workshop, reports, group, metric("a"), path=None)
        assert refused() == "InvalidInputException"
        items = lambda: publish(workshop, group.items, "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n")
        assert code(items) == "InvalidInputException"
        assert workshop.personalize.list_dataset_import_jobs(datasetArn=group.interactions)["datasetImportJobs"] == []
        # One that says it does not want a report gets none, and says so when asked.
        job = workshop.wait_import(workshop.start_import(
            group.interactions, workshop.upload(text), publishAttributionMetricsToS3=False))
        assert (job["status"], job["publishAttributionMetricsToS3"]) == ("ACTIVE", False)
        assert describe(workshop, arn)["status"] == "ACTIVE"

    def test_a_closed_bucket_is_told_before_the_import(self, workshop, group):
        bucket = workshop.make_bucket("closing", PUT)
        closing = bucket, workshop.make_role("reporter", bucket, PUT)
        attribute(workshop, closing, group, metric("a"))
        workshop.s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, ("s3:ListBucket",)))
        text = "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP,EVENT_ATTRIBUTION_SOURCE\nu1,i1,watch,,1,\n"
        with pytest.raises(workshop.personalize.exceptions.InvalidInputException) as caught:
            publish(workshop, group.interactions, text)
        assert "Insufficient privileges" in str(caught.value) and bucket in str(caught.value)

    def test_an_import_that_cannot_write_its_report_imports_nothing(self, workshop, group):
        bucket = workshop.make_bucket("closing", PUT)
        closing = bucket, workshop.make_role("reporter", bucket, PUT)
        arn = attribute(workshop, closing, group, metric("a"))
        header = "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP,EVENT_ATTRIBUTION_SOURCE\n"
        row = header + "new,i1,watch,,1,\n"
        workshop.import_csv(group.interactions, header + "old,i1,watch,,1,\n")
        rows = 100_000
        while True:
            # Imports of one dataset wait for each other: a long one holds the next until the policy is changed.
            long = workshop.start_import(group.interactions, workshop.upload(header + long_text(rows)))
            job = publish(workshop, group.interactions, row)
            workshop.s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, ("s3:ListBucket",)))
            if state(workshop, long) not in ("ACTIVE", "CREATE FAILED"):
                break
            workshop.wait_import(job)
            workshop.s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, PUT))
            rows *= 2
        found = workshop.wait_import(job)
        assert found["status"] == "CREATE FAILED", found
        assert f"s3://{bucket}/out/AggregatedAttributionMetrics - FULL - " in found["failureReason"], found
        assert found["failureReason"].startswith("Insufficient privileges for accessing data in S3.")
        users = {row[0] for row in workshop.export(group.interactions, "BULK").rows}
        assert "new" not in users and "long0" in users
        # What failed holds nothing back.
        workshop.personalize.delete_metric_attribution(metricAttributionArn=arn)

    def test_a_role_that_no_longer_trusts_the_service_is_told_before_the_import(self, workshop, reports, group):
        name = unique("reporter")
        role = workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())["Role"]["Arn"]
        workshop.iam.put_role_policy(
            RoleName=name, PolicyName="put", PolicyDocument=role_policy(reports[0], PUT))
        attribute(workshop, reports, group, metric("a"), role=role)
        workshop.iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust_policy("ec2.amazonaws.com"))
        text = "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP,EVENT_ATTRIBUTION_SOURCE\nu1,i1,watch,,1,\n"
        assert code(lambda: publish(workshop, group.interactions, text)) == "InvalidInputException"


def long_text(rows):
    return "".join(f"long{n},i{n},watch,,{n},\n" for n in range(rows))


def state(workshop, arn):
    describe = workshop.personalize.describe_dataset_import_job
    return describe(datasetImportJobArn=arn)["datasetImportJob"]["status"]
