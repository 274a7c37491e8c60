//! What a job is, and the five ports it passes: [`Queue`], [`JobStore`], [`ObjectStore`], [`Notifier`] and [`Deliveries`].
//!
//! Read in this order: [`job`] (the record and its states), [`message`] (what travels through the queue),
//! [`ports`] (the traits), [`announcement`] and [`link`] (what a person gets to read and to click), [`Closing`]
//! (how a job ends), [`delivery`] (what leaves Pressrun then), [`webhook`] and [`destination`] (what a caller's server gets, and
//! where it may be). Behind the ports stand two backends, each behind a feature of its name: `aws` (SQS, DynamoDB, S3, SNS) and `local`
//! (SQLite and a folder). One contract, `tests/contract.rs`, runs against both.

pub mod announcement;
mod closing;
mod data;
pub mod delivery;
pub mod destination;
pub mod event;
#[cfg(feature = "aws")]
pub mod followers;
pub mod job;
pub mod link;
pub mod message;
mod patience;
pub mod ports;
pub mod rfc3339;
pub mod upload;
pub mod usage;
pub mod webhook;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "local")]
pub mod local;

pub use announcement::Announcement;
pub use closing::{Announcing, Closing};
pub use data::Data;
pub use delivery::{
    AnnouncementRecord, Channel, DeliveryAttempt, DeliveryMessage, DeliveryOutcome, DeliveryRecord, DeliveryStatus,
    Payload, Recorded, Sent,
};
pub use destination::{Destinations, Hosts};
pub use event::{Event, EventId};
pub use findings::{Violation, Warning};
pub use job::{Diagnostic, Failure, Job, JobId, Notify, Options, Progress, Status};
pub use link::LinkSigner;
pub use message::{Message, caller_of};
pub use patience::Patience;
pub use ports::{
    Accepts, Attempt, Busy, Claim, Claimed, Completed, Content, Deliveries, Delivery, DueDeliveries, DueDelivery,
    Failed, Held, JobStore, LAST_REOPENED, LEASE, LEAST_KEPT, Listed, Listing, Notifier, ObjectStore, Opened, Purpose,
    Queue, Reservation, Reserved, Shortage, Terms, Ticket, Unavailable, kept_until,
};
pub use upload::{Dialect, Separator, UploadFormat, UploadId, UploadOwner};
pub use usage::{BytesUsed, Usage};
pub use webhook::Webhook;
