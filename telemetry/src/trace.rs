//! Traces: which one a piece of work belongs to, as it comes in, is logged, and goes on through a queue. Reads and
//! writes [Trace Context](https://www.w3.org/TR/trace-context/) and X-Ray's headers.

use std::fmt;
use std::future::Future;

use tracing::{Instrument, Span};
use uuid::Uuid;

/// The environment variable in which a Lambda function finds X-Ray's header of the invocation.
const XRAY: &str = "_X_AMZN_TRACE_ID";

/// The longest request id that is taken from a caller, in characters.
const MAX_REQUEST_ID: usize = 128;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    trace: u128,
    span: u64,
    sampled: bool,
}

/// What a piece of work comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The place in a trace that it goes on from; a new trace begins where there is none.
    pub context: Option<Context>,
    /// The request that it goes back to.
    pub request_id: Option<String>,
}

tokio::task_local! {
    static CURRENT: (Context, Option<String>);
}

impl Context {
    /// The beginning of a new trace.
    pub(crate) fn new() -> Self {
        let (trace, span) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u64_pair().1);
        Self { trace, span, sampled: true }
    }

    #[cfg(feature = "server")]
    pub(crate) fn of_parts(trace: u128, span: u64, sampled: bool) -> Self {
        Self { trace, span, sampled }
    }

    #[cfg(feature = "server")]
    pub(crate) fn parts(self) -> (u128, u64, bool) {
        (self.trace, self.span, self.sampled)
    }

    /// Reads a `traceparent`; nothing if it is none.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Version 00 has no more parts; later ones may.
        if version == "ff" || hex(version, 2).is_none() || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let (trace, span, flags) = (hex(trace, 32)?, hex(span, 16)?, hex(flags, 2)?);
        (trace != 0 && span != 0).then_some(Self { trace, span: u64::try_from(span).ok()?, sampled: flags & 1 == 1 })
    }

    /// The `traceparent`.
    pub fn to_traceparent(self) -> String {
        let Self { trace, span, sampled } = self;
        format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled))
    }

    /// Reads X-Ray's header, `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`; nothing if it
    /// is none.
    pub fn from_xray(header: &str) -> Option<Self> {
        let member = |name| header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        let (time, rest) = member("Root")?.strip_prefix("1-")?.split_once('-')?;
        let trace = (hex(time, 8)? << 96) | hex(rest, 24)?;
        let span = match member("Parent") {
            Some(parent) => u64::try_from(hex(parent, 16)?).ok()?,
            None => Uuid::new_v4().as_u64_pair().1,
        };
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: member("Sampled") == Some("1") })
    }

    /// X-Ray's header.
    pub fn to_xray(self) -> String {
        let (time, rest) = (self.trace >> 96, self.trace & ((1 << 96) - 1));
        format!("Root=1-{time:08x}-{rest:024x};Parent={:016x};Sampled={}", self.span, u8::from(self.sampled))
    }
}

/// The trace's id, 32 digits as in a `traceparent`.
impl fmt::Display for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.trace)
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl Origin {
    /// A call's, by its headers `traceparent` and `x-request-id`. In a Lambda function the trace is X-Ray's; a call
    /// without a usable id gets one.
    pub fn of_call(traceparent: Option<&str>, request_id: Option<&str>) -> Self {
        let is_id = |id: &&str| {
            (1..=MAX_REQUEST_ID).contains(&id.len())
                && id.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.:/+=".contains(&it))
        };
        let request_id = request_id.filter(is_id).map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        Self { context: xray().or_else(|| Context::from_traceparent(traceparent?)), request_id: Some(request_id) }
    }

    /// That of what a queue delivered, as the message tells.
    pub fn of_message(traceparent: Option<&str>, request_id: Option<&str>) -> Self {
        Self { context: traceparent.and_then(Context::from_traceparent), request_id: request_id.map(str::to_owned) }
    }
}

/// Where Lambda says that this invocation is in X-Ray. A function has one at a time.
fn xray() -> Option<Context> {
    std::env::var(XRAY).ok().as_deref().and_then(Context::from_xray)
}

/// Does `work` in `span`, as a part of the trace that it comes from. The span's fields `trace_id` and `request_id` are
/// filled in, if it has them.
pub async fn within<T>(span: Span, origin: Origin, work: impl Future<Output = T>) -> T {
    let context = enter(&span, origin.context);
    span.record("trace_id", tracing::field::display(context));
    if let Some(request_id) = &origin.request_id {
        span.record("request_id", tracing::field::display(request_id));
    }
    CURRENT.scope((context, origin.request_id), work.instrument(span)).await
}

/// The place in a trace that `span` is.
fn enter(span: &Span, origin: Option<Context>) -> Context {
    #[cfg(feature = "server")]
    if let Some(context) = crate::otlp::enter(span, origin) {
        return context;
    }
    _ = span;
    origin.unwrap_or_else(Context::new)
}

/// The place in a trace where this is called: inside [`within`], or there is none.
pub fn current() -> Option<Context> {
    let (context, _) = CURRENT.try_with(Clone::clone).ok()?;
    #[cfg(feature = "server")]
    if let Some(context) = crate::otlp::current() {
        return Some(context);
    }
    Some(context)
}

/// The `traceparent` of what is caused where this is called, for messages.
pub fn traceparent() -> Option<String> {
    current().map(Context::to_traceparent)
}

/// The id of the request that all this goes back to.
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|(_, request_id)| request_id.clone()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn both_notations_name_the_same_place() {
        let context = Context::from_traceparent(TRACEPARENT).expect("a context");
        assert_eq!(Context::from_xray(HEADER), Some(context));
        assert_eq!(context.to_traceparent(), TRACEPARENT);
        assert_eq!(context.to_xray(), HEADER);
        assert_eq!(context.to_string(), "5759e988bd862e3fe1be46a994272793");
        let lineage = format!("{HEADER};Lineage=1:24fb6dd3:0");
        assert_eq!(Context::from_xray(&lineage), Some(context));
        let unsampled = Context::from_xray("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0").expect("a context");
        assert!(unsampled.to_traceparent().ends_with("-00"));
    }

    #[test]
    fn what_is_no_trace_context_is_none() {
        let no_trace = format!("00-{}-53995c3f42cd8ad8-01", "0".repeat(32));
        let no_span = "00-5759e988bd862e3fe1be46a994272793-0000000000000000-01";
        let capital = TRACEPARENT.to_uppercase();
        let ended = format!("{TRACEPARENT}-01");
        let forbidden = TRACEPARENT.replacen("00-", "ff-", 1);
        let wrong = ["", "00", "hello", no_trace.as_str(), no_span, &capital, &ended, &forbidden, "00-é-é-é"];
        for text in wrong {
            assert_eq!(Context::from_traceparent(text), None, "{text}");
        }
        assert!(Context::from_traceparent(&ended.replacen("00-", "01-", 1)).is_some(), "a later version may say more");
        for header in ["", "Root=", "Root=1-5759e988", "Root=2-5759e988-bd862e3fe1be46a994272793", "Parent=1"] {
            assert_eq!(Context::from_xray(header), None, "{header}");
        }
    }

    #[test]
    fn a_request_id_is_the_callers_or_a_new_one() {
        let id = |given| Origin::of_call(None, given).request_id.expect("an id");
        assert_eq!(id(Some("order-7")), "order-7");
        assert_ne!(id(None), id(None));
        for odd in ["", "two words", "line\nbreak", "\u{e4}", &"x".repeat(129)] {
            assert_ne!(id(Some(odd)), odd);
        }
    }

    #[test]
    fn work_knows_its_trace_and_its_request() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let origin = Origin::of_message(Some(TRACEPARENT), Some("order-7"));
        let inside = runtime.block_on(within(Span::none(), origin, async { (traceparent(), request_id()) }));
        assert_eq!(inside, (Some(TRACEPARENT.to_owned()), Some("order-7".to_owned())));
        let fresh = runtime.block_on(within(Span::none(), Origin::default(), async { traceparent() }));
        assert!(fresh.is_some_and(|fresh| Context::from_traceparent(&fresh).is_some()));
        assert_eq!((traceparent(), request_id()), (None, None));
    }
}
