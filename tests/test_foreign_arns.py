"""ARNs of another account or region: whatever operation is given one answers as it does for a resource that is not there."""

import re

import pytest

from support.schemas import INTERACTIONS, ITEMS
from support.server import ACCOUNT, REGION
from support.service_model import DATA_SIDE
from support.workshop import unique
from test_operations_ask import LAX, operations, outcome

FOREIGN = {"account": (ACCOUNT, "999988887777"), "region": (f":{REGION}:", ":eu-west-3:")}


@pytest.fixture(scope="module")
def there(workshop):
    """Resources that exist, by the member that names their kind."""
    group = workshop.make_group(items=ITEMS, interactions=INTERACTIONS, tracker=True)
    imported = workshop.start_import(group.items, workshop.upload("ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n"))
    workshop.wait_import(imported)
    exported = workshop.start_export(group.items)
    workshop.wait_export(exported)
    deleted = workshop.personalize.create_data_deletion_job(
        jobName=unique("gone"), datasetGroupArn=group.arn, roleArn=workshop.import_role,
        dataSource={"dataLocation": workshop.upload("USER_ID\nu1\n")})["dataDeletionJobArn"]
    attribution = workshop.personalize.create_metric_attribution(
        name=unique("metric"), datasetGroupArn=group.arn, metricsOutputConfig={"roleArn": workshop.export_role},
        metrics=[{"eventType": "click", "metricName": "clicks", "expression": "SAMPLECOUNT()"}])["metricAttributionArn"]
    schema = workshop.personalize.describe_dataset(datasetArn=group.items)["dataset"]["schemaArn"]
    return {
        "datasetGroupArn": group.arn, "datasetArn": group.items, "schemaArn": schema, "eventTrackerArn": group.tracker,
        "datasetImportJobArn": imported, "datasetExportJobArn": exported, "dataDeletionJobArn": deleted,
        "metricAttributionArn": attribution, "resourceArn": group.arn, "roleArn": workshop.export_role,
    }


def masked(found, arn):
    """An outcome without the names that differ."""
    if found is None:
        return None
    return found[0], re.sub(r"arn:aws:[\w:/*.-]+[\w*/-]", "ARN", found[1].replace(arn, "ARN"))


def missing(arn):
    """An ARN of the same kind that nobody has made."""
    head, _, name = arn.rpartition("/")
    if ":dataset/" in arn:
        return arn.replace(":dataset/", ":dataset/no-")
    return f"{head}/{'0' * len(name) if name.isalnum() and len(name) == 8 else 'no-' + name}"


def given_with(there, given, workshop):
    """What an operation is given, where all that it names exists."""
    full = {member: there.get(member, value) for member, value in given.items()}
    fresh = {"name": unique("foreign"), "jobName": unique("foreign"), "datasetType": "USERS"}
    full |= {member: value for member, value in fresh.items() if member in full}
    if "dataSource" in full:
        full["dataSource"] = {"dataLocation": f"s3://{workshop.source}/x"}
    if "metrics" in full:
        full["metrics"] = [{"eventType": "click", "metricName": "clicks", "expression": "SAMPLECOUNT()"}]
    if "jobOutput" in full:
        full["jobOutput"] = {"s3DataDestination": {"path": f"s3://{workshop.target}/out"}}
    return full


def foreign_cases(service):
    for name, given in operations(service):
        is_list = name.startswith("List") and name != "ListTagsForResource"
        if name in DATA_SIDE and not is_list:
            yield from ((name, given, m) for m in sorted(given) if m.endswith("Arn") and m != "roleArn")


@pytest.mark.parametrize("service", ["personalize", "personalize-events"])
@pytest.mark.parametrize("what", FOREIGN)
def test_every_operation_of_personalize_knows_no_foreign_resource(workshop, there, service, what):
    client, asked = workshop.client(service, config=LAX), set()
    for name, given, member in foreign_cases(service):
        full, arn = given_with(there, given, workshop), there[member]
        unknown = missing(arn)
        expected = masked(outcome(client, name, {**full, member: unknown}), unknown)
        assert expected and expected[0] == "ResourceNotFoundException", (name, member, expected)
        foreign = arn.replace(*FOREIGN[what])
        assert foreign != arn
        found = masked(outcome(client, name, {**full, member: foreign}), foreign)
        assert found == expected, (name, member)
        asked.add(name)
    assert len(asked) == (24 if service == "personalize" else 3), sorted(asked)


LISTS = {
    "ListDatasets": "datasetGroupArn", "ListEventTrackers": "datasetGroupArn", "ListDataDeletionJobs": "datasetGroupArn",
    "ListMetricAttributions": "datasetGroupArn", "ListDatasetImportJobs": "datasetArn", "ListDatasetExportJobs": "datasetArn",
    "ListMetricAttributionMetrics": "metricAttributionArn",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_list_shows_what_is_foreign(workshop, there, what):
    for name, member in LISTS.items():
        arn, ends = there[member], []
        for asked in (missing(arn), arn.replace(*FOREIGN[what])):
            try:
                method = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
                answer = getattr(workshop.personalize, method)(**{member: asked})
                ends.append([value for key, value in answer.items() if key != "ResponseMetadata"])
            except workshop.personalize.exceptions.ClientError as error:
                ends.append(masked((error.response["Error"]["Code"], error.response["Error"]["Message"]), asked))
        assert ends[0] == ends[1] and (isinstance(ends[1], tuple) or ends[1] == [[]]), (name, ends)


def test_a_role_of_another_account_is_not_passed_on(workshop, there):
    foreign = workshop.export_role.replace(*FOREIGN["account"])
    client, asked = workshop.client("personalize", config=LAX), []
    for name, given in operations("personalize"):
        nested = given.get("metricsOutputConfig")
        if name not in DATA_SIDE or not ("roleArn" in given or nested):
            continue
        full = given_with(there, given, workshop)
        full |= {"metricsOutputConfig": {**nested, "roleArn": foreign}} if nested else {"roleArn": foreign}
        if name == "CreateMetricAttribution":
            full["datasetGroupArn"] = workshop.make_group(interactions=INTERACTIONS).arn
        code, text = outcome(client, name, full)
        assert code == "InvalidInputException" and text.startswith(f"Personalize can't assume the role {foreign}."), (name, text)
        asked.append(name)
    assert len(asked) == 5, asked


KEY_MEMBERS = ("KeyId", "TargetKeyId", "DestinationKeyId", "SourceKeyId")


@pytest.mark.parametrize("what", FOREIGN)
def test_every_operation_of_kms_knows_no_foreign_key(workshop, what):
    key, client, asked = workshop.kms.create_key()["KeyMetadata"]["Arn"], workshop.client("kms", config=LAX), 0
    text = workshop.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    values = {"CiphertextBlob": text, "Plaintext": b"x", "GranteePrincipal": workshop.export_role, "GrantId": "g" * 64,
              "Operations": ["Decrypt"], "Tags": [{"TagKey": "a", "TagValue": "b"}], "TagKeys": ["a"], "Policy": "{}"}
    more = {"GenerateDataKey": {"NumberOfBytes": 16}, "GenerateDataKeyWithoutPlaintext": {"NumberOfBytes": 16}}
    for name, given in operations("kms"):
        for member in [m for m in KEY_MEMBERS if m in given]:
            full = {**given, **{m: values[m] for m in given if m in values}, **more.get(name, {})}
            full |= {m: key for m in KEY_MEMBERS if m in given}
            full |= {"AliasName": f"alias/{unique('foreign')}"} if "AliasName" in given else {}
            unknown, foreign = key[:-12] + "0" * 12, key.replace(*FOREIGN[what])
            expected = masked(outcome(client, name, {**full, member: unknown}), unknown)
            if expected[0] == "UnsupportedOperationException":
                continue
            found = masked(outcome(client, name, {**full, member: foreign}), foreign)
            assert found == expected and found[0] == "NotFoundException", (name, member, found, expected)
            asked += 1
    assert asked >= 21


def test_every_operation_of_iam_knows_no_foreign_policy(workshop):
    client, name, asked = workshop.client("iam", config=LAX), unique("foreign"), 0
    document = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
    policy = workshop.iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
    role, user = workshop.export_role.rsplit("/", 1)[1], workshop.make_user("foreign").name
    for operation, given in operations("iam"):
        if "PolicyArn" not in given:
            continue
        full = given | {m: {"RoleName": role, "UserName": user}[m] for m in ("RoleName", "UserName") if m in given}
        expected = masked(outcome(client, operation, {**full, "PolicyArn": f"{policy}x"}), f"{policy}x")
        if expected[0] == "InvalidAction":
            continue
        foreign = policy.replace(*FOREIGN["account"])
        found = masked(outcome(client, operation, {**full, "PolicyArn": foreign}), foreign)
        assert found == expected and found[0] == "NoSuchEntity", (operation, found, expected)
        asked += 1
    assert asked >= 9
