//! Requests that are given up at once. All that Envoy asks comes on few connections, so none of them may end because
//! somebody at the edge changes their mind a hundred times.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::World;

// Types of frames (RFC 9113 section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &[u8] = b"/envoy.service.auth.v3.Authorization/Check";
const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// POST, http, the path, the authority `a`: each without Huffman coding, and with no place in the table (RFC 7541).
fn question() -> Vec<u8> {
    let length = u8::try_from(PATH.len()).unwrap();
    [&[0x83, 0x86, 0x04, length], PATH, &[0x01, 1, b'a']].concat()
}

#[tokio::test]
async fn t26_a_hundred_checks_that_are_given_up_at_once_end_no_connection() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.service.grpc).await.unwrap();
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for number in 0..100 {
        bytes.extend(frame(HEADERS, 4, 2 * number + 1, &question())); // END_HEADERS
        bytes.extend(frame(RST_STREAM, 0, 2 * number + 1, &CANCEL));
    }
    bytes.extend(frame(PING, 0, 0, b"are you?"));
    stream.write_all(&bytes).await.unwrap();
    let answered = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.expect("the connection stays");
            let [.., high, low, kind, flags, _, _, _, _] = head;
            let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
            stream.read_exact(&mut payload).await.unwrap();
            assert_ne!(kind, GOAWAY, "{}", String::from_utf8_lossy(&payload));
            if (kind, flags) == (PING, 1) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), answered).await.unwrap();
}
