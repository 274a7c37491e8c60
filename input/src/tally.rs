//! What is seen while rows go by: their sums, what is wrong with their figures and dates, and which fields they have.

use std::sync::Arc;

use findings::Warning;
use serde_json::{Map, Value};

use crate::dates::{self, is_day};
use crate::fault::Fault;
use crate::figures::{Inexact, too_long};
use crate::names::{listed, question};
use crate::plan::{Kind, Plan, Wanted, field_of};
use crate::template::Rows;
use crate::totals::{Sums, decimal};
use findings::escaped;

/// From how many rows a message lists the names of the fields.
const NAMED_ROWS: u64 = 100;

/// How many names of fields are remembered.
const MOST_NAMES: usize = 40;

/// A value that a field cannot have: the field, and why.
pub(crate) type Unfit = (String, String);

/// What is seen while rows go by.
#[derive(Debug)]
pub(crate) struct Tally {
    plan: Arc<Plan>,
    pub(crate) sums: Sums,
    seen: Seen,
    /// Spares an allocation a number.
    digits: String,
}

/// What rows had, besides what was summed.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which of the wanted fields no row had so far.
    missing: Vec<usize>,
    /// The names of the first rows' fields.
    names: Vec<String>,
    /// The first row of a day outside the period, and how many there are.
    outside: Option<(u64, u64)>,
}

impl Tally {
    /// Nothing seen yet.
    pub(crate) fn new(plan: Plan) -> Self {
        let (sums, seen) = (Sums::new(plan.totals.clone()), Seen::nothing(&plan));
        Self { plan: Arc::new(plan), sums, seen, digits: String::new() }
    }

    /// Nothing seen yet of rows that come later, to be [added](Self::join) to this.
    pub(crate) fn beside(&self) -> Self {
        let (sums, seen) = (self.sums.beside(), Seen::nothing(&self.plan));
        Self { plan: self.plan.clone(), sums, seen, digits: String::new() }
    }

    /// Takes a row of this number, from 0. Answers what is wrong with its values.
    pub(crate) fn add(&mut self, row: &Map<String, Value>, number: u64) -> Vec<Unfit> {
        self.look(row, number);
        let mut unfit = self.sums.add(row).err().unwrap_or_default();
        for (field, kind) in &self.plan.formats {
            if let Some(value) = row.get(field).filter(|value| is_there(value))
                && let Some(detail) = misfit(value, *kind, &mut self.digits)
            {
                unfit.push((field.clone(), detail));
            }
        }
        unfit
    }

    fn look(&mut self, row: &Map<String, Value>, number: u64) {
        let (plan, seen) = (&self.plan, &mut self.seen);
        if !seen.missing.is_empty() {
            seen.missing.retain(|wanted| !row.contains_key(&plan.wanted[*wanted].field));
        }
        if number < NAMED_ROWS {
            seen.name(row.keys());
        }
        if let Some(span) = &plan.span
            && let Some(day) = row.get(&span.field).and_then(Value::as_str)
            && (day < span.from.as_str() || day > span.to.as_str())
            && !day.is_empty()
        {
            seen.outside = Some(seen.outside.map_or((number, 1), |(first, count)| (first, count + 1)));
        }
    }

    /// What was seen of rows, for a tally of those before them.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Takes what was seen [beside](Self::beside) this of rows that come next.
    pub(crate) fn join(&mut self, later: &Seen) {
        self.seen.missing.retain(|wanted| later.missing.contains(wanted));
        self.seen.name(later.names.iter());
        self.seen.outside = match (self.seen.outside, later.outside) {
            (Some((first, count)), Some((_, more))) => Some((first, count + more)),
            (outside, later) => outside.or(later),
        };
    }

    /// Takes a header's names for the fields that there are.
    pub(crate) fn name(&mut self, names: &[String]) {
        self.seen.missing.clear();
        self.seen.name(names.iter());
    }

    /// The fields that rows must have, whatever names them.
    pub(crate) fn wanted(&self) -> &[Wanted] {
        &self.plan.wanted
    }

    /// Whether a field is declared to have numbers.
    pub(crate) fn is_figure(&self, field: &str) -> bool {
        let formats =
            self.plan.formats.iter().filter(|(_, kind)| *kind == Kind::Number).map(|(field, _)| field.as_str());
        self.plan.totals.iter().map(|total| field_of(total)).chain(formats).any(|figure| figure == field)
    }

    /// The wanted fields that none of the rows had.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let names = || self.seen.names.iter().map(String::as_str);
        let there_is = match self.seen.names.as_slice() {
            [] => "the rows have no fields".to_owned(),
            _ => format!("the rows have {}", listed(names())),
        };
        let fault = |wanted: &usize| {
            let wanted = &self.plan.wanted[*wanted];
            let (field, way_out, question) = (&wanted.field, wanted.way_out(), question(&wanted.field, names()));
            Fault::new(&wanted.pointer, format!("no row has the field `{field}`; {there_is}{way_out}{question}"))
        };
        self.seen.missing.iter().map(fault).collect()
    }

    /// Doubts about the rows.
    pub(crate) fn warnings(&self, rows: &Rows) -> Vec<Warning> {
        let (Some(span), Some((first, count))) = (&self.plan.span, self.seen.outside) else { return Vec::new() };
        let message =
            format!("The date is not within the period, {} to {}. Correct the date or the period.", span.from, span.to);
        let pointer = format!("{}/{first}/{}", rows.pointer(), escaped(&span.field));
        vec![Warning { count, ..Warning::new("date-outside-period", message, Some(pointer)) }]
    }
}

impl Seen {
    fn nothing(plan: &Plan) -> Self {
        Self { missing: (0..plan.wanted.len()).collect(), names: Vec::new(), outside: None }
    }

    fn name<'a>(&mut self, names: impl Iterator<Item = &'a String>) {
        for name in names {
            if self.names.len() < MOST_NAMES && !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
    }
}

/// Whether a field has a value: null and the empty text are none.
pub(crate) fn is_there(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

/// What keeps a value from being of this kind.
fn misfit(value: &Value, kind: Kind, digits: &mut String) -> Option<String> {
    match kind {
        Kind::Number => decimal(value, digits).err().map(|why| not_a_number(value, why)),
        Kind::Date if value.as_str().is_some_and(is_day) => None,
        Kind::Date => Some(format!("{value} is not {}", dates::FORM)),
    }
}

/// Says why a value is not an exact number.
pub(crate) fn not_a_number(value: &Value, why: Inexact) -> String {
    match why {
        Inexact::TooLong => too_long(value.as_str().unwrap_or(&value.to_string())),
        Inexact::NotANumber => format!("{value} is not a decimal number, such as 1234.50 or \"1234.50\""),
    }
}
