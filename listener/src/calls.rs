//! Every call. Each stands here once, and both its route and its part of the OpenAPI document come of that; the document is
//! made when it is asked for, not at each start.

use std::sync::Arc;

use axum::Router;
use axum::routing::on;
use pastey::paste;
use utoipa::{OpenApi, Path};
use utoipa_axum::PathItemExt;

use crate::{
    Listener, append_queue, events, healthz, job, list, metrics, openapi, page, readyz, report, retry, socket,
    templates, uploads,
};

/// Makes a type of these handlers: a document by `utoipa`, and routes. Paths and methods are those that stand at a handler.
macro_rules! calls {
    ($(#[$doc:meta])* $name:ident: $($module:ident::$handler:ident,)+) => {
        $(#[$doc])*
        #[derive(OpenApi)]
        #[openapi(paths($($module::$handler),+))]
        pub(crate) struct $name;

        impl $name {
            /// The routes alone.
            pub(crate) fn routes() -> Router<Arc<Listener>> {
                let mut routes = Router::new();
                $({
                    paste! { type Described = $module::[<__path_ $handler>]; }
                    for method in Described::methods() {
                        routes = routes.route(&Described::path(), on(method.to_method_filter(), $module::$handler));
                    }
                })+
                routes
            }
        }
    };
}

calls! {
    /// The calls that need authentication.
    Guarded:
    append_queue::append_queue,
    list::list,
    job::job,
    events::job_events,
    socket::socket,
    report::by_id,
    retry::retry,
    templates::list,
    templates::one,
    uploads::begin,
    metrics::metrics,
}

calls! {
    /// The calls that need none.
    Open:
    report::by_link,
    uploads::put,
    healthz::healthz,
    readyz::readyz,
    openapi::openapi_json,
    page::html,
    page::css,
    page::script,
}
