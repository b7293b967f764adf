// Every operation on data: one call that succeeds, and one that is refused by an exception class of the SDK.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import * as personalizeSdk from "@aws-sdk/client-personalize";
import * as eventsSdk from "@aws-sdk/client-personalize-events";

import { credentials, start } from "./server.js";
import { NOTHING, World } from "./world.js";

// What trains, recommends or runs in batches is not of the data side.
const OTHER = /BatchInferenceJob|BatchSegmentJob|Campaign|Filter|Recommender|Solution|Algorithm|FeatureTransf|Recipe/;

const EXISTS = "ResourceAlreadyExistsException";
const IN_USE = "ResourceInUseException";
const INVALID = "InvalidInputException";
const NOT_FOUND = "ResourceNotFoundException";
const NO_TOKEN = "InvalidNextTokenException";

const noToken = () => ({ nextToken: "of-my-own-making" });
const nothing = (member) => () => ({ [member]: NOTHING[member] });
const nameOf = (arn) => arn.split("/").pop();
const tags = (count) => Array.from({ length: count }, (_, n) => ({ tagKey: `k${n}`, tagValue: `${n}` }));
const keys = (count) => tags(count).map((tag) => tag.tagKey);

// Operation → input that succeeds, input that is refused, the refusal.
const CALLS = {
  CreateSchema: [(w) => w.schemaInput(), (w) => ({ ...w.schemaInput(), name: nameOf(w.schema) }), EXISTS],
  DescribeSchema: [(w) => ({ schemaArn: w.schema }), nothing("schemaArn"), NOT_FOUND],
  ListSchemas: [() => ({ maxResults: 100 }), noToken, NO_TOKEN],
  DeleteSchema: [async (w) => ({ schemaArn: await w.madeSchema() }), (w) => ({ schemaArn: w.schema }), IN_USE],
  CreateDatasetGroup: [(w) => ({ name: w.name(), tags: tags(2) }), (w) => ({ name: nameOf(w.group) }), EXISTS],
  DescribeDatasetGroup: [(w) => ({ datasetGroupArn: w.group }), nothing("datasetGroupArn"), NOT_FOUND],
  ListDatasetGroups: [() => ({ maxResults: 100 }), noToken, NO_TOKEN],
  DeleteDatasetGroup: [
    async (w) => ({ datasetGroupArn: await w.madeGroup() }), (w) => ({ datasetGroupArn: w.group }), IN_USE],
  CreateDataset: [async (w) => w.datasetInput("Items", w.schema, await w.madeGroup()),
    (w) => w.datasetInput("Items", w.schema, w.group), EXISTS],
  DescribeDataset: [(w) => ({ datasetArn: w.items }), nothing("datasetArn"), NOT_FOUND],
  ListDatasets: [(w) => ({ datasetGroupArn: w.group }), noToken, NO_TOKEN],
  UpdateDataset: [
    async (w) => ({ datasetArn: await w.madeDataset(), schemaArn: await w.madeSchema("Items", w.wider) }),
    (w) => ({ datasetArn: w.items, schemaArn: NOTHING.schemaArn }), NOT_FOUND],
  DeleteDataset: [async (w) => ({ datasetArn: await w.madeDataset() }), (w) => ({ datasetArn: w.interactions }), IN_USE],
  CreateEventTracker: [async (w) => ({ name: w.name(), datasetGroupArn: await w.madeGroup() }),
    (w) => ({ name: w.name(), datasetGroupArn: w.group }), EXISTS],
  DescribeEventTracker: [(w) => ({ eventTrackerArn: w.tracker }), nothing("eventTrackerArn"), NOT_FOUND],
  ListEventTrackers: [(w) => ({ datasetGroupArn: w.group }), noToken, NO_TOKEN],
  DeleteEventTracker: [async (w) => ({ eventTrackerArn: await w.madeTracker() }), nothing("eventTrackerArn"), NOT_FOUND],
  CreateDatasetImportJob: [(w) => w.importInput(w.location), (w) => w.importInput(`${w.location}.none`), INVALID],
  DescribeDatasetImportJob: [
    (w) => ({ datasetImportJobArn: w.importJob }), nothing("datasetImportJobArn"), NOT_FOUND],
  ListDatasetImportJobs: [(w) => ({ datasetArn: w.items }), noToken, NO_TOKEN],
  CreateDatasetExportJob: [(w) => w.exportInput(w.users), (w) => w.exportInput(NOTHING.datasetArn), NOT_FOUND],
  DescribeDatasetExportJob: [
    (w) => ({ datasetExportJobArn: w.exportJob }), nothing("datasetExportJobArn"), NOT_FOUND],
  ListDatasetExportJobs: [(w) => ({ datasetArn: w.items }), noToken, NO_TOKEN],
  CreateDataDeletionJob: [
    async (w) => w.deletionInput(await w.madeGroup()), (w) => w.deletionInput(NOTHING.datasetGroupArn), NOT_FOUND],
  DescribeDataDeletionJob: [
    async (w) => ({ dataDeletionJobArn: await w.madeDeletion() }), nothing("dataDeletionJobArn"), NOT_FOUND],
  ListDataDeletionJobs: [(w) => ({ datasetGroupArn: w.group }), noToken, NO_TOKEN],
  CreateMetricAttribution: [
    async (w) => w.metricsInput(await w.clicked()), (w) => w.metricsInput(NOTHING.datasetGroupArn), NOT_FOUND],
  DescribeMetricAttribution: [
    async (w) => ({ metricAttributionArn: await w.madeAttribution() }), nothing("metricAttributionArn"), NOT_FOUND],
  ListMetricAttributions: [(w) => ({ datasetGroupArn: w.group }), noToken, NO_TOKEN],
  ListMetricAttributionMetrics: [
    async (w) => ({ metricAttributionArn: await w.madeAttribution() }),
    async (w) => ({ metricAttributionArn: await w.madeAttribution(), ...noToken() }), NO_TOKEN],
  UpdateMetricAttribution: [
    async (w) => ({ metricAttributionArn: await w.madeAttribution(), addMetrics: [w.metric("views")] }),
    () => ({ metricAttributionArn: NOTHING.metricAttributionArn, removeMetrics: ["clicks"] }), NOT_FOUND],
  DeleteMetricAttribution: [
    async (w) => ({ metricAttributionArn: await w.madeAttribution() }), nothing("metricAttributionArn"), NOT_FOUND],
  TagResource: [(w) => ({ resourceArn: w.group, tags: tags(2) }), (w) => ({ resourceArn: w.group, tags: tags(51) }),
    "TooManyTagsException"],
  UntagResource: [(w) => ({ resourceArn: w.group, tagKeys: ["k0"] }),
    (w) => ({ resourceArn: w.group, tagKeys: keys(51) }), "TooManyTagKeysException"],
  ListTagsForResource: [(w) => ({ resourceArn: w.group }), nothing("resourceArn"), NOT_FOUND],
  PutEvents: [(w) => w.event(w.trackingId), (w) => w.event(NOTHING.trackingId), INVALID],
  PutItems: [(w) => w.item(w.items), (w) => w.item(NOTHING.datasetArn), NOT_FOUND],
  PutUsers: [(w) => w.user(w.users), (w) => w.user(NOTHING.datasetArn), NOT_FOUND],
  PutActions: [async (w) => w.action(await w.madeActions()), (w) => w.action(NOTHING.datasetArn), NOT_FOUND],
  PutActionInteractions: [async (w) => w.actionInteraction(await w.madeActionTracker()),
    (w) => w.actionInteraction(NOTHING.trackingId), NOT_FOUND],
};

let server, world;

before(async () => {
  server = await start();
  const common = { endpoint: server.endpoint, region: "us-east-1", credentials, maxAttempts: 1 };
  world = await new World(common).furnish();
});

after(async () => {
  world?.destroy();
  if (server) assert.equal(await server.stop(), 0);
});

test("every operation on data is called", () => {
  const commands = [personalizeSdk, eventsSdk].flatMap((sdk) => Object.keys(sdk));
  const names = commands.filter((name) => /^[A-Z]\w*Command$/.test(name)).map((name) => name.replace(/Command$/, ""));
  assert.deepEqual(Object.keys(CALLS).sort(), names.filter((name) => !OTHER.test(name)).sort());
  assert.equal(names.filter((name) => OTHER.test(name)).length, 36);
});

for (const [operation, [good, bad, refusal]] of Object.entries(CALLS)) {
  const sdk = operation.startsWith("Put") ? eventsSdk : personalizeSdk;

  test(`${operation} succeeds`, async () => {
    const { $metadata, ...answer } = await world.call(operation, await good(world));
    assert.equal($metadata.httpStatusCode, 200);
    assert.ok($metadata.requestId);
    assert.ok(/^(Put|Delete|Tag|Untag)/.test(operation) || Object.values(answer).some((value) => value !== undefined));
  });

  test(`${operation} is refused with ${refusal}`, async () => {
    const refused = (error) => error instanceof sdk[refusal] && error.name === refusal && error.message !== "";
    await assert.rejects(world.call(operation, await bad(world)), refused);
  });
}
