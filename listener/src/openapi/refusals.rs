//! How a call may be refused, told by the problems themselves: each in the document is one that a caller could get.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::IntoResponses;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use crate::{Problem, access, problem};

/// Answers by their status.
pub(crate) type Responses = BTreeMap<String, RefOr<Response>>;

/// The answers that any call may get and nothing else refuses.
pub(crate) struct Defect;

impl IntoResponses for Defect {
    fn responses() -> Responses {
        refusals([])
    }
}

/// The answers that refuse a call which needs the token: its own, and those that every such call has.
pub(crate) fn guarded_refusals(own: impl IntoIterator<Item = Problem>) -> Responses {
    refusals(own.into_iter().chain(access::refusals()))
}

/// The answers that refuse a call: its own, and those that every call may get.
pub(crate) fn refusals(own: impl IntoIterator<Item = Problem>) -> Responses {
    let mut by_status: BTreeMap<StatusCode, Vec<Problem>> = BTreeMap::new();
    for problem in own.into_iter().chain(access::host_refusals()).chain([problem::defect()]) {
        by_status.entry(problem.status).or_default().push(problem);
    }
    by_status.into_iter().map(|(status, problems)| (status.as_str().to_owned(), refusal(&problems).into())).collect()
}

/// One answer, which is any of these problems.
fn refusal(problems: &[Problem]) -> Response {
    let kinds = problems.iter().map(Problem::kind).collect::<Vec<_>>();
    let kind = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds));
    let this = ObjectBuilder::new().property("type", kind);
    let schema = Schema::from(AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(this));
    let examples = problems.iter().map(|it| (it.name, ExampleBuilder::new().value(Some(it.to_json())).build()));
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let description = problems.iter().map(|it| format!("`{}`: {}", it.name, it.title)).collect::<Vec<_>>();
    let response = ResponseBuilder::new().description(description.join(" "));
    let text =
        || HeaderBuilder::new().schema(Some(Schema::from(ObjectBuilder::new().schema_type(Type::String)))).build();
    let headers = problems.iter().filter_map(|problem| problem.header.as_deref());
    let response = headers.fold(response, |response, (name, _)| response.header(name.as_str(), text()));
    response.content("application/problem+json", content).build()
}
