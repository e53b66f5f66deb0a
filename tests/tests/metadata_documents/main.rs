//! Client ID Metadata Documents: fetched over real TLS, and used by real clients through the edge.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

mod fetch;
mod login;
