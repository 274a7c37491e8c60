//! Times as callers see them: RFC 3339 in UTC, always with milliseconds.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serializer;

/// A time as text.
pub fn text(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Writes a time: for `serialize_with`.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(time))
}

/// Writes a time that there may be.
pub fn serialize_some<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&text(time)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{DeliveryAttempt, DeliveryRecord};
    use crate::job::{Job, JobId};

    #[test]
    fn a_time_has_milliseconds_whatever_it_is() {
        let times =
            [(1_763_715_600, 0, "000"), (1_763_715_600, 120_000_001, "120"), (1_763_715_600, 999_999_999, "999")];
        for (seconds, nanoseconds, milliseconds) in times {
            let at = DateTime::from_timestamp(seconds, nanoseconds).expect("in range");
            let written = serde_json::json!(format!("2025-11-21T09:00:00.{milliseconds}Z"));
            let times = (Some(at), Some(at), Some(at));
            let (started_at, finished_at, notified_at) = times;
            let job = Job { started_at, finished_at, notified_at, ..Job::queued(JobId::new(), "letter", at) };
            let job = serde_json::to_value(job).expect("JSON");
            for name in ["enqueued_at", "started_at", "finished_at", "notified_at"] {
                assert_eq!(job[name], written, "{name}");
            }
            let attempt = DeliveryAttempt { at, status: None, error: None };
            let record =
                DeliveryRecord { next_attempt_at: Some(at), latest: vec![attempt], ..DeliveryRecord::pending() };
            let record = serde_json::to_value(record).expect("JSON");
            assert_eq!((&record["next_attempt_at"], &record["latest"][0]["at"]), (&written, &written));
        }
    }
}
