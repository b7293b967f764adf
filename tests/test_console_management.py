"""Pages of the console that manage a group, asked for as a browser without scripts would."""

import html
import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request

import pytest

from support.schemas import INTERACTIONS, ITEMS_NULLABLE
from support.server import ROOT_KEY, ROOT_SECRET
from support.workshop import unique, wait

EVENTS = INTERACTIONS + " EVENT_VALUE:float?"


class Reader:
    """Somebody who is signed in; follows redirects as browsers do."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self.post("/console/sign-in", {"access-key-id": ROOT_KEY, "secret-access-key": ROOT_SECRET})

    def get(self, path, data=None, **headers):
        request = urllib.request.Request(self.endpoint + path, data, headers)
        try:
            with self.opener.open(request, timeout=30) as answer:
                self.url, self.status, self.text = answer.url, answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            self.url, self.status, self.text = refused.url, refused.code, refused.read().decode()
        return self.text

    def post(self, path, fields):
        """Sends a form, with the token of the page last seen."""
        token = re.search(r'name="form-token" value="(\w+)"', getattr(self, "text", ""))
        fields = list(fields.items() if isinstance(fields, dict) else fields)
        if token:
            fields.append(("form-token", token[1]))
        return self.get(path, urllib.parse.urlencode(fields).encode())

    @property
    def refusal(self):
        found = re.search(r'class="alert bad" role="alert">(.*?)</div>', self.text, re.S)
        return html.unescape(re.sub("<.*?>", "", found[1])) if found else None


@pytest.fixture(scope="module")
def reader(server):
    return Reader(server.endpoint)


@pytest.fixture(scope="module")
def group(workshop):
    group = workshop.make_group(items=ITEMS_NULLABLE, interactions=EVENTS)
    group.path = "/console/groups/" + group.arn.rsplit("/", 1)[1]
    return group


def test_a_tracker_is_configured_shown_with_this_servers_address_and_deleted(reader, workshop, group):
    reader.get(f"{group.path}/trackers/create")
    reader.post(f"{group.path}/trackers/create", {"name": "", "tag-key": "k", "tag-value": ""})
    assert reader.status == 400 and "name" in reader.refusal and 'value="k"' in reader.text
    reader.post(f"{group.path}/trackers/create", {"name": "Tracker", "tag-key": "k", "tag-value": "v"})
    tracker = workshop.personalize.list_event_trackers(datasetGroupArn=group.arn)["eventTrackers"][0]
    assert reader.url.endswith(f"{group.path}/trackers/{tracker['eventTrackerArn'].rsplit('/', 1)[1]}")
    described = workshop.personalize.describe_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])
    assert described["eventTracker"]["trackingId"] in reader.text
    assert f'endpoint_url="{reader.endpoint}"' in html.unescape(reader.text)
    page = reader.url.removeprefix(reader.endpoint)
    evil = html.unescape(reader.get(page, Host="x'$(id)</pre>"))
    assert 'endpoint_url="http://localhost"' in evil and "$(id)" not in evil
    wait(lambda: workshop.personalize.describe_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])["eventTracker"])
    reader.get(f"{page}/delete")
    assert workshop.personalize.list_event_trackers(datasetGroupArn=group.arn)["eventTrackers"], "asking deletes nothing"
    reader.post(f"{page}/delete", {})
    assert reader.url.endswith(f"{group.path}/trackers")


def test_tags_are_added_changed_and_removed(reader, workshop, group):
    place = "/console/tags/" + urllib.parse.quote(group.arn, safe="")
    tags = lambda: {tag["tagKey"]: tag["tagValue"] for tag in
                    workshop.personalize.list_tags_for_resource(resourceArn=group.arn)["tags"]}
    reader.get(f"{place}/manage")
    reader.post(f"{place}/manage", [("tag-was", ""), ("tag-key", "a"), ("tag-value", "1"),
                                    ("tag-was", ""), ("tag-key", "b"), ("tag-value", "2")])
    assert tags() == {"a": "1", "b": "2"} and reader.url.endswith(urllib.parse.quote(group.arn, safe=""))
    reader.get(f"{place}/manage")
    reader.post(f"{place}/manage", [("tag-was", "a"), ("tag-key", "a"), ("tag-value", "3"),
                                    ("tag-was", "b"), ("tag-key", "b"), ("tag-value", "2"), ("remove", "b")])
    assert tags() == {"a": "3"}
    reader.get(f"{place}/manage")
    reader.post(f"{place}/manage", [("tag-was", "a"), ("tag-key", "<script>"), ("tag-value", "3")])
    assert reader.status == 400 and "<script>" in reader.refusal and 'value="<script>' not in reader.text
    assert tags() == {"a": "3"}, "what was refused changed nothing"
    reader.get(f"{group.path}/tags")
    assert reader.status == 200 and "Manage tags" in reader.text


def test_what_can_have_no_tags_is_told(reader):
    reader.get("/console/tags/" + urllib.parse.quote("arn:aws:personalize:us-east-1:000000000000:schema/s", safe=""))
    assert reader.status == 400 and "can't have tags" in reader.refusal


def test_a_data_deletion_job_is_created_and_listed(reader, workshop, group):
    key = unique("users") + ".csv"
    workshop.s3.put_object(Bucket=workshop.source, Key=key, Body=b"USER_ID\nu1\n")
    form = {"name": unique("deletion"), "location": f"s3://{workshop.source}/{key}", "role": workshop.export_role}
    reader.get(f"{group.path}/deletions/create")
    reader.post(f"{group.path}/deletions/create", form)
    assert reader.status == 400 and "s3:ListBucket" in reader.refusal and form["location"] in reader.text
    reader.post(f"{group.path}/deletions/create", {**form, "role": workshop.import_role})
    assert reader.url.endswith(f"/console/jobs/deletion/{form['name']}")
    arn = "arn:aws:personalize:us-east-1:000000000000:data-deletion-job/" + form["name"]
    wait(lambda: workshop.personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"],
         ends=("COMPLETED", "FAILED"))
    reader.get(f"{group.path}/deletions")
    assert form["name"] in reader.text and "0 records deleted" in reader.text


def test_a_dataset_is_made_from_a_table_of_fields(reader, workshop):
    group = workshop.make_group(domain="ECOMMERCE")
    place = f"/console/groups/{group.arn.rsplit('/', 1)[1]}/create-dataset"
    reader.get(f"{place}?type=ITEMS")
    assert "Tabular schema view" in reader.text and "PRICE" in reader.text
    fields = [("type", "ITEMS"), ("name", "items"), ("selection", "new"), ("schema-name", unique("schema")), ("view", "table")]
    for name, kind, null, attribute in [("ITEM_ID", "string", "no", ""), ("PRICE", "float", "no", ""),
                                        ("CATEGORY_L1", "string", "no", "categorical"), ("STOCK", "long", "yes", "")]:
        fields += [("field-name", name), ("field-type", kind), ("field-null", null), ("field-attribute", attribute)]
    reader.post(place, [*fields, ("do", "json")])
    code = html.unescape(re.search(r'<textarea id="schema"[^>]*>(.*?)</textarea>', reader.text, re.S)[1])
    assert [field["name"] for field in json.loads(code)["fields"]] == ["ITEM_ID", "PRICE", "CATEGORY_L1", "STOCK"]
    assert not workshop.personalize.list_datasets(datasetGroupArn=group.arn)["datasets"], "switching creates nothing"
    reader.post(place, [*fields, ("do", "create")])
    assert reader.url.endswith("/datasets/ITEMS/import"), reader.refusal
    reader.get(f"/console/schemas/{dict(fields)['schema-name']}")
    assert "STOCK" in reader.text and "E-commerce" in reader.text


def test_a_schema_is_replaced_and_one_that_does_not_fit_leaves_nothing_behind(reader, workshop, group):
    place = f"{group.path}/datasets/ITEMS/replace-schema"
    code = lambda: html.unescape(re.search(r'<textarea id="schema"[^>]*>(.*?)</textarea>', reader.text, re.S)[1])
    reader.get(place)
    wider = json.loads(code())
    wider["fields"].append({"name": "STOCK", "type": "long"})
    form = {"selection": "new", "schema-name": unique("schema"), "schema": json.dumps(wider)}
    reader.post(place, form)
    assert reader.status == 400 and "must support null" in reader.refusal and json.loads(code()) == wider
    reader.get(f"/console/schemas/{form['schema-name']}")
    assert "ResourceNotFoundException" in reader.refusal
    wider["fields"][-1]["type"] = ["null", "long"]
    reader.get(place)
    reader.post(place, {**form, "schema": json.dumps(wider)})
    assert workshop.wait_update(group.items)["status"] == "ACTIVE"
    assert "Latest update" in reader.get(place)
    assert "Only the schemas of items and users" in reader.get(f"{group.path}/datasets/INTERACTIONS/replace-schema")


def test_a_metric_attribution_is_defined_reviewed_edited_and_deleted(reader, workshop, group):
    place = f"{group.path}/metrics"
    form = [("name", unique("metrics")), ("path", f"s3://{workshop.target}/out"), ("role", workshop.export_role), ("view", "build")]
    metric = lambda *values: list(zip(("event-type", "metric-name", "expression"), values))
    watched = metric("watch", "watches", "SAMPLECOUNT()")
    reader.get(f"{place}/create")
    reader.post(f"{place}/create", [*form, ("do", "review")])
    assert reader.status == 400 and "one metric at least" in reader.refusal
    reader.post(f"{place}/create", [*form, *watched, ("do", "review")])
    assert "Review and create" in reader.text
    assert not workshop.personalize.list_metric_attributions(datasetGroupArn=group.arn)["metricAttributions"]
    reader.post(f"{place}/create", [*form, *watched, ("do", "create")])
    assert reader.url.endswith(place) and f"/console/buckets/{workshop.target}?prefix=out%2F" in reader.text
    reader.get(f"{place}/edit")
    changed = metric("view", "watches", "SUM(Interactions.EVENT_VALUE)")
    reader.post(f"{place}/edit", [*form, *changed, ("seen", "watches"), ("do", "update")])
    assert reader.url.endswith(place), reader.refusal
    arn = workshop.personalize.list_metric_attributions(datasetGroupArn=group.arn)["metricAttributions"][0]["metricAttributionArn"]
    listed = workshop.personalize.list_metric_attribution_metrics(metricAttributionArn=arn)["metrics"]
    assert listed == [{"eventType": "view", "metricName": "watches", "expression": "SUM(Interactions.EVENT_VALUE)"}]
    reader.get(f"{place}/delete")
    reader.post(f"{place}/delete", {})
    assert "No metric attribution yet" in reader.text


def test_an_analysis_runs_and_shows_what_it_found(reader, workshop, group):
    workshop.put_items(group.items, ("<i>1</i>", {"price": 3.5, "genres": "<b>drama</b>"}), ("2", {"price": 7}))
    assert "No analysis yet" in reader.get(f"{group.path}/analysis")
    reader.post(f"{group.path}/analysis", {})
    assert reader.status == 200, reader.refusal
    wait(lambda: {"status": "end" if not json.loads(reader.get(f"{group.path}/analysis/progress"))["isOpen"] else ""},
         ends=("end",))
    reader.get(f"{group.path}/analysis")
    assert "The Interactions dataset has 0 different interactions" in reader.text
    assert "&#60;b&#62;drama" in reader.text and "<b>drama" not in reader.text
    assert '<svg class="box-plot"' in reader.text and "3.5 to 7" in reader.text


def test_forms_without_the_sessions_token_do_nothing(reader, workshop, group):
    for path in ("trackers/create", "deletions/create", "metrics/create", "analysis", "datasets/ITEMS/replace-schema"):
        reader.text = ""
        reader.post(f"{group.path}/{path}", {"name": "n", "do": "create"})
        assert reader.status == 403, path


def test_pages_of_a_group_that_is_not_there_say_so(reader):
    for page in ("trackers", "deletions", "metrics", "analysis", "tags", "metrics/edit", "create-dataset"):
        reader.get(f"/console/groups/none'%22%3Cscript%3E/{page}")
        assert "<script>" not in reader.text.replace("<script src", ""), page
        assert reader.status in (200, 400, 404), page
