//! token_request
