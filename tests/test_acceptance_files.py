"""Acceptance, exports: where the files are, what is in them byte for byte, and that there are all or none."""

import csv
import io
from collections import Counter
from itertools import groupby

import pytest

from support.policies import denying, encrypting_role_policy, key_policy, role_policy
from support.schemas import ITEMS, ITEMS_NULLABLE, column_names
from support.server import Server
from support.workshop import Workshop, unique

HEADER = "ITEM_ID,PRICE,CATEGORY_L1\n"
READ_AND_WRITE = ("s3:GetObject", "s3:PutObject", "s3:ListBucket")
ROWS = [(f"i{n % 23_000}", f"{n}.0", f"category {n % 7}, {'x' * 100}") for n in range(25_000)]


@pytest.fixture(scope="module")
def items(workshop):
    """An Items dataset with one put record."""
    items = workshop.make_group(items=ITEMS).items
    workshop.put_items(items, ("i1", {"price": 1, "categoryL1": "A"}))
    return items


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """A server whose exports begin another file at 1 MiB, and a dataset that fills several."""
    server = Server(tmp_path_factory.mktemp("small"), arguments=["--file-size-max", "1MiB"]).start()
    workshop = Workshop(server.endpoint)
    yield workshop, import_rows(workshop)
    assert server.stop() == 0


def import_rows(workshop):
    """A dataset of ROWS; some ids come twice."""
    items = workshop.make_group(items=ITEMS).items
    workshop.import_csv(items, HEADER + "".join(f'{key},{price},"{text}"\n' for key, price, text in ROWS))
    return items


def keys(workshop, bucket, prefix=""):
    listed = workshop.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def data(export):
    """The bytes of the data files, in their order."""
    return [export.bodies[key] for key in export.data_keys]


def round_trip(workshop, items, fields):
    """Exports, imports the folder into a new dataset, exports that; the bytes of both."""
    bucket, name = workshop.make_bucket("round", READ_AND_WRITE), unique("round")
    role = workshop.make_role("round", bucket, READ_AND_WRITE)
    first = workshop.export(items, "BULK", name=name, path=f"s3://{bucket}/out", roleArn=role)
    again = workshop.make_group(items=fields).items
    job = workshop.wait_import(workshop.start_import(again, f"s3://{bucket}/out/{name}/", roleArn=role))
    assert job["status"] == "ACTIVE", job
    return first, workshop.export(again, "BULK")


def test_20_layout(workshop, items):
    bucket = workshop.make_bucket("layout")
    role, name = workshop.make_role("layout", bucket), unique("nightly")
    arn = workshop.start_export(items, name=name, path=f"s3://{bucket}/out", roleArn=role,
                                tags=[{"tagKey": "lade:manifest", "tagValue": "off"}])
    assert workshop.wait_export(arn)["status"] == "ACTIVE"
    assert keys(workshop, bucket) == [f"out/{name}/ITEMS-00000.csv"]


def test_21_path_with_and_without_slash(workshop, items):
    bucket = workshop.make_bucket("slash")
    role = workshop.make_role("slash", bucket)
    for path, prefix in [("/out", "out/"), ("/out/", "out/"), ("", "")]:
        name = unique("nightly")
        exported = workshop.export(items, name=name, path=f"s3://{bucket}{path}", roleArn=role)
        assert exported.data_keys == [f"{prefix}{name}/ITEMS-00000.csv"]
        assert exported.data_keys[0] in keys(workshop, bucket, f"{prefix}{name}/")


def test_22_header(workshop, items, small_files):
    several = small_files[0].export(small_files[1], "BULK")
    assert len(several.data_keys) > 1
    for body in data(several) + data(workshop.export(items)):
        assert body.startswith(HEADER.encode())
        assert body.count(HEADER.encode()) == 1


def test_23_quoting(workshop):
    items = workshop.make_group(items=ITEMS_NULLABLE).items
    text = 'one, "two"\nthree'
    workshop.put_items(items, ("i1", {"description": text}))
    body = data(workshop.export(items))[0].decode()
    assert list(csv.reader(io.StringIO(body, newline=""), strict=True))[1] == ["i1", "", "", text]
    assert '"one, ""two""\nthree"' in body


def test_24_null_and_number(workshop):
    group = workshop.make_group(users="USER_ID:string AGE:float? SINCE:long? VIP:boolean?")
    workshop.import_csv(group.users, "USER_ID,AGE,SINCE,VIP\nu1,15,1553631760,true\nu2,,,\nu3,19.99,0,false\n")
    assert workshop.export(group.users, "BULK").lines == ["u1,15.0,1553631760,true", "u2,,,", "u3,19.99,0,false"]


def test_25_round_trip(workshop):
    items = workshop.make_group(items=ITEMS_NULLABLE).items
    workshop.import_csv(items, ",".join(column_names(ITEMS_NULLABLE)) + "\n"
                        'i1,1.5,a|b,"x, ""y"" z"\ni2,,,\ni2,2,,"line\nbreak"\ni3,3, blank ,ünïcödé 🎬\n')
    first, second = round_trip(workshop, items, ITEMS_NULLABLE)
    assert len(first.rows) == 4 and data(first) == data(second)


def test_26_backslash_round_trip(workshop):
    """Put as JSON, exported, imported: the texts are those that were put."""
    texts = ["a\\b", "a\\\\b", 'x\\"y', '\\', '"\\', "\\,\\"]
    items = workshop.make_group(items=ITEMS_NULLABLE).items
    for n, text in enumerate(texts):
        workshop.put_items(items, (f"i{n}", {"description": text}))
    bucket, name = workshop.make_bucket("round", READ_AND_WRITE), unique("round")
    role = workshop.make_role("round", bucket, READ_AND_WRITE)
    put = workshop.export(items, "PUT", name=name, path=f"s3://{bucket}/out", roleArn=role)
    bulk = workshop.make_group(items=ITEMS_NULLABLE).items
    job = workshop.wait_import(workshop.start_import(bulk, f"s3://{bucket}/out/{name}/", roleArn=role))
    assert job["status"] == "ACTIVE", job
    first, second = round_trip(workshop, bulk, ITEMS_NULLABLE)
    assert data(put) == data(first) == data(second)
    assert {row[0]: row[3] for row in first.rows} == {f"i{n}": text for n, text in enumerate(texts)}


def test_27_no_partial_output(small_files):
    """The store refuses the third file, when all parts of the first two are there."""
    workshop, items = small_files
    bucket = workshop.make_bucket("partial")
    policy = denying(role_policy(bucket), "s3:PutObject", f"arn:aws:s3:::{bucket}/*/ITEMS-00002.csv")
    role = workshop.make_role("partial", bucket, policy=policy)
    job = workshop.wait_export(workshop.start_export(items, "BULK", path=f"s3://{bucket}/out", roleArn=role))
    assert job["status"] == "CREATE FAILED", job
    assert bucket in job["failureReason"]
    assert keys(workshop, bucket) == []
    assert workshop.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_28_multi_part(workshop, small_files):
    several = small_files[0].export(small_files[1], "BULK")
    assert len(several.data_keys) > 2
    assert [name for name in several.names if name.endswith(".csv")] == [
        f"ITEMS-{n:05}.csv" for n in range(len(several.data_keys))]
    assert several.multiset == Counter(ROWS), "no record is split, none is lost"
    ids = [key for key, _ in groupby(row[0] for row in several.rows)]
    assert len(ids) == len(set(ids)), "the records of an id are together"
    # Read one after the other they are the one file that a server with room for it writes of the same rows.
    whole = workshop.export(import_rows(workshop), "BULK")
    assert len(whole.data_keys) == 1 and whole.rows == several.rows


def test_29_sse_kms(workshop, items):
    kms = workshop.client("kms")
    bucket = workshop.make_bucket("sealed")
    role = workshop.make_role("sealed", bucket)
    key = kms.create_key(Policy=key_policy(role))["KeyMetadata"]["Arn"]
    workshop.iam.put_role_policy(RoleName=role.rsplit("/", 1)[1], PolicyName="key-access",
                                 PolicyDocument=encrypting_role_policy(key))
    destination = {"path": f"s3://{bucket}/out", "kmsKeyArn": key}
    arn = workshop.personalize.create_dataset_export_job(
        jobName=unique("sealed"), datasetArn=items, roleArn=role, ingestionMode="ALL",
        jobOutput={"s3DataDestination": destination})["datasetExportJobArn"]
    assert workshop.read_export(arn).lines == ["i1,1.0,A"]
    assert workshop.wait_export(arn)["jobOutput"]["s3DataDestination"] == destination
    for name in keys(workshop, bucket):
        head = workshop.s3.head_object(Bucket=bucket, Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_30_byte_identical(small_files):
    workshop, items = small_files
    one, other = [workshop.export(items, "ALL") for _ in range(2)]
    assert data(one) == data(other) and len(data(one)) > 1
    strip = lambda export: [key.removeprefix(export.folder) for key in export.keys]
    assert strip(one) == strip(other) and one.folder != other.folder
