//! HTTP as bytes, for ordinary clients would tidy up what these tests send.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{AUTHORITY, Answer};

/// How long an answer may take, its body included.
const DEADLINE: Duration = Duration::from_secs(15);

/// A request of HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    authority: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    from: Option<Ipv6Addr>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// As it came, chunk sizes included.
    pub body: String,
}

// === impl Request ===

impl Request {
    /// To the fixture's authority, with `target` exactly as it is.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            line: format!("{method} {target} HTTP/1.1"),
            authority: AUTHORITY.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            from: None,
        }
    }

    /// As if from this address, where the edge is behind a proxy.
    #[must_use]
    pub fn from(mut self, address: &str) -> Self {
        self.from = Some(address.parse().unwrap());
        self
    }

    /// To another authority.
    #[must_use]
    pub fn to(mut self, authority: &str) -> Self {
        authority.clone_into(&mut self.authority);
        self
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the token that tells authz what to answer.
    #[must_use]
    pub fn token(self, answer: Answer) -> Self {
        self.header("authorization", &answer.authorization())
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", &length)
    }

    /// Sends it and reads the answer to its end.
    pub async fn send(&self, to: SocketAddr) -> Response {
        timeout(DEADLINE, self.exchange(to)).await.expect("an answer in time")
    }

    async fn exchange(&self, to: SocketAddr) -> Response {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        // Side by side: Envoy may answer, and close, before it has read the whole body.
        let write = async {
            if let Some(from) = self.from {
                writer.write_all(format!("PROXY TCP6 {from} ::1 1 2\r\n").as_bytes()).await.unwrap();
            }
            writer.write_all(self.head().as_bytes()).await.unwrap();
            let _ = writer.write_all(&self.body).await;
            std::future::pending::<Response>().await
        };
        let read = async {
            let mut bytes = Vec::new();
            while reader.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
                // Not until the end of the stream: Envoy takes its time to close.
                if let Some(response) =
                    Response::parse(&bytes).filter(|response| self.is_answered_by(response))
                {
                    return response;
                }
            }
            Response::parse(&bytes)
                .unwrap_or_else(|| panic!("no answer but {:?}", String::from_utf8_lossy(&bytes)))
        };
        tokio::select! {
            response = read => response,
            response = write => response,
        }
    }

    /// Whether the whole body is there.
    fn is_answered_by(&self, response: &Response) -> bool {
        let length = response.header("content-length").map(|length| length.parse::<usize>().unwrap());
        self.line.starts_with("HEAD ") || length.is_some_and(|length| response.body.len() >= length)
    }

    fn head(&self) -> String {
        let mut lines =
            vec![self.line.clone(), format!("host: {}", self.authority), "connection: close".to_owned()];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.join("\r\n") + "\r\n\r\n"
    }
}

// === impl Response ===

impl Response {
    /// None where the head is not complete.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Some(Self {
            status: status.parse().expect("a status code"),
            headers: lines.map(header).collect(),
            body: body.to_owned(),
        })
    }

    /// A header's only value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value
    }
}
