"""The listener as it would be written with boto3: one message and one record a request, and no check of the data."""

import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3

QUEUE_URL, TABLE = os.environ["PRESSRUN_QUEUE_URL"], os.environ["PRESSRUN_TABLE"]
SQS, DYNAMODB = boto3.client("sqs"), boto3.client("dynamodb")
BOTH = ThreadPoolExecutor(2)


def handle(event, context):
    request = json.loads(event["body"])
    now, job_id = datetime.now(timezone.utc), str(uuid.uuid4())
    job = {"id": job_id, "template": request["template"], "status": "queued", "enqueued_at": now.isoformat()}
    message = json.dumps({**job, "data": request["data"]})
    item = {name: {"S": value} for name, value in job.items()}
    item |= {"attempts": {"N": "0"}, "expires_at": {"N": str(int((now + timedelta(days=30)).timestamp()))}}
    pending = [
        BOTH.submit(SQS.send_message, QueueUrl=QUEUE_URL, MessageBody=message),
        BOTH.submit(DYNAMODB.put_item, TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(id)"),
    ]
    for call in pending:
        call.result()
    url = f"https://{event['headers']['host']}/jobs/{job_id}"
    headers = {"Content-Type": "application/json", "Location": url, "Retry-After": "1"}
    body = json.dumps({**job, "status_url": url, "report_url": f"{url}/report"})
    return {"statusCode": 202, "headers": headers, "body": body}
