//! A keep-alive HTTP/1.1 client that does as little as one can, so that it leaves the machine to the server.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    out: Vec<u8>,
    answer: Vec<u8>,
    /// Time between writing requests and having read their answers, summed up.
    pub(crate) waited: Duration,
}

impl Connection {
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self {
            stream,
            host: address.to_owned(),
            out: Vec::with_capacity(4096),
            answer: Vec::with_capacity(4096),
            waited: Duration::ZERO,
        })
    }

    /// `GET path`; the body of a 200.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<&[u8]> {
        self.out.clear();
        write!(self.out, "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host)?;
        self.exchange()
    }

    /// `POST path`, with a DPoP proof if there is one; the body of a 200.
    pub(crate) fn post(
        &mut self,
        path: &str,
        content_type: &str,
        proof: Option<&str>,
        body: &str,
    ) -> io::Result<&[u8]> {
        self.out.clear();
        let (host, length) = (&self.host, body.len());
        write!(
            self.out,
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n"
        )?;
        if let Some(proof) = proof {
            write!(self.out, "dpop: {proof}\r\n")?;
        }
        write!(self.out, "\r\n{body}")?;
        self.exchange()
    }

    fn exchange(&mut self) -> io::Result<&[u8]> {
        let started = Instant::now();
        self.stream.write_all(&self.out)?;
        self.answer.clear();
        let mut chunk = [0; 4096];
        let (head, length) = loop {
            if let Some(found) = head_of(&self.answer)
                && self.answer.len() >= found.0 + found.1
            {
                break found;
            }
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.answer.extend(chunk.iter().take(read));
        };
        self.waited += started.elapsed();
        let body = self.answer.get(head..head + length).unwrap_or_default();
        if !self.answer.starts_with(b"HTTP/1.1 200") {
            let text = String::from_utf8_lossy(&self.answer).into_owned();
            return Err(io::Error::other(text));
        }
        Ok(body)
    }
}

/// Where the body begins and how long it is, once the head is there.
fn head_of(answer: &[u8]) -> Option<(usize, usize)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some((end + 4, length.parse().ok()?))
}
