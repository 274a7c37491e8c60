//! `GET /templates` and `GET /templates/{name}`: what there is to ask for, and with what data.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use input::Rows;
use serde_json::{Value, json};

use crate::catalogue::{Catalogue, Template, Unusable};
use crate::{Listener, Problem};

pub(crate) async fn list(State(listener): State<Arc<Listener>>) -> Result<Json<Value>, Problem> {
    let names = listener.catalogue.names().map_err(|error| unusable(&error))?;
    Ok(Json(json!({ "templates": names })))
}

pub(crate) async fn one(
    State(listener): State<Arc<Listener>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let template = known(&listener.catalogue, &name)?;
    let rows = template.rows.as_ref().map(Rows::declaration);
    Ok(Json(json!({ "name": template.name, "schema": template.schema, "sample": template.sample, "rows": rows })))
}

/// The template of this name, or the answer that names those there are.
pub(crate) fn known(catalogue: &Catalogue, name: &str) -> Result<Arc<Template>, Problem> {
    match catalogue.find(name) {
        Ok(Some(template)) => Ok(template),
        Ok(None) => {
            let names = catalogue.names().map_err(|error| unusable(&error))?;
            let detail = format!("The templates are: {}.", names.join(", "));
            Err(Problem::new(StatusCode::NOT_FOUND, "unknown-template", "There is no template of this name.", detail))
        }
        Err(error) => Err(unusable(&error)),
    }
}

fn unusable(error: &Unusable) -> Problem {
    tracing::error!(%error, "a template cannot be offered");
    let title = "This template cannot be used until it is mended.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unusable-template", title, format!("{error}."))
}
