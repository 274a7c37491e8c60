// The listener as it would be written with the AWS SDK: one message and one record a request, and no check of the data.

const { randomUUID } = require("node:crypto");
const { SQSClient, SendMessageCommand } = require("@aws-sdk/client-sqs");
const { DynamoDBClient, PutItemCommand } = require("@aws-sdk/client-dynamodb");

const { PRESSRUN_QUEUE_URL: QueueUrl, PRESSRUN_TABLE: TableName } = process.env;
const sqs = new SQSClient();
const dynamodb = new DynamoDBClient();

exports.handle = async (event) => {
  const { template, data } = JSON.parse(event.body);
  const now = new Date();
  const job = { id: randomUUID(), template, status: "queued", enqueued_at: now.toISOString() };
  const Item = Object.fromEntries(Object.entries(job).map(([name, value]) => [name, { S: value }]));
  Item.attempts = { N: "0" };
  Item.expires_at = { N: String(Math.floor(now / 1000) + 30 * 86_400) };
  await Promise.all([
    sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify({ ...job, data }) })),
    dynamodb.send(new PutItemCommand({ TableName, Item, ConditionExpression: "attribute_not_exists(id)" })),
  ]);
  const url = `https://${event.headers.host}/jobs/${job.id}`;
  return {
    statusCode: 202,
    headers: { "Content-Type": "application/json", Location: url, "Retry-After": "1" },
    body: JSON.stringify({ ...job, status_url: url, report_url: `${url}/report` }),
  };
};
