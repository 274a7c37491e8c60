//! Deliveries: what leaves Pressrun for somebody else's server when a job ends.
//!
//! The run that ends a job hands its deliveries to the delivery queue and is done. The courier makes them: some attempts
//! on a schedule that ends after a day, each on the job's record. A delivery is one [message](DeliveryMessage) with a
//! [payload](Payload) of its kind. A new kind is a payload, a destination for it, a column that [`Recorded`] names, and
//! what makes one attempt.

mod message;
mod reason;
mod record;
pub(crate) mod schedule;

pub use message::{DeliveryMessage, DeliveryMessageError, Payload};
pub use reason::{reason, root_cause};
pub use record::{
    AnnouncementRecord, Channel, DeliveryAttempt, DeliveryOutcome, DeliveryRecord, DeliveryStatus, Recorded, Sent,
};
