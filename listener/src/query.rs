//! What a URL's query asks for.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use jobs::job::shortened;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::IntoParams;

use crate::Problem;

/// How much of a parameter's name is quoted, in characters.
const MAX_NAME_CHARS: usize = 60;

/// The parameters of a query, all of them texts.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::try_from_uri(&parts.uri).map(|Query(parameters)| Self(parameters));
        read.map_err(|_| unreadable(parts.uri.query().unwrap_or_default(), &names::<T>()))
    }
}

fn names<T: IntoParams>() -> Vec<String> {
    T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect()
}

/// Why parameters of these names could not be read of a query.
fn unreadable(query: &str, names: &[String]) -> Problem {
    let given = || form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let known = || names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match given().find(|name| !names.iter().any(|known| known == name)) {
        Some(name) => {
            invalid_query(&format!("`{}` is not a parameter; use {}", shortened(name, MAX_NAME_CHARS), known()))
        }
        None => invalid_query(&format!("give each of {} once at most", known())),
    }
}

/// A query that is not valid.
pub(crate) fn invalid_query(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "The query string is invalid.", format!("{what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_refused_in_a_few_words_whatever_it_says() {
        let names = ["status", "limit"].map(ToOwned::to_owned);
        for (query, detail) in [
            ("status=failed&foo=1", "`foo` is not a parameter; use `status`, `limit`."),
            ("limit=1&limit=2", "give each of `status`, `limit` once at most."),
            ("=", "`` is not a parameter; use `status`, `limit`."),
        ] {
            assert_eq!(unreadable(query, &names).detail(), detail, "{query}");
        }
        let long = unreadable(&"%01".repeat(21_000), &names);
        assert!(long.to_json().to_string().len() < 1_000, "{}", long.detail());
    }
}
