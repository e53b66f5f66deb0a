//! `CheckResponse`, in its encoding.
//!
//! To Envoy, an empty `CheckResponse` means "allow": its absent status counts as code 0. There is no empty
//! one here: each way to make one says the status.

use std::fmt;

use tonic::Code;

use super::wire::Writer;

/// Room for an answer of usual length, in bytes.
const CAPACITY: usize = 1536;

/// `HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE_IF_EXISTS_OR_ADD: u64 = 2;

/// An answer to Envoy. It may carry the provider's credential.
#[derive(Clone)]
pub struct CheckResponse(Writer);

/// Names and values.
pub trait Pairs<'a>: DoubleEndedIterator<Item = (&'a str, &'a str)> {}

impl<'a, I: DoubleEndedIterator<Item = (&'a str, &'a str)>> Pairs<'a> for I {}

// === impl CheckResponse ===

impl CheckResponse {
    /// The request goes on, with header fields set, in the order given, and others removed. The metadata are for
    /// Envoy's other filters and its access log.
    pub fn ok<'a, 'b, 'c>(
        set: impl Pairs<'a>,
        remove: impl DoubleEndedIterator<Item = &'b str>,
        metadata: impl Pairs<'c>,
    ) -> Self {
        let mut writer = Writer::with_capacity(CAPACITY);
        write_metadata(&mut writer, metadata);
        writer.message(3, |ok| {
            remove.rev().for_each(|name| ok.text(5, name));
            write_headers(ok, set);
        });
        Self::with_status(writer, Code::Ok)
    }

    /// The request is answered with an HTTP status (RFC 9110 section 15), header fields and content. `code` is what
    /// the answer is to Envoy: [`Code::Ok`] would contradict it.
    pub fn denied<'a, 'b>(
        code: Code,
        status: u16,
        headers: impl Pairs<'a>,
        body: &str,
        metadata: impl Pairs<'b>,
    ) -> Self {
        let mut writer = Writer::with_capacity(CAPACITY);
        write_metadata(&mut writer, metadata);
        writer.message(2, |denied| {
            denied.text(3, body);
            write_headers(denied, headers);
            denied.message(1, |http_status| http_status.number(1, status.into()));
        });
        Self::with_status(writer, code)
    }

    fn with_status(mut writer: Writer, code: Code) -> Self {
        writer.message(1, |status| status.number(1, code as u64));
        Self(writer)
    }

    /// The encoded message.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for CheckResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckResponse({} bytes)", self.as_bytes().len())
    }
}

/// `repeated HeaderValueOption headers`, which has the same number wherever it occurs. An empty value is kept.
fn write_headers<'a>(writer: &mut Writer, headers: impl Pairs<'a>) {
    headers.rev().for_each(|(name, value)| {
        writer.message(2, |option| {
            option.number(4, u64::from(true));
            option.number(3, OVERWRITE_IF_EXISTS_OR_ADD);
            option.message(1, |header| {
                header.text(2, value);
                header.text(1, name);
            });
        });
    });
}

/// `google.protobuf.Struct dynamic_metadata`, with texts for values.
fn write_metadata<'a>(writer: &mut Writer, metadata: impl Pairs<'a>) {
    writer.message(4, |structure| {
        metadata.rev().for_each(|(name, text)| {
            structure.message(1, |field| {
                field.message(2, |value| value.text(3, text));
                field.text(1, name);
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::auth::v3 as full;
    use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
    use prost::Message;

    use super::*;

    /// As Envoy reads it.
    fn read(response: &CheckResponse) -> full::CheckResponse {
        full::CheckResponse::decode(response.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_written_is_what_envoy_reads_in_this_order() {
        let long = "v".repeat(5000); // more than there is room for
        let set = [("a", "1"), ("b", ""), ("a", &long)];
        let response =
            read(&CheckResponse::ok(set.into_iter(), ["x", "y"].into_iter(), [("k", "t")].into_iter()));
        assert_eq!(response.status.unwrap().code, 0);
        let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("not an OK response") };
        let headers: Vec<_> = ok.headers.iter().map(|option| option.header.clone().unwrap()).collect();
        let headers: Vec<_> = headers.iter().map(|header| (&*header.key, &*header.value)).collect();
        assert_eq!(headers, set);
        assert_eq!(ok.headers_to_remove, ["x", "y"]);
        assert_eq!(response.dynamic_metadata.unwrap().fields.len(), 1);
    }

    #[test]
    fn t26_a_denial_says_so_in_its_status_too() {
        let headers = [("retry-after", "2")].into_iter();
        let response = read(&CheckResponse::denied(Code::Unavailable, 503, headers, "no", [].into_iter()));
        assert_eq!(response.status.unwrap().code, Code::Unavailable as i32);
        let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else {
            panic!("not a denial")
        };
        assert_eq!((denied.status.unwrap().code, &*denied.body), (503, "no"));
    }

    #[test]
    fn t18_no_debug_output_shows_what_an_answer_carries() {
        let response = CheckResponse::ok(
            [("authorization", "Bearer s3cr3t")].into_iter(),
            [].into_iter(),
            [].into_iter(),
        );
        assert!(!format!("{response:?}").contains("s3cr3t"));
    }
}
