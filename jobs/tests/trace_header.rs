//! What SQS is told of the trace that a message belongs to. Wants `AWS_ENDPOINT_URL` to be an emulator's; `make test`
//! starts one.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use jobs::aws::{SqsQueue, sdk_config};
use jobs::{JobId, Queue};
use telemetry::trace::{Origin, within};
use tracing::Span;

const TRACEPARENT: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn a_message_carries_the_trace_it_was_pushed_in() {
    assert!(std::env::var_os("AWS_ENDPOINT_URL").is_some(), "no emulator: run `make test`");
    let config = sdk_config(Duration::from_secs(30)).await;
    let client = Client::new(&config);
    let made = client.create_queue().queue_name(format!("traced-{}", JobId::new())).send().await;
    let url = made.expect("a queue").queue_url.expect("its URL");
    let queue = SqsQueue::new(&config, &url);
    queue.push("alone").await.expect("the queue answers");
    let origin = Origin::of_message(Some(TRACEPARENT), None);
    within(Span::none(), origin, queue.push("traced")).await.expect("the queue answers");
    let mut headers = Vec::new();
    for _ in 0..2 {
        let received = client.receive_message().queue_url(&url).max_number_of_messages(1).wait_time_seconds(5);
        let received = received.message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader).send().await;
        for message in received.expect("the queue answers").messages.unwrap_or_default() {
            let header = message.attributes.unwrap_or_default().remove(&MessageSystemAttributeName::AwsTraceHeader);
            headers.push((message.body.unwrap_or_default(), header));
        }
    }
    headers.sort();
    assert_eq!(headers, [("alone".into(), None), ("traced".into(), Some(HEADER.to_owned()))]);
}
