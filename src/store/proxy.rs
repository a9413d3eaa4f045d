//! A file over plain HTTP through a proxy.
//!
//! In: a URL and the proxy. Out: status and body. The HTTP library always asks a proxy for a tunnel, which the proxies people put
//! before package mirrors refuse for `http:`; this asks them for the file (RFC 9112 §3.2.2, absolute form). One request a
//! connection, in the manner of HTTP/1.0, so that the body's end needs no decoding. Not here: retries, `https:`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use ureq::Proxy;

/// An answer under way.
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Where a redirection leads.
    pub location: Option<String>,
    /// The body; reading it fails when it is shorter than promised.
    pub body: Box<dyn Read + Send>,
}

/// Asks `proxy` for `url` from `offset` on.
pub(super) fn get(proxy: &Proxy, url: &str, offset: u64) -> io::Result<Answer> {
    let address = (proxy.host(), proxy.port())
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other(format!("the proxy {} has no address", proxy.host())))?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
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

fn answer(mut stream: BufReader<TcpStream>) -> io::Result<Answer> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the proxy's answer is not HTTP");
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.trim().parse().ok()).ok_or_else(damaged)?;
    let (mut length, mut location) = (None, None);
    for _ in 0..200 {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok(),
            "location" => location = Some(value.trim().to_owned()),
            "transfer-encoding" => return Err(damaged()),
            _ => {}
        }
    }
    let body: Box<dyn Read + Send> = match length {
        Some(left) => Box::new(Exactly { stream, left }),
        None => Box::new(stream),
    };
    Ok(Answer { status, location, body })
}

/// A body of known length: an early end is an error.
struct Exactly {
    stream: BufReader<TcpStream>,
    left: u64,
}

impl Read for Exactly {
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
    fn base64_is_padded() {
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}
