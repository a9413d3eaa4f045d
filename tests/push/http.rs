//! A server of a few lines for tests: one request a connection, answered by a function.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// What was asked, without its body.
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Bytes of the body.
    pub fn length(&self) -> u64 {
        self.header("content-length").parse().unwrap_or(0)
    }
}

/// What is answered.
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn saying(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// Answers on a port of this machine, which is returned, until the tests end. Without an answer the connection breaks.
pub fn serve(answer: impl Fn(&Request, &mut dyn Read) -> Option<Answer> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || one(&stream, answer.as_ref()));
        }
    });
    port
}

/// The body of a request: who wants to read it gives the client leave to send it.
struct Content<'a, R> {
    lines: R,
    leave: bool,
    stream: &'a TcpStream,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::take(&mut self.leave) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        self.lines.read(bytes)
    }
}

fn one(stream: &TcpStream, answer: &(dyn Fn(&Request, &mut dyn Read) -> Option<Answer> + Send + Sync)) -> Option<()> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    if lines.read_line(&mut line).is_err() {
        // It is TLS, to which servers of HTTP answer so.
        return { stream }.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nno HTTP").ok();
    }
    let mut words = line.split_whitespace();
    let (method, url) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let mut request = Request { method, path: path.to_owned(), query: query.to_owned(), headers: BTreeMap::new() };
    loop {
        line.clear();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = request.length();
    let leave = request.header("expect") == "100-continue";
    let answer = answer(&request, &mut Content { lines: lines.by_ref().take(length), leave, stream })?;
    let headers: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = answer.body.len();
    let head =
        format!("HTTP/1.1 {} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n", answer.status);
    let mut stream = stream;
    let body = if request.method == "HEAD" { "" } else { &answer.body };
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}
