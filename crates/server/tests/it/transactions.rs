//! Transactions: all or nothing, once, and through kills (BEHAVIOUR section 10, SC-17).

mod crash;
mod csharp;
mod scripts;
mod time;
mod together;
