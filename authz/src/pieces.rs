//! Answers in pieces that are sent together.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// The longest piece, in bytes. What is shorter than 1,024, the `h2` crate copies to where other frames wait already, and
/// one system call sends them all; anything longer takes one for itself, and Envoy another to read it.
const PIECE: usize = 1023;

/// A body of which no frame is longer than that.
#[derive(Debug, Default)]
pub struct Pieces {
    body: Body,
    /// What has come of the body and is still to go on.
    rest: Bytes,
}

// === impl Pieces ===

impl From<Body> for Pieces {
    fn from(body: Body) -> Self {
        Self { body, rest: Bytes::new() }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut all = SizeHint::new();
        all.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            all.set_upper(upper + rest);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    async fn lengths(text: Vec<u8>) -> Vec<usize> {
        let (expected, mut lengths, mut all) = (text.clone(), Vec::new(), Vec::new());
        let mut pieces = Pieces::from(Body::new(Full::new(Bytes::from(text))));
        while let Some(frame) = pieces.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            lengths.push(data.len());
            all.extend_from_slice(&data);
        }
        assert_eq!(all, expected);
        lengths
    }

    #[tokio::test]
    async fn nothing_is_lost_and_no_piece_is_too_long() {
        assert_eq!(lengths(vec![1; 10]).await, [10]);
        assert_eq!(lengths(vec![1; 1023]).await, [1023]);
        assert_eq!(lengths((0..=u8::MAX).cycle().take(3000).collect()).await, [1023, 1023, 954]);
    }

    #[tokio::test]
    async fn trailers_come_behind_the_last_piece() {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let body = Full::new(Bytes::from(vec![1; 2000])).with_trailers(async { Some(Ok(trailers)) });
        let collected = Pieces::from(Body::new(body)).collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(collected.to_bytes().len(), 2000);
    }
}
