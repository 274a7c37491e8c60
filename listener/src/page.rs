//! `GET /`: the page on which a person queues reports and watches them. Its three files are part of the program.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;

use crate::Listener;
use crate::openapi::Defect;

/// The page on which a person queues reports and watches them.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "page",
    tag = "page",
    responses((status = 200, description = "HTML.", content_type = "text/html", body = String), Defect)
)]
pub(crate) async fn html(State(listener): State<Arc<Listener>>) -> impl IntoResponse {
    file(&listener, "text/html; charset=utf-8", include_str!("page/index.html"))
}

/// The page's stylesheet.
#[utoipa::path(
    get,
    path = "/page.css",
    operation_id = "page_css",
    tag = "page",
    responses((status = 200, description = "CSS.", content_type = "text/css", body = String), Defect)
)]
pub(crate) async fn css(State(listener): State<Arc<Listener>>) -> impl IntoResponse {
    file(&listener, "text/css; charset=utf-8", include_str!("page/page.css"))
}

/// The page's script.
#[utoipa::path(
    get,
    path = "/page.js",
    operation_id = "page_js",
    tag = "page",
    responses((status = 200, description = "JavaScript.", content_type = "text/javascript", body = String), Defect)
)]
pub(crate) async fn script(State(listener): State<Arc<Listener>>) -> impl IntoResponse {
    file(&listener, "text/javascript; charset=utf-8", include_str!("page/page.js"))
}

fn file(listener: &Listener, content_type: &str, content: &'static str) -> impl IntoResponse + use<> {
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CONTENT_SECURITY_POLICY, policy(listener)),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, content)
}

/// Nothing from elsewhere but the reports, nothing inline, in nobody's frame. A report is shown from a `blob:` URL.
fn policy(listener: &Listener) -> String {
    let reports = listener.reports_origin.as_deref().unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {reports}; img-src 'self' data:; \
         frame-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
