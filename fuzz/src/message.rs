//! The message decoder: what it reads it can write, and read again.

use std::path::Path;

use jobs::Message;
use jobs::job::is_template_name;

/// Decodes `body`.
///
/// # Panics
///
/// If a decoded message encodes to another one, or names a template that is not one folder.
pub fn message(body: &[u8]) {
    let Ok(body) = std::str::from_utf8(body) else { return };
    let Ok(message) = Message::decode(body) else { return };
    let encoded = message.encode();
    let again = Message::decode(&encoded).unwrap_or_else(|error| panic!("{error}: {encoded}"));
    assert_eq!(again, message);
    assert_eq!(again.encode(), encoded);
    assert!(is_template_name(&message.template));
    assert_eq!(Path::new(&message.template).components().count(), 1);
    assert_eq!((message.job().id, message.job().template), (message.id, message.template.clone()));
}
