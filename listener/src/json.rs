//! JSON answers that a terminal shows as they are, whatever data they quote.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use findings::visible_json;
use serde::Serialize;

use crate::problem::defect;

/// An answer in JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(json) => ([(CONTENT_TYPE, "application/json")], visible_json(json)).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                defect().into_response()
            }
        }
    }
}
