//! The way out to AWS: one pool of connections for all services.
//!
//! By itself each client of the SDK has a pool of its own, and reads the system's root certificates into it twice: once when
//! it is made, which was a sixth of the listener's start, and once more at its first request.

use std::thread;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, http_client_fn};

/// Makes the connections of every client that is configured with it.
pub(super) fn client() -> SharedHttpClient {
    // The SDK keeps the certificates of the first connector. They are read beside all else that is made at the start; where
    // there is no thread for it, at the first request.
    let _ = thread::Builder::new().spawn(|| connector(None));
    let pool = Builder::new().build_with_connector_fn(|settings, _| connector(settings));
    // As a function it is not asked to read certificates for each client.
    http_client_fn(move |settings, components| pool.http_connector(settings, components))
}

/// As the SDK makes one by itself.
fn connector(settings: Option<&HttpConnectorSettings>) -> Connector {
    let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
    connector.set_connector_settings(settings.cloned());
    connector.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sqs::config::Credentials;

    use super::*;

    /// Takes connections, answers every request with an empty object, and counts the connections.
    fn service() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || answer(stream));
            }
        });
        (url, count)
    }

    fn answer(stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                reader.read_exact(&mut vec![0; length]).expect("the whole request");
                let answer =
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}";
                (&stream).write_all(answer).expect("the caller listens");
            }
            line.clear();
        }
    }

    #[tokio::test]
    async fn services_share_their_connections() {
        let (url, connections) = service();
        let keys = Credentials::builder().access_key_id("test").secret_access_key("test").provider_name("test").build();
        let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("us-east-1"));
        let config = config.credentials_provider(keys).endpoint_url(url).http_client(client()).load().await;
        aws_sdk_sqs::Client::new(&config).list_queues().send().await.expect("an answer of the queues");
        aws_sdk_dynamodb::Client::new(&config).list_tables().send().await.expect("an answer of the tables");
        assert_eq!(connections.load(Ordering::Relaxed), 1);
    }
}
