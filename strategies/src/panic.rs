//! The message of a panic that was caught.

use std::any::Any;

/// The message, as `panic!` leaves it; `None` if the panic carries something that is not a text.
#[must_use]
pub fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

/// [`message`], with words for a panic that has none.
#[must_use]
pub fn in_words(panic: &(dyn Any + Send)) -> &str {
    message(panic).unwrap_or("a panic without words")
}
