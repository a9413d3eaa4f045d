//! A file over plain HTTP through a proxy.
//!
//! In: a URL and the proxy. Out: status and body. The HTTP library always asks a proxy for a tunnel, which the proxies people put
//! before package mirrors refuse for `http:`; this asks them for the file (RFC 9112 §3.2.2, absolute form). One request a
//! connection, in the manner of HTTP/1.0, so that the body's end needs no decoding. Not here: retries, `https:`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use ureq::Proxy;

/// No head of an answer is longer than this many bytes.
const HEAD: u64 = 64 << 10;

/// An answer under way.
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Where a redirection leads.
    pub location: Option<String>,
    /// Its Content-Range.
    pub range: Option<String>,
    /// The body; reading it fails when it is shorter than promised.
    pub body: Box<dyn Read + Send>,
}

/// Asks `proxy` for `url` from `offset` on.
pub(super) fn get(proxy: &Proxy, url: &str, offset: u64) -> io::Result<Answer> {
    let mut stream = connect(proxy.host(), (proxy.host(), proxy.port()).to_socket_addrs()?)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    if url.contains(char::is_whitespace) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the URL holds white space"));
    }
    let agent = concat!("kiln/", env!("CARGO_PKG_VERSION"));
    let mut request =
        format!("GET {url} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept-Encoding: identity\r\n");
    if offset > 0 {
        request.push_str(&format!("Range: bytes={offset}-\r\n"));
    }
    if let (Some(user), Some(password)) = (proxy.username(), proxy.password()) {
        let secret = base64(format!("{user}:{password}").as_bytes());
        request.push_str(&format!("Proxy-Authorization: Basic {secret}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    answer(BufReader::with_capacity(256 * 1024, stream))
}

/// A connection to the first of `addresses` that answers.
fn connect(host: &str, addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut failure = io::Error::other(format!("the proxy {host} has no address"));
    for address in addresses {
        match TcpStream::connect_timeout(&address, Duration::from_secs(20)) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn answer<R: Read + Send + 'static>(mut stream: BufReader<R>) -> io::Result<Answer> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the proxy's answer is not HTTP");
    let mut head = stream.by_ref().take(HEAD);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let status = line
        .strip_prefix("HTTP/")
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|word| word.trim().parse().ok())
        .ok_or_else(damaged)?;
    let (mut length, mut location, mut range) = (None, None, None);
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            // The connection or the limit ended.
            return Err(damaged());
        }
        if line.trim_end().is_empty() {
            break;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok(),
            "content-range" => range = Some(value.trim().to_owned()),
            "location" => location = Some(value.trim().to_owned()),
            "transfer-encoding" => return Err(damaged()),
            _ => {}
        }
    }
    let body: Box<dyn Read + Send> = match length {
        Some(left) => Box::new(Exactly { stream, left }),
        None => Box::new(stream),
    };
    Ok(Answer { status, location, range, body })
}

/// A body of known length: an early end is an error.
struct Exactly<R> {
    stream: BufReader<R>,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        match self.stream.read(&mut buffer[..most])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended early")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let bits = part.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > part.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_through_a_limit_and_to_its_end() {
        let read = |text: String| answer(BufReader::new(io::Cursor::new(text.into_bytes())));
        let found = read("HTTP/1.0 206 x\r\nContent-Range: bytes 4-9/10\r\nodd\r\n\r\nbody".into()).unwrap();
        assert_eq!((found.status, found.range.as_deref()), (206, Some("bytes 4-9/10")));
        assert_eq!(io::read_to_string(found.body).unwrap(), "body");
        assert!(read(format!("HTTP/1.0 200 x\r\nX: {}\r\n\r\n", "y".repeat(1 << 17))).is_err());
        assert!(read("HTTP/1.0 200 x\r\nX: y\r\n".into()).is_err());
        assert!(read("<html> 200 ".into()).is_err());
    }

    #[test]
    fn every_address_of_a_proxy_is_tried() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [closed, open.local_addr().unwrap()];
        assert_eq!(connect("p", addresses.into_iter()).unwrap().peer_addr().unwrap(), addresses[1]);
        assert!(connect("p", std::iter::empty()).unwrap_err().to_string().contains("no address"));
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}
