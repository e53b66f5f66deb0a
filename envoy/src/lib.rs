//! Renders the edge's Envoy configuration.
