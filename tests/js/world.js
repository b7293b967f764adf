// What the operations are called about: a group with datasets and jobs, and functions that make more of each.

import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import * as personalizeSdk from "@aws-sdk/client-personalize";
import * as eventsSdk from "@aws-sdk/client-personalize-events";
import { CreateBucketCommand, PutBucketPolicyCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";

const ARN = "arn:aws:personalize:us-east-1:000000000000:";
export const NOTHING = {
  schemaArn: `${ARN}schema/nobody`,
  datasetGroupArn: `${ARN}dataset-group/nobody`,
  datasetArn: `${ARN}dataset/nobody/ITEMS`,
  eventTrackerArn: `${ARN}event-tracker/00000000`,
  datasetImportJobArn: `${ARN}dataset-import-job/nobody`,
  datasetExportJobArn: `${ARN}dataset-export-job/nobody`,
  dataDeletionJobArn: `${ARN}data-deletion-job/nobody`,
  metricAttributionArn: `${ARN}metric-attribution/nobody`,
  resourceArn: `${ARN}dataset-group/nobody`,
  trackingId: "00000000-0000-4000-8000-000000000000",
};
const BUCKET = "js-operations";
const field = (name, type, attributes = {}) => ({ name, type, ...attributes });
const CATEGORY = { categorical: true };
const FIELDS = {
  Items: [field("ITEM_ID", "string"), field("PRICE", "float"), field("CATEGORY_L1", "string", CATEGORY)],
  Users: [field("USER_ID", "string"), field("AGE", "int")],
  Interactions: [
    field("USER_ID", "string"), field("ITEM_ID", "string"), field("EVENT_TYPE", "string"), field("TIMESTAMP", "long")],
  Actions: [field("ACTION_ID", "string"), field("COLOR", "string", CATEGORY)],
  ActionInteractions: [
    field("USER_ID", "string"), field("ACTION_ID", "string"), field("EVENT_TYPE", "string"), field("TIMESTAMP", "long")],
};

export class World {
  wider = [...FIELDS.Items, field("COLOR", ["null", "string"], CATEGORY)];
  #numbers = 0;

  constructor(common) {
    this.personalize = new personalizeSdk.PersonalizeClient(common);
    this.events = new eventsSdk.PersonalizeEventsClient(common);
    this.iam = new IAMClient(common);
    this.s3 = new S3Client({ ...common, forcePathStyle: true });
  }

  destroy() {
    for (const client of [this.personalize, this.events, this.iam, this.s3]) client.destroy();
  }

  /** Sends a command by its name. */
  call(operation, input) {
    const [client, sdk] = operation.startsWith("Put") ? [this.events, eventsSdk] : [this.personalize, personalizeSdk];
    return client.send(new sdk[`${operation}Command`](input));
  }

  name() {
    return `js-${++this.#numbers}`;
  }

  async furnish() {
    await this.#bucketAndRole();
    this.group = await this.madeGroup();
    this.schema = await this.madeSchema();
    const add = (kind, schema) => this.madeDataset(kind, schema, this.group);
    this.items = await add("Items", this.schema);
    this.users = await add("Users");
    this.interactions = await add("Interactions");
    const tracker = await this.call("CreateEventTracker", { name: this.name(), datasetGroupArn: this.group });
    [this.tracker, this.trackingId] = [tracker.eventTrackerArn, tracker.trackingId];
    this.location = await this.#upload("items.csv", "ITEM_ID,PRICE,CATEGORY_L1\ni1,1,A\n");
    this.listed = await this.#upload("users.csv", "USER_ID\nnobody\n");
    const imported = await this.call("CreateDatasetImportJob", this.importInput(this.location));
    this.importJob = imported.datasetImportJobArn;
    this.exportJob = (await this.call("CreateDatasetExportJob", this.exportInput(this.items))).datasetExportJobArn;
    return this;
  }

  async #bucketAndRole() {
    const service = { Service: "personalize.amazonaws.com" };
    const policy = (...statements) => JSON.stringify({ Version: "2012-10-17", Statement: statements });
    const access = {
      Effect: "Allow", Action: ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
      Resource: [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`],
    };
    const publish = { Effect: "Allow", Action: "cloudwatch:PutMetricData", Resource: "*" };
    const trust = policy({ Effect: "Allow", Principal: service, Action: "sts:AssumeRole" });
    const role = { RoleName: "js-operations", AssumeRolePolicyDocument: trust };
    this.role = (await this.iam.send(new CreateRoleCommand(role))).Role.Arn;
    const inline = { RoleName: role.RoleName, PolicyName: "p", PolicyDocument: policy(access, publish) };
    await this.iam.send(new PutRolePolicyCommand(inline));
    await this.s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const open = policy({ ...access, Principal: service });
    await this.s3.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: open }));
  }

  async #upload(key, text) {
    await this.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: text }));
    return `s3://${BUCKET}/${key}`;
  }

  // Inputs

  schemaInput(kind = "Items", fields = FIELDS[kind]) {
    const envelope = { type: "record", name: kind, namespace: "com.amazonaws.personalize.schema", version: "1.0" };
    return { name: this.name(), schema: JSON.stringify({ ...envelope, fields }) };
  }

  datasetInput(datasetType, schemaArn, datasetGroupArn) {
    return { name: this.name(), datasetType, schemaArn, datasetGroupArn };
  }

  importInput(dataLocation) {
    return { jobName: this.name(), datasetArn: this.items, dataSource: { dataLocation }, roleArn: this.role };
  }

  exportInput(datasetArn) {
    const jobOutput = { s3DataDestination: { path: `s3://${BUCKET}/out` } };
    return { jobName: this.name(), datasetArn, jobOutput, roleArn: this.role };
  }

  deletionInput(datasetGroupArn) {
    return { jobName: this.name(), datasetGroupArn, dataSource: { dataLocation: this.listed }, roleArn: this.role };
  }

  metric(metricName) {
    return { eventType: "click", metricName, expression: "SAMPLECOUNT()" };
  }

  metricsInput(datasetGroupArn) {
    const metricsOutputConfig = { roleArn: this.role };
    return { name: this.name(), datasetGroupArn, metrics: [this.metric("clicks")], metricsOutputConfig };
  }

  event(trackingId) {
    const event = { eventType: "click", itemId: "i1", sentAt: new Date() };
    return { trackingId, userId: "u1", sessionId: "s1", eventList: [event] };
  }

  item(datasetArn) {
    return { datasetArn, items: [{ itemId: "i1", properties: JSON.stringify({ price: 1, categoryL1: "A" }) }] };
  }

  user(datasetArn) {
    return { datasetArn, users: [{ userId: "u1", properties: JSON.stringify({ age: 1 }) }] };
  }

  action(datasetArn) {
    return { datasetArn, actions: [{ actionId: "a1", properties: JSON.stringify({ color: "red" }) }] };
  }

  actionInteraction(trackingId) {
    const viewed = { actionId: "a1", sessionId: "s1", userId: "u1", timestamp: new Date(), eventType: "Viewed" };
    return { trackingId, actionInteractions: [viewed] };
  }

  // Things

  async madeSchema(kind, fields) {
    return (await this.call("CreateSchema", this.schemaInput(kind, fields))).schemaArn;
  }

  async madeGroup() {
    const { datasetGroupArn } = await this.call("CreateDatasetGroup", { name: this.name() });
    await this.#active(async () => (await this.call("DescribeDatasetGroup", { datasetGroupArn })).datasetGroup);
    return datasetGroupArn;
  }

  async madeDataset(kind = "Items", schema, group) {
    schema ??= await this.madeSchema(kind);
    group ??= await this.madeGroup();
    const type = kind === "ActionInteractions" ? "Action_Interactions" : kind;
    const { datasetArn } = await this.call("CreateDataset", this.datasetInput(type, schema, group));
    await this.#active(async () => (await this.call("DescribeDataset", { datasetArn })).dataset);
    return datasetArn;
  }

  async madeTracker() {
    const input = { name: this.name(), datasetGroupArn: await this.madeGroup() };
    return (await this.call("CreateEventTracker", input)).eventTrackerArn;
  }

  madeActions() {
    return this.madeDataset("Actions");
  }

  /** The tracking id that an Action interactions dataset brings with it. */
  async madeActionTracker() {
    const datasetArn = await this.madeDataset("ActionInteractions");
    return (await this.call("DescribeDataset", { datasetArn })).dataset.trackingId;
  }

  async madeDeletion() {
    return (await this.call("CreateDataDeletionJob", this.deletionInput(await this.madeGroup()))).dataDeletionJobArn;
  }

  /** A group with interactions to count. */
  async clicked() {
    const group = await this.madeGroup();
    await this.madeDataset("Interactions", undefined, group);
    return group;
  }

  async madeAttribution() {
    const created = await this.call("CreateMetricAttribution", this.metricsInput(await this.clicked()));
    const describe = { metricAttributionArn: created.metricAttributionArn };
    await this.#active(async () => (await this.call("DescribeMetricAttribution", describe)).metricAttribution);
    return created.metricAttributionArn;
  }

  async #active(describe) {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
      if ((await describe()).status === "ACTIVE") return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("not ACTIVE after 60 s");
  }
}
