//! `CheckRequest`: the same field numbers, only the fields that are read. The decoder skips the others, and takes texts
//! out of the frame that they came in without a copy. Whether they are UTF-8, whoever reads them sees.

use std::fmt;

use bytes::Bytes;

/// Envoy asks about one request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckRequest {
    /// What is known of it.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// What is known of a request, and of the route that it takes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeContext {
    /// Who sends it: a [`Peer`], which is seldom needed and so not decoded with the rest.
    #[prost(bytes = "bytes", tag = "1")]
    pub source: Bytes,
    /// The request itself.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// What the route's configuration says to us.
    #[prost(message, repeated, tag = "10")]
    pub context_extensions: Vec<Pair>,
}

/// One end of a connection.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// An address, of whatever kind.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Address {
    /// One by IP.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// An IP address with a port.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SocketAddress {
    /// In text form.
    #[prost(string, tag = "2")]
    pub address: String,
}

/// A request, of whatever protocol.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// One by HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// A request by HTTP. Envoy sends its headers in one of two forms.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpRequest {
    /// By name; what comes several times is joined with commas, and `!` stands for bytes that are not text.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<Pair>,
    /// One by one and as they came, with `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// An entry of a protobuf map of texts.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Pair {
    /// Its name.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value: it may be a secret.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// Headers as they came.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeaderMap {
    /// In their order.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// One header.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct HeaderValue {
    /// Its name.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value, where it was taken for text: it may be a secret.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// Its value otherwise.
    #[prost(bytes = "bytes", tag = "3")]
    pub raw_value: Bytes,
}

// === impl Pair ===

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({:?}, [REDACTED])", self.key)
    }
}

// === impl HeaderValue ===

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeaderValue({:?}, [REDACTED])", self.key)
    }
}
