//! The other sites whose pages may call (CORS, as the Fetch standard says).

use std::str::FromStr;
use std::time::Duration;

use axum::http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
    RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, Method};
use reqwest::Url;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may cache the answer to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Sites whose pages may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// None but the listener's own.
    #[default]
    Own,
    /// These too.
    These(Vec<HeaderValue>),
    /// Every site.
    Any,
}

/// What is not an origin.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no origin: write it like https://app.example.org, without a path; several are separated by commas, and * is every site"
)]
pub struct BadOrigin(String);

impl FromStr for Origins {
    type Err = BadOrigin;

    /// Reads origins separated by commas, or `*`.
    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let origins: Vec<_> = text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect();
        match origins[..] {
            [] => Ok(Self::Own),
            ["*"] => Ok(Self::Any),
            _ => origins.into_iter().map(read).collect::<Result<_, _>>().map(Self::These),
        }
    }
}

fn read(text: &str) -> Result<HeaderValue, BadOrigin> {
    let origin = Url::parse(text).map(|url| url.origin().ascii_serialization());
    let value = HeaderValue::from_str(text).ok().filter(|_| origin.is_ok_and(|origin| origin == text));
    value.ok_or_else(|| BadOrigin(text.into()))
}

impl Origins {
    /// Whether a page of this origin may call, besides those of the listener's own.
    pub(super) fn admit(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Own => false,
            Self::These(origins) => origins.contains(origin),
            Self::Any => true,
        }
    }

    /// The layer that answers browsers; nothing where no other site may call.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins = match self {
            Self::Own => return None,
            Self::These(origins) => AllowOrigin::list(origins.iter().cloned()),
            Self::Any => AllowOrigin::any(),
        };
        let own = |name| HeaderName::from_static(name);
        let taken = [
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            RANGE,
            own("idempotency-key"),
            own("last-event-id"),
            own("prefer"),
            own("traceparent"),
            own("x-request-id"),
        ];
        let told = [
            ACCEPT_RANGES,
            CONTENT_DISPOSITION,
            CONTENT_RANGE,
            ETAG,
            LOCATION,
            RETRY_AFTER,
            WWW_AUTHENTICATE,
            own("preference-applied"),
            own("x-request-id"),
        ];
        let layer = CorsLayer::new().allow_origin(origins).allow_methods([Method::GET, Method::POST, Method::PUT]);
        Some(layer.allow_headers(taken).expose_headers(told).max_age(MAX_AGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_and_anything_else_is_refused() {
        assert_eq!("".parse::<Origins>().expect("none"), Origins::Own);
        assert_eq!(" * ".parse::<Origins>().expect("any"), Origins::Any);
        let these: Origins = "https://app.example.org, http://localhost:3000".parse().expect("two");
        for (origin, admitted) in [
            ("https://app.example.org", true),
            ("http://localhost:3000", true),
            ("https://app.example.org.evil.example", false),
            ("http://app.example.org", false),
            ("null", false),
        ] {
            assert_eq!(these.admit(&HeaderValue::from_static(origin)), admitted, "{origin}");
        }
        for text in [
            "app.example.org",
            "https://app.example.org/",
            "https://app.example.org/x",
            "HTTPS://a.example",
            "null",
            "*,https://a.example",
            "data:x",
        ] {
            assert!(text.parse::<Origins>().is_err(), "{text}");
        }
    }
}
