//! A fresh set of ports for each test, on either backend.

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use aws_sdk_s3::types::{Tag, Tagging};
use aws_sdk_sqs::types::QueueAttributeName;
use jobs::aws::{Bucket, DynamoStore, DynamoUsage, SqsQueue, Topic};
use jobs::local::{Local, SqliteDeliveries};
use jobs::{Busy, Deliveries, DueDeliveries, JobId, JobStore, Notifier, ObjectStore, Queue, Usage};
use tempfile::TempDir;

/// After how many deliveries a message is set aside.
pub(crate) const MAX_RECEIVES: u32 = 3;

/// The four ports of one backend, and a way to read what was announced.
pub(crate) struct Bench {
    pub(crate) queue: Box<dyn Queue>,
    pub(crate) jobs: Box<dyn JobStore>,
    pub(crate) objects: Box<dyn ObjectStore>,
    pub(crate) notifier: Box<dyn Notifier>,
    pub(crate) usage: Box<dyn Usage>,
    pub(crate) deliveries: Box<dyn Deliveries>,
    waiting: Waiting,
    bucket: Option<(aws_sdk_s3::Client, String)>,
    inbox: Inbox,
}

/// Where deliveries wait.
enum Waiting {
    Table(SqliteDeliveries),
    Queue(SqsQueue),
}

enum Inbox {
    Folder(TempDir),
    Queue(SqsQueue),
}

impl Bench {
    pub(crate) async fn local() -> Self {
        let folder = TempDir::new().expect("a folder");
        let local = Local::open(folder.path(), MAX_RECEIVES).await.expect("a fresh data folder opens");
        Self {
            queue: Box::new(local.queue),
            jobs: Box::new(local.jobs),
            usage: Box::new(local.usage),
            objects: Box::new(local.objects),
            notifier: Box::new(local.outbox),
            deliveries: Box::new(local.deliveries.clone()),
            waiting: Waiting::Table(local.deliveries),
            bucket: None,
            inbox: Inbox::Folder(folder),
        }
    }

    pub(crate) async fn aws() -> Self {
        assert!(std::env::var_os("AWS_ENDPOINT_URL").is_some(), "no emulator: run `make test`");
        let config = jobs::aws::sdk_config(Duration::from_secs(30)).await;
        let name = format!("contract-{}", JobId::new());
        let (queue, dead_letters) =
            (make_queue(&config, &name).await, make_queue(&config, &format!("{name}-dead")).await);
        redrive(&config, &queue, &dead_letters).await;
        make_table(&config, &name).await;
        aws_sdk_s3::Client::new(&config).create_bucket().bucket(&name).send().await.expect("a bucket");
        let inbox = make_queue(&config, &format!("{name}-inbox")).await;
        let deliveries = SqsQueue::new(&config, make_queue(&config, &format!("{name}-deliveries")).await);
        let topic = make_topic(&config, &name, &inbox).await;
        Self {
            queue: Box::new(SqsQueue::new(&config, queue).with_dead_letters(dead_letters)),
            jobs: Box::new(DynamoStore::new(&config, &name).counting_bytes()),
            usage: Box::new(DynamoUsage::new(&config, &name)),
            objects: Box::new(Bucket::new(&config, &name)),
            notifier: Box::new(Topic::new(&config, topic)),
            deliveries: Box::new(deliveries.clone()),
            waiting: Waiting::Queue(deliveries),
            bucket: Some((aws_sdk_s3::Client::new(&config), name)),
            inbox: Inbox::Queue(SqsQueue::new(&config, inbox)),
        }
    }

    /// Takes the next delivery out of its queue.
    pub(crate) async fn next_delivery(&self) -> String {
        match &self.waiting {
            Waiting::Table(table) => {
                let due = table.due(&Busy::default(), 1).await.expect("the queue answers").pop().expect("a delivery");
                table.remove(due.id).await.expect("the queue answers");
                due.body
            }
            Waiting::Queue(queue) => {
                let wait = Duration::from_secs(10);
                let delivery = queue.receive(wait, wait).await.expect("the queue answers").expect("a delivery");
                queue.acknowledge(&delivery.ticket).await.expect("the queue answers");
                delivery.body
            }
        }
    }

    /// Tags an object as callers must tag uploads, where there are tags.
    pub(crate) async fn tag_as_callers_do(&self, key: &str) {
        let Some((client, bucket)) = &self.bucket else { return };
        let tag = Tag::builder().key("pressrun-named").value("no").build().expect("a tag");
        let tags = Tagging::builder().tag_set(tag).build().expect("tags");
        client.put_object_tagging().bucket(bucket).key(key).tagging(tags).send().await.expect("tagged");
    }

    /// The next mail announced, headers or attributes included.
    pub(crate) async fn next_mail(&self) -> String {
        match &self.inbox {
            Inbox::Folder(folder) => std::fs::read_to_string(only_file(folder.path().join("outbox"))).expect("a mail"),
            Inbox::Queue(queue) => {
                let wait = Duration::from_secs(10);
                queue.receive(wait, wait).await.expect("the inbox answers").expect("a mail").body
            }
        }
    }
}

fn only_file(folder: PathBuf) -> PathBuf {
    let files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().expect("one file")
}

async fn make_queue(config: &aws_config::SdkConfig, name: &str) -> String {
    let made = aws_sdk_sqs::Client::new(config).create_queue().queue_name(name).send().await.expect("a queue");
    made.queue_url.expect("its URL")
}

async fn queue_arn(config: &aws_config::SdkConfig, url: &str) -> String {
    let client = aws_sdk_sqs::Client::new(config);
    let request = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
    let attributes = request.send().await.expect("attributes").attributes.expect("some");
    attributes[&QueueAttributeName::QueueArn].clone()
}

async fn redrive(config: &aws_config::SdkConfig, queue: &str, dead_letters: &str) {
    let policy = serde_json::json!({
        "deadLetterTargetArn": queue_arn(config, dead_letters).await,
        "maxReceiveCount": MAX_RECEIVES.to_string(),
    });
    set_attribute(config, queue, QueueAttributeName::RedrivePolicy, &policy).await;
}

async fn set_attribute(
    config: &aws_config::SdkConfig,
    queue: &str,
    name: QueueAttributeName,
    value: &serde_json::Value,
) {
    let request = aws_sdk_sqs::Client::new(config).set_queue_attributes().queue_url(queue);
    request.attributes(name, value.to_string()).send().await.expect("the attribute is set");
}

async fn make_table(config: &aws_config::SdkConfig, name: &str) {
    let attribute = |name, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("complete")
    };
    let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("complete");
    let open_jobs = GlobalSecondaryIndex::builder()
        .index_name("open-jobs")
        .key_schema(key("open", KeyType::Hash))
        .key_schema(key("overdue_at", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    let jobs_by_caller = GlobalSecondaryIndex::builder()
        .index_name("jobs-by-caller")
        .key_schema(key("caller_month", KeyType::Hash))
        .key_schema(key("id", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    let jobs_by_month = GlobalSecondaryIndex::builder()
        .index_name("jobs-by-month")
        .key_schema(key("month", KeyType::Hash))
        .key_schema(key("id", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("id", ScalarAttributeType::S))
        .attribute_definitions(attribute("open", ScalarAttributeType::S))
        .attribute_definitions(attribute("overdue_at", ScalarAttributeType::N))
        .attribute_definitions(attribute("month", ScalarAttributeType::S))
        .attribute_definitions(attribute("caller_month", ScalarAttributeType::S))
        .key_schema(key("id", KeyType::Hash))
        .global_secondary_indexes(open_jobs.build().expect("complete"))
        .global_secondary_indexes(jobs_by_caller.build().expect("complete"))
        .global_secondary_indexes(jobs_by_month.build().expect("complete"))
        .send()
        .await
        .expect("a table");
}

async fn make_topic(config: &aws_config::SdkConfig, name: &str, inbox: &str) -> String {
    let client = aws_sdk_sns::Client::new(config);
    let topic = client.create_topic().name(name).send().await.expect("a topic").topic_arn.expect("its ARN");
    let arn = queue_arn(config, inbox).await;
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }],
    });
    set_attribute(config, inbox, QueueAttributeName::Policy, &policy).await;
    client.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn).send().await.expect("a subscription");
    topic
}
