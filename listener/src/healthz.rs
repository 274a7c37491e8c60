//! `GET /healthz`: whether the server is up.

use crate::openapi::Defect;

/// Whether the server is up.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "server",
    responses((status = 200, description = "It is.", body = String, example = "ok\n"), Defect)
)]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}
