//! How the two messages come out of gRPC's frames, and go into them.

use bytes::{Buf, BufMut};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::{CheckRequest, CheckResponse};

/// Room for a question of usual length, and more for an answer, in bytes. What tonic would take for each is 8 KiB.
const QUESTION: usize = 1024;
const ANSWER: usize = 2048;

/// The codec of `Check`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

// === impl Codec ===

impl tonic::codec::Codec for Codec {
    type Encode = CheckResponse;
    type Decode = CheckRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        *self
    }
}

impl Encoder for Codec {
    type Item = CheckResponse;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(ANSWER, ANSWER) // there is one answer: nothing is gathered
    }

    fn encode(&mut self, response: CheckResponse, frame: &mut EncodeBuf<'_>) -> Result<(), Status> {
        frame.put_slice(response.as_bytes());
        Ok(())
    }
}

impl Decoder for Codec {
    type Item = CheckRequest;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(QUESTION, QUESTION)
    }

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<CheckRequest>, Status> {
        // In one piece, not as a buffer that may have several.
        let message = frame.copy_to_bytes(frame.remaining());
        CheckRequest::decode(message).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}
