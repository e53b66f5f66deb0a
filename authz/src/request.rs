//! What is read of Envoy's `CheckRequest`: which MCP server, and the Authorization header.
//!
//! This file and [`crate::respond`] are the only ones that know Envoy's messages.

use std::str;

use portcullis_proto::token::{Access, Presented};
use prost::Message;

use crate::decide::Refusal;
use crate::ext_authz::{AttributeContext, CheckRequest, HeaderValue, HttpRequest, Peer};
use crate::neighbourhood::Neighbourhood;
use crate::passthrough::Foreign;

/// The part of a request that is decided upon. All of it is the client's word, but for the server.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// The route's `context_extensions["server"]`; empty where it has none. Never taken from the path.
    pub server: &'a str,
    /// An encoded [`Peer`].
    source: &'a [u8],
    authorization: Authorization<'a>,
}

/// What the request has by way of an Authorization header.
#[derive(Clone, Copy)]
enum Authorization<'a> {
    None,
    One(&'a str),
    /// Several, or one that is not text.
    Unusable,
}

// === impl Incoming ===

impl<'a> Incoming<'a> {
    /// Reads Envoy's message.
    pub fn read(request: &'a CheckRequest) -> Self {
        let attributes = request.attributes.as_ref();
        let http = attributes.and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
        Self {
            server: attributes.and_then(server).unwrap_or_default(),
            source: attributes.map_or(&[], |attributes| &attributes.source),
            authorization: http.map_or(Authorization::None, Authorization::read),
        }
    }

    /// The access token, where the request has one in the Authorization header and nowhere else counts
    /// (RFC 6750 section 2.1). Exactly `Bearer`, one space and a token of ours is taken. Envoy joins
    /// repeated headers with commas and puts `!` for bytes that are not text; neither is in any token.
    pub fn token(&self) -> Result<Presented<'a, Access>, Refusal> {
        match self.authorization {
            Authorization::None => Err(Refusal::MissingToken),
            Authorization::One(_) | Authorization::Unusable => {
                self.bearer().and_then(|text| Presented::parse(text).ok()).ok_or(Refusal::Malformed)
            }
        }
    }

    /// The token in the same place, where it is one but none of ours.
    pub fn foreign(&self) -> Option<Foreign<'a>> {
        self.bearer().and_then(Foreign::parse)
    }

    /// From where it comes. The address is Envoy's word.
    pub fn neighbourhood(&self) -> Neighbourhood {
        let peer = Peer::decode(self.source).ok();
        let address = peer.and_then(|peer| peer.address?.socket_address);
        Neighbourhood::of(address.as_ref().map(|address| &*address.address))
    }

    fn bearer(&self) -> Option<&'a str> {
        match self.authorization {
            Authorization::One(value) => value.strip_prefix("Bearer "),
            Authorization::None | Authorization::Unusable => None,
        }
    }
}

// === impl Authorization ===

impl<'a> Authorization<'a> {
    /// From either form in which Envoy sends headers: the map, or with `encode_raw_headers` the list.
    fn read(http: &'a HttpRequest) -> Self {
        let joined = http.headers.iter().filter(|header| ours(&header.key)).map(|header| &*header.value);
        let list = http.header_map.iter().flat_map(|map| &map.headers);
        let raw = list.filter(|header| ours(&header.key)).map(bytes);
        let mut values = joined.chain(raw);
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => str::from_utf8(value).map_or(Self::Unusable, Self::One),
            (Some(_), Some(_)) => Self::Unusable,
        }
    }
}

/// What the route says the MCP server is. Of entries under one name, the last counts in a protobuf map.
fn server(attributes: &AttributeContext) -> Option<&str> {
    let entry = attributes.context_extensions.iter().rfind(|entry| &*entry.key == b"server")?;
    str::from_utf8(&entry.value).ok()
}

fn ours(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"authorization")
}

fn bytes(header: &HeaderValue) -> &[u8] {
    if header.raw_value.is_empty() { &header.value } else { &header.raw_value }
}

#[cfg(test)]
mod tests;
