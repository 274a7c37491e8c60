//! What a gateway's function is called for: something that a client did, or changes of the jobs' records.

use std::net::IpAddr;

use axum::http::HeaderMap;
use jobs::JobId;
use lambda_http::aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::text_of;

/// One call of the function, told apart by its shape.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// From the WebSocket API.
    Client(Client),
    /// From the stream of the jobs' table.
    #[serde(deserialize_with = "changes")]
    Changes(Vec<Change>),
}

/// What a client did.
#[derive(Debug, PartialEq, Eq)]
pub struct Client {
    /// Its connection.
    pub connection: String,
    /// What came over it.
    pub message: Message,
    /// Whom AWS says it is, where AWS was asked.
    pub arn: Option<String>,
    /// The address that it calls from.
    pub peer: Option<IpAddr>,
}

/// What came over a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// A handshake with these headers.
    Connect(HeaderMap),
    /// A message.
    Text(String),
    /// Its end.
    Disconnect,
}

/// A job's record that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The job.
    pub id: JobId,
    /// Where the change stands in the table's stream.
    pub sequence_number: String,
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let request = ApiGatewayWebsocketProxyRequest::deserialize(deserializer)?;
        let context = request.request_context;
        let message = match context.event_type.as_deref() {
            Some("CONNECT") => Message::Connect(request.headers),
            Some("MESSAGE") => {
                Message::Text(text_of(request.body.as_deref().unwrap_or_default(), request.is_base64_encoded))
            }
            Some("DISCONNECT") => Message::Disconnect,
            _ => return Err(D::Error::custom("no event of a WebSocket API")),
        };
        let connection = context.connection_id.ok_or_else(|| D::Error::missing_field("connectionId"))?;
        let peer = context.identity.source_ip.and_then(|address| address.parse().ok());
        Ok(Self { connection, message, arn: context.identity.user_arn, peer })
    }
}

/// The part of a stream's records that is looked at.
#[derive(Deserialize)]
struct Records {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    dynamodb: Written,
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "Keys")]
    keys: Key,
    #[serde(rename = "SequenceNumber")]
    sequence_number: String,
}

#[derive(Deserialize)]
struct Key {
    id: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

/// The changes of jobs; other items of the table are passed over.
fn changes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Change>, D::Error> {
    let written = Records::deserialize(deserializer)?.records.into_iter().map(|record| record.dynamodb);
    let change = |it: Written| Some(Change { id: it.keys.id.text.parse().ok()?, sequence_number: it.sequence_number });
    Ok(written.filter_map(change).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(event: Value) -> Event {
        serde_json::from_value(event).expect("an event")
    }

    /// As API Gateway sends it, shortened.
    fn socket_event(kind: &str, body: Value, is_base64: bool) -> Value {
        json!({
            "headers": {"Host": "abcd1234.execute-api.eu-central-1.amazonaws.com", "Authorization": "Bearer s3cret"},
            "multiValueHeaders": {"Authorization": ["Bearer s3cret"]},
            "requestContext": {
                "routeKey": "$default",
                "eventType": kind,
                "extendedRequestId": "NEuH_GO4FiAFbkA=",
                "requestTime": "22/Feb/2026:19:07:37 +0000",
                "messageDirection": "IN",
                "stage": "live",
                "connectedAt": 1_771_787_257_902_i64,
                "requestTimeEpoch": 1_771_787_257_903_i64,
                "identity": {"sourceIp": "192.0.2.1"},
                "requestId": "NEuH_GO4FiAFbkA=",
                "domainName": "abcd1234.execute-api.eu-central-1.amazonaws.com",
                "connectionId": "NEuH_ccQliACFow=",
                "apiId": "abcd1234"
            },
            "body": body,
            "isBase64Encoded": is_base64
        })
    }

    fn client(event: Value) -> Client {
        match read(event) {
            Event::Client(client) => client,
            Event::Changes(changes) => panic!("{changes:?}"),
        }
    }

    #[test]
    fn what_a_client_does_is_told_apart() {
        let connect = client(socket_event("CONNECT", Value::Null, false));
        assert_eq!(connect.connection, "NEuH_ccQliACFow=");
        assert_eq!(connect.peer, "192.0.2.1".parse().ok());
        let Message::Connect(headers) = connect.message else { panic!("{:?}", connect.message) };
        assert_eq!(headers["authorization"], "Bearer s3cret");
        for (body, is_base64) in [("{\"a\":1}", false), ("eyJhIjoxfQ==", true)] {
            let message = client(socket_event("MESSAGE", body.into(), is_base64)).message;
            assert_eq!(message, Message::Text("{\"a\":1}".into()));
        }
        assert_eq!(client(socket_event("DISCONNECT", Value::Null, false)).message, Message::Disconnect);
    }

    #[test]
    fn changes_of_jobs_are_read_and_those_of_other_items_passed_over() {
        let id = JobId::new();
        let record = |key: String, number: &str| {
            json!({
                "eventID": "7de3041dd709b024af6f29e4fa13d34c",
                "eventName": "MODIFY",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "eu-central-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_771_787_257.0,
                    "Keys": {"id": {"S": key}},
                    "NewImage": {"id": {"S": "x"}, "attempts": {"N": "1"}, "set_aside": {"BOOL": false}},
                    "SequenceNumber": number,
                    "SizeBytes": 112,
                    "StreamViewType": "NEW_IMAGE"
                },
                "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/jobs/stream/2026-02-22T19:00:00.000"
            })
        };
        let records = json!({ "Records": [record(id.to_string(), "4421584500000000017450439091"), record("idempotency#x".into(), "2")] });
        match read(records) {
            Event::Changes(changes) => {
                assert_eq!(changes, [Change { id, sequence_number: "4421584500000000017450439091".into() }]);
            }
            Event::Client(client) => panic!("{client:?}"),
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let url_event = json!({
            "version": "2.0", "rawPath": "/", "headers": {},
            "requestContext": {"http": {"method": "GET"}, "routeKey": "$default", "timeEpoch": 1}
        });
        for event in [url_event, json!({}), json!([]), json!({"Records": [{"messageId": "x", "body": "{}"}]})] {
            assert!(serde_json::from_value::<Event>(event.clone()).is_err(), "{event}");
        }
    }
}
