//! Chat: rooms, what is said in them, and who is told of it (seed 003, BEHAVIOUR section 7).

mod access;
mod cluster;
mod crash;
mod deletion;
mod delivery;
mod hooks;
mod mobile;
mod model;
mod pages;
mod secrecy;

use hiroba_testkit::http::Response;

const NO_ROOM: &str = "chat.room.room.error.notFound";
const NO_MESSAGE: &str = "chat.message.message.error.notFound";
const NO_SUBSCRIPTION: &str = "chat.subscribe.subscribe.error.notFound";
/// The special codes of the service (E-11, CH-21, CH-22).
const NOT_INCLUDED: &str = "room.allowUserIds.notInclude";
const PASSWORD_REQUIRED: &str = "room.password.require";
const PASSWORD_INVALID: &str = "room.password.invalid";

/// Fails the test unless a call was refused with this special code.
#[track_caller]
fn refused_with(answer: &Response, code: &str) {
    let first = &answer.refusals()[0];
    let message = format!(
        "chat.{}",
        code.rsplit_once('.').map(|(of, problem)| format!("{of}.error.{problem}")).unwrap()
    );
    let seen = (answer.status, first.component.as_str(), first.code.as_str(), first.message.as_str());
    assert_eq!(seen, (400, "room", code, message.as_str()), "{}", answer.text());
}
