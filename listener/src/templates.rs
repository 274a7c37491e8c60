//! `GET /templates` and `GET /templates/{name}`: what there is to ask for, and with what data.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use input::RowsDeclaration;
use jobs::Data;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};

use crate::catalogue::{Catalogue, Template, Unusable};
use crate::json::Json;
use crate::openapi::{Responses, guarded_refusals};
use crate::{Listener, Problem};

/// The templates on offer.
#[derive(Serialize, ToSchema)]
#[schema(as = TemplateNames)]
pub(crate) struct Names {
    /// Their names, sorted.
    templates: Vec<String>,
}

/// A template.
#[derive(Serialize, ToSchema)]
#[schema(as = Template)]
pub(crate) struct Shown {
    /// Its name.
    name: String,
    /// What its data must look like, as JSON Schema 2020-12; null where anything goes.
    schema: Option<Value>,
    /// Data that fits; null where there is none.
    #[schema(value_type = Option<Value>)]
    sample: Option<Data>,
    /// The part of the data that may be uploaded as rows; null where there is none.
    rows: Option<RowsDeclaration>,
}

/// The names of all templates.
#[utoipa::path(
    get,
    path = "/templates",
    operation_id = "templates",
    tag = "templates",
    responses((status = 200, description = "The names.", body = Names), ListRefusals)
)]
pub(crate) async fn list(State(listener): State<Arc<Listener>>) -> Result<Json<Names>, Problem> {
    let templates = listener.catalogue.names().map_err(|error| unusable(&listener.catalogue, error))?;
    Ok(Json(Names { templates }))
}

struct ListRefusals;

impl IntoResponses for ListRefusals {
    fn responses() -> Responses {
        guarded_refusals(refusals())
    }
}

/// One template's schema, sample and rows.
#[utoipa::path(
    get,
    path = "/templates/{name}",
    operation_id = "template",
    tag = "templates",
    params(("name" = String, Path, description = "The template's name.", example = "letter")),
    responses((status = 200, description = "The template.", body = Shown), OneRefusals)
)]
pub(crate) async fn one(
    State(listener): State<Arc<Listener>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Shown>, Problem> {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let template = known(&listener.catalogue, &name)?;
    let (name, schema, sample) = (template.name.clone(), template.schema.clone(), template.sample.clone());
    let rows = template.rows.as_ref().map(|rows| rows.declaration().clone());
    Ok(Json(Shown { name, schema, sample, rows }))
}

struct OneRefusals;

impl IntoResponses for OneRefusals {
    fn responses() -> Responses {
        guarded_refusals(refusals().into_iter().chain([unknown(&["invoice".into(), "letter".into()])]))
    }
}

/// The template of this name, or the answer that names those there are.
pub(crate) fn known(catalogue: &Catalogue, name: &str) -> Result<Arc<Template>, Problem> {
    match catalogue.find(name) {
        Ok(Some(template)) => Ok(template),
        Ok(None) => {
            let names = catalogue.names().map_err(|error| unusable(catalogue, error))?;
            Err(unknown(&names))
        }
        Err(error) => Err(unusable(catalogue, error)),
    }
}

/// There is no such template; those there are have these names.
pub(crate) fn unknown(names: &[String]) -> Problem {
    let detail = format!("The templates are: {}.", names.join(", "));
    Problem::new(StatusCode::NOT_FOUND, "unknown-template", "There is no template of this name.", detail)
}

fn unusable(catalogue: &Catalogue, error: Unusable) -> Problem {
    tracing::error!(%error, "a template cannot be offered");
    out_of_order(&catalogue.shown(error))
}

fn out_of_order(error: &Unusable) -> Problem {
    let title = "This template is broken.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unusable-template", title, format!("{error}."))
}

/// How a call for a template may be refused, whatever its name.
pub(crate) fn refusals() -> [Problem; 1] {
    let reason = "\"nonsense\" is not valid under any of the schemas listed in the 'anyOf' keyword".to_owned();
    [out_of_order(&Unusable::Schema { path: "letter/schema.json".into(), reason })]
}
