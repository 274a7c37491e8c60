//! Who follows which job, in DynamoDB. Wants `AWS_ENDPOINT_URL` to be an emulator's; `make test` starts one.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use chrono::TimeDelta;
use jobs::aws::{DynamoFollowers, DynamoStore, SdkConfig, sdk_config};
use jobs::followers::{Connected, Follower, Followers};
use jobs::job::now;
use jobs::{Job, JobId, JobStore, Terms};

struct Bench {
    client: Client,
    table: String,
    followers: DynamoFollowers,
    jobs: DynamoStore,
}

impl Bench {
    async fn new() -> Self {
        assert!(std::env::var_os("AWS_ENDPOINT_URL").is_some(), "no emulator: run `make test`");
        let config: SdkConfig = sdk_config(Duration::from_secs(30)).await;
        let (client, jobs) = (Client::new(&config), format!("jobs-{}", JobId::new()));
        let followers = format!("followers-{}", JobId::new());
        make_table(&client, &jobs, &["id"]).await;
        make_table(&client, &followers, &["job", "connection"]).await;
        Self {
            followers: DynamoFollowers::new(&config, &followers, &jobs),
            jobs: DynamoStore::new(&config, &jobs),
            client,
            table: jobs,
        }
    }

    async fn job(&self) -> JobId {
        let job = Job::queued(JobId::new(), "letter", now());
        let later = now() + TimeDelta::hours(1);
        self.jobs.record(&job, Terms { overdue_at: later, expires_at: later }).await.expect("the store answers");
        job.id
    }

    async fn add(&self, job: JobId, connection: &str, last: Option<&str>) {
        let last = last.map(|id| id.parse().expect("an id"));
        let follower = Follower { connection: connection.into(), last };
        self.followers.add(job, &follower, now() + TimeDelta::hours(2)).await.expect("the store answers");
    }

    /// The followers as `connection last`.
    async fn of(&self, job: JobId) -> BTreeSet<String> {
        let followers = self.followers.of(job).await.expect("the store answers");
        let last = |it: &Follower| it.last.map_or_else(|| "-".into(), |id| id.to_string());
        followers.iter().map(|it| format!("{} {}", it.connection, last(it))).collect()
    }

    /// What marks the job's record as followed.
    async fn mark(&self, job: JobId) -> Option<AttributeValue> {
        let get = self.client.get_item().table_name(&self.table).key("id", AttributeValue::S(job.to_string()));
        get.consistent_read(true).send().await.expect("the store answers").item.and_then(|mut it| it.remove("followed"))
    }
}

/// A table with these keys and, if there are two of them, the index that turns them around.
async fn make_table(client: &Client, name: &str, keys: &[&str]) {
    let schema = |keys: &[&str]| -> Vec<KeySchemaElement> {
        let kinds = [KeyType::Hash, KeyType::Range];
        let key = |(name, kind): (&&str, KeyType)| KeySchemaElement::builder().attribute_name(*name).key_type(kind);
        keys.iter().zip(kinds).map(|it| key(it).build().expect("complete")).collect()
    };
    let mut create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for key in keys {
        let attribute = AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S);
        create = create.attribute_definitions(attribute.build().expect("complete"));
    }
    if let [hash, range] = keys {
        let index = GlobalSecondaryIndex::builder()
            .index_name("by-connection")
            .set_key_schema(Some(schema(&[range, hash])))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
        create = create.global_secondary_indexes(index.build().expect("complete"));
    }
    create.set_key_schema(Some(schema(keys))).send().await.expect("a table");
}

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn followers_are_kept_with_what_they_were_told() {
    let bench = Bench::new().await;
    let (job, other) = (bench.job().await, bench.job().await);
    bench.add(job, "a", None).await;
    bench.add(job, "b", Some("0.1.0")).await;
    bench.add(other, "a", None).await;
    bench.followers.advance(job, "a", "0.0.1".parse().expect("an id")).await.expect("the store answers");
    assert_eq!(bench.of(job).await, ["a 0.0.1", "b 0.1.0"].map(String::from).into());
    bench.add(job, "b", Some("0.0.1")).await;
    assert_eq!(bench.of(job).await, ["a 0.0.1", "b 0.0.1"].map(String::from).into(), "it goes on from there");
    assert_eq!(bench.of(JobId::new()).await, BTreeSet::new());
}

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn a_follower_is_removed_and_does_not_come_back() {
    let bench = Bench::new().await;
    let (job, other) = (bench.job().await, bench.job().await);
    for connection in ["a", "b"] {
        bench.add(job, connection, None).await;
        bench.add(other, connection, None).await;
    }
    bench.followers.remove(job, "a").await.expect("the store answers");
    bench.followers.advance(job, "a", "0.0.1".parse().expect("an id")).await.expect("the store answers");
    assert_eq!(bench.of(job).await, ["b -"].map(String::from).into());
    bench.followers.forget("b").await.expect("the store answers");
    assert_eq!((bench.of(job).await, bench.of(other).await), (BTreeSet::new(), ["a -"].map(String::from).into()));
}

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn each_follower_changes_the_jobs_record_and_nothing_that_is_read_of_it() {
    let bench = Bench::new().await;
    let job = bench.job().await;
    let before = bench.jobs.get(job).await.expect("the store answers");
    let mut marks = vec![bench.mark(job).await];
    assert_eq!(marks, [None]);
    for connection in ["a", "b", "a"] {
        bench.add(job, connection, None).await;
        let mark = bench.mark(job).await;
        assert!(!marks.contains(&mark), "a write that changes nothing would not be told");
        marks.push(mark);
    }
    assert_eq!(bench.jobs.get(job).await.expect("the store answers"), before);
    let unknown = JobId::new();
    bench.add(unknown, "a", None).await;
    assert_eq!(bench.jobs.get(unknown).await.expect("the store answers"), None, "no job comes of it");
}

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn hundreds_follow_one_job_and_none_is_lost() {
    let bench = Bench::new().await;
    let job = bench.job().await;
    let names: Vec<_> = (0..300).map(|number| format!("connection-{number:03}")).collect();
    for some in names.chunks(50) {
        futures_util::future::join_all(some.iter().map(|name| bench.add(job, name, None))).await;
    }
    let found = bench.of(job).await;
    assert_eq!(found, names.iter().map(|name| format!("{name} -")).collect());
}

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn who_is_connected_is_remembered_until_forgotten() {
    let bench = Bench::new().await;
    let caller_of = async |connection| bench.followers.caller_of(connection).await.expect("the store answers");
    let later = now() + TimeDelta::hours(2);
    let who = |caller: &str, rights: &str| Connected { caller: caller.into(), rights: rights.into() };
    let (crm, ops) = (who("crm", ""), who("ops", "admin"));
    for (connection, who) in [("a", &crm), ("b", &ops)] {
        bench.followers.remember(connection, who, later).await.expect("the store answers");
    }
    assert_eq!((caller_of("a").await.as_ref(), caller_of("b").await.as_ref()), (Some(&crm), Some(&ops)));
    bench.followers.forget("a").await.expect("the store answers");
    assert_eq!((caller_of("a").await, caller_of("b").await), (None, Some(ops)));
}

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn what_a_connection_follows_is_counted_to_the_most() {
    let bench = Bench::new().await;
    let who = Connected { caller: "crm".into(), rights: String::new() };
    bench.followers.remember("a", &who, now() + TimeDelta::hours(2)).await.expect("the store answers");
    let count = async |most| bench.followers.followed_by("a", most).await.expect("the store answers");
    assert_eq!(count(3).await, 0, "the item of who is connected is no job");
    for _ in 0..5 {
        bench.add(bench.job().await, "a", None).await;
        bench.add(bench.job().await, "b", None).await;
    }
    assert_eq!((count(3).await, count(10).await), (3, 5));
}
