// The JavaScript SDK v3: roles and policies, import, live events, export, and what comes out.

import assert from "node:assert/strict";
import dns from "node:dns";
import http from "node:http";
import { after, before, test } from "node:test";

import { CreateRoleCommand, GetRolePolicyCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import * as personalizeSdk from "@aws-sdk/client-personalize";
import { PersonalizeEventsClient, PutEventsCommand, PutItemsCommand } from "@aws-sdk/client-personalize-events";
import {
  CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutBucketPolicyCommand, PutObjectCommand, S3Client,
} from "@aws-sdk/client-s3";

import { credentials, start } from "./server.js";

const ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"];
const BUCKET = "js-bucket";

let server, personalize, events, iam, s3;
const arns = {};

before(async () => {
  server = await start();
  const common = { endpoint: server.endpoint, region: "us-east-1", credentials, maxAttempts: 1 };
  personalize = new personalizeSdk.PersonalizeClient(common);
  events = new PersonalizeEventsClient(common);
  iam = new IAMClient(common);
  s3 = new S3Client(common);
});

after(async () => {
  for (const client of [personalize, events, iam, s3]) client?.destroy();
  if (server) assert.equal(await server.stop(), 0);
});

function policy(principal) {
  const resource = [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`];
  const statement = { Sid: "Access", Effect: "Allow", Action: ACTIONS, Resource: resource, ...principal };
  return JSON.stringify({ Version: "2012-10-17", Id: "PersonalizeS3BucketAccessPolicy", Statement: [statement] });
}

const call = (name, input) => personalize.send(new personalizeSdk[`${name}Command`](input));

async function ended(describe) {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
    const job = await describe();
    if (["ACTIVE", "CREATE FAILED"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("not ended after 60 s");
}

async function exported(mode) {
  const jobName = `js-${mode.toLowerCase()}`;
  const { datasetExportJobArn } = await call("CreateDatasetExportJob", {
    jobName, datasetArn: arns.items, roleArn: arns.role, ingestionMode: mode,
    jobOutput: { s3DataDestination: { path: `s3://${BUCKET}/out/` } },
  });
  const job = await ended(async () => (await call("DescribeDatasetExportJob", { datasetExportJobArn })).datasetExportJob);
  assert.equal(job.status, "ACTIVE", job.failureReason);
  const key = `out/${jobName}/ITEMS-00000.csv`;
  const object = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  const [header, ...rows] = (await object.Body.transformToString()).trimEnd().split("\n");
  assert.equal(header, "ITEM_ID,PRICE,CATEGORY_L1");
  return rows.sort();
}

test("a role and a bucket with the documented policies", async () => {
  const trust = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "personalize.amazonaws.com" }, Action: "sts:AssumeRole" }],
  };
  const role = { RoleName: "js-role", AssumeRolePolicyDocument: JSON.stringify(trust) };
  arns.role = (await iam.send(new CreateRoleCommand(role))).Role.Arn;
  await iam.send(new PutRolePolicyCommand({ RoleName: "js-role", PolicyName: "s3", PolicyDocument: policy({}) }));
  const got = await iam.send(new GetRolePolicyCommand({ RoleName: "js-role", PolicyName: "s3" }));
  assert.deepEqual(JSON.parse(decodeURIComponent(got.PolicyDocument)), JSON.parse(policy({})));
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const document = policy({ Principal: { Service: "personalize.amazonaws.com" } });
  await s3.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: document }));
});

test("a schema, a group and two datasets", async () => {
  const avro = (name, fields) => JSON.stringify({
    type: "record", name, namespace: "com.amazonaws.personalize.schema", fields, version: "1.0",
  });
  const items = avro("Items", [
    { name: "ITEM_ID", type: "string" }, { name: "PRICE", type: "float" },
    { name: "CATEGORY_L1", type: "string", categorical: true },
  ]);
  const interactions = avro("Interactions", [
    { name: "USER_ID", type: "string" }, { name: "ITEM_ID", type: "string" }, { name: "TIMESTAMP", type: "long" },
  ]);
  const { datasetGroupArn } = await call("CreateDatasetGroup", { name: "js" });
  await ended(async () => (await call("DescribeDatasetGroup", { datasetGroupArn })).datasetGroup);
  for (const [key, datasetType, schema] of [["items", "Items", items], ["interactions", "Interactions", interactions]]) {
    const { schemaArn } = await call("CreateSchema", { name: `js-${key}`, schema });
    const { datasetArn } = await call("CreateDataset", { name: key, schemaArn, datasetGroupArn, datasetType });
    const dataset = await ended(async () => (await call("DescribeDataset", { datasetArn })).dataset);
    assert.equal(dataset.datasetType, datasetType.toUpperCase());
    assert.ok(dataset.creationDateTime instanceof Date);
    arns[key] = datasetArn;
  }
  const tracker = await call("CreateEventTracker", { name: "js", datasetGroupArn });
  arns.tracker = tracker.trackingId;
});

test("bulk rows and live records come out in the three modes", async () => {
  const body = "ITEM_ID,PRICE,CATEGORY_L1\ni1,10,A\ni2,20,B\ni2,20,B\n";
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: "in/items.csv", Body: body }));
  const { datasetImportJobArn } = await call("CreateDatasetImportJob", {
    jobName: "js-import", datasetArn: arns.items, roleArn: arns.role,
    dataSource: { dataLocation: `s3://${BUCKET}/in/items.csv` },
  });
  const job = await ended(async () => (await call("DescribeDatasetImportJob", { datasetImportJobArn })).datasetImportJob);
  assert.equal(job.status, "ACTIVE", job.failureReason);
  const item = (itemId, price) => ({ itemId, properties: JSON.stringify({ price, categoryL1: "A" }) });
  await events.send(new PutItemsCommand({ datasetArn: arns.items, items: [item("i1", 11), item("i3", 30)] }));
  assert.deepEqual(await exported("BULK"), ["i1,10.0,A", "i2,20.0,B"]);
  assert.deepEqual(await exported("PUT"), ["i1,11.0,A", "i3,30.0,A"]);
  assert.deepEqual(await exported("ALL"), ["i1,11.0,A", "i2,20.0,B", "i3,30.0,A"]);
});

test("an event is taken, and a bad one is refused by its exception class", async () => {
  const event = { eventType: "click", itemId: "i1", sentAt: new Date() };
  const put = (list) => events.send(
    new PutEventsCommand({ trackingId: arns.tracker, userId: "u1", sessionId: "s1", eventList: list }));
  assert.equal((await put([event])).$metadata.httpStatusCode, 200);
  await assert.rejects(put([{ ...event, properties: "nonsense" }]), { name: "InvalidInputException" });
  const nobody = "arn:aws:personalize:us-east-1:000000000000:dataset/nobody/ITEMS";
  await assert.rejects(call("DescribeDataset", { datasetArn: nobody }),
    (error) => error instanceof personalizeSdk.ResourceNotFoundException && error.$metadata.requestId !== undefined);
});

test("S3 by the name localhost, the bucket in the host", async () => {
  // Not every resolver knows the names below localhost, so they are resolved here.
  const lookup = (host, options, done) =>
    dns.lookup(host.endsWith(".localhost") ? "127.0.0.1" : host, options, done);
  const seen = [];
  class Agent extends http.Agent {
    createConnection(options, done) {
      seen.push(options.host);
      return super.createConnection({ ...options, lookup }, done);
    }
  }
  const byName = new S3Client({
    endpoint: server.endpoint.replace("127.0.0.1", "localhost"), region: "us-east-1", credentials, maxAttempts: 1,
    requestHandler: { httpAgent: new Agent() },
  });
  await byName.send(new PutObjectCommand({ Bucket: BUCKET, Key: "by/name ü", Body: "hello" }));
  const object = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: "by/name ü" }));
  assert.equal(await object.Body.transformToString(), "hello");
  const listed = await byName.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: "by/" }));
  assert.deepEqual(listed.Contents.map((entry) => entry.Key), ["by/name ü"]);
  assert.ok(seen.every((host) => host === `${BUCKET}.localhost`), `${seen}`);
  byName.destroy();
});
