//! The rules of OAuth as pure functions of values: no HTTP, no store, no clock.

pub mod admission;
pub mod application_type;
pub mod assertion;
pub mod client;
pub mod client_keys;
pub mod code;
pub mod document;
pub mod document_url;
pub mod enrolment;
pub mod error;
pub mod grant;
mod hash;
pub mod pace;
pub mod params;
pub mod pending;
pub mod pkce;
pub mod provider_client;
pub mod redirect_uri;
pub mod refresh;
pub mod registration;
pub mod renewal;
pub mod request;
pub mod resource;
pub mod scope;
pub mod session;
pub mod token_request;
pub mod user_token;
