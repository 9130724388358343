//! Transports: how bytes become the flat object and answers become bytes. Everything between is the pipeline.

mod body;
mod data;
mod limits;
mod listener;
mod rest;
mod socket;
mod stream;
mod tls;
mod upload;

pub(crate) use listener::Listener;
