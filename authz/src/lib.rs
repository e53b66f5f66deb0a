//! Envoy's ext_authz service: decides from its own store.
