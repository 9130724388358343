//! Gateway: players on sockets, and telling them things (seed 002, BEHAVIOUR section 6).

mod cluster;
mod mobile;
mod notifications;
mod sessions;
