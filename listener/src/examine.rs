//! What a request must be before it is taken in: JSON of the right shape, with data that fits its template.

use std::sync::Arc;

use axum::http::StatusCode;
use input::{Budget, CHECK_TIME, CutOff};
use jobs::{Data, Destinations};

use crate::access::Caller;
use crate::append_queue::within;
use crate::body::{Asked, text_of};
use crate::catalogue::{Catalogue, Template};
use crate::checks::{Refused, busy};
use crate::fingerprint::fingerprint;
use crate::given::Given;
use crate::idempotency::Key;
use crate::request::{Invalid, Request};
use crate::templates::known;
use crate::uploaded;
use crate::{Listener, Problem};

/// A request that is as it should be.
pub(crate) struct Examined {
    /// All of it but the data.
    pub(crate) request: Request,
    pub(crate) template: Arc<Template>,
    /// The data, or what an upload leaves of it.
    pub(crate) data: Option<Data>,
    /// Identifies it among the requests of one idempotency key, where it has a key.
    pub(crate) fingerprint: Option<String>,
}

/// What requests are examined by.
struct Examiner {
    catalogue: Catalogue,
    webhooks: Destinations,
    max_data_bytes: u64,
    has_key: bool,
}

/// Parses and checks a request, off the runtime's threads.
pub(crate) async fn examine(
    listener: &Listener,
    caller: &Caller,
    text: Vec<u8>,
    key: Option<&Key>,
) -> Result<Examined, Problem> {
    let Listener { catalogue, webhooks, max_data_bytes, .. } = listener;
    let (catalogue, webhooks, max_data_bytes) = (catalogue.clone(), webhooks.clone(), *max_data_bytes);
    let examiner = Examiner { catalogue, webhooks, max_data_bytes, has_key: key.is_some() };
    listener.checks.run(caller, text.len(), move |budget| examiner.examine(&text, budget)).await
}

impl Examiner {
    fn examine(&self, text: &[u8], budget: &Budget) -> Result<Examined, Refused> {
        let text = text_of(text)?;
        let asked = Asked::read(text)?;
        let mut request = Request::from_json(asked.plain, &self.webhooks)?;
        let template = known(&self.catalogue, &request.template)?;
        let data = request.data.take().map(|plain| Given::new(plain, asked.exact));
        let data = match request.input {
            Some(upload) => uploaded::check(&template, upload, data, budget)?,
            None => Some(fitting(&template, data.unwrap_or_default(), budget)?),
        };
        let data = data.map(Given::into_data);
        if let Some(data) = &data {
            within(self.max_data_bytes, data.get().len() as u64)?;
        }
        // Hashing a large request takes about as long as parsing it.
        let fingerprint = self.has_key.then(|| fingerprint(text).unwrap_or_default());
        Ok(Examined { request, template, data, fingerprint })
    }
}

/// The data, if it fits the template.
fn fitting(template: &Template, data: Given, budget: &Budget) -> Result<Given, Refused> {
    let violations = template.violations(&data.json, "/data", budget).map_err(|cut| cut_off(template, cut))?;
    if violations.is_empty() { Ok(data) } else { Err(Invalid::Data.problem_of(&violations).into()) }
}

/// A check against this template's schema that has no result.
pub(crate) fn cut_off(template: &Template, cut: CutOff) -> Refused {
    Refused::CutOff(match cut {
        CutOff::TooCostly => {
            let costly: Vec<_> = template.costly.iter().map(|costly| format!("`{}`", costly.pointer)).collect();
            too_costly(&template.name, &costly.join(", "))
        }
        CutOff::Late | CutOff::Stopped => busy(),
    })
}

/// How a request may be refused for the cost of its check.
pub(crate) fn refusals() -> [Problem; 1] {
    [too_costly("letter", "`/$defs/block/oneOf`")]
}

fn too_costly(template: &str, costly: &str) -> Problem {
    let keywords = if costly.is_empty() { String::new() } else { format!(" (see {costly})") };
    let detail = format!(
        "The schema of `{template}` takes more than {} s to check this data{keywords}. Send data that is nested less \
         deep, or have the schema simplified.",
        CHECK_TIME.as_secs()
    );
    let title = "The template's schema is too costly to check this data against.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "schema-too-costly", title, detail)
}
