//! Framing of requests: length, header, body.

use bytes::{BufMut, BytesMut};

use super::frame::LENGTH_PREFIX;
use super::header::{ApiKey, RequestHeader};
use super::writer::Writer;

/// A request that is written in one piece.
pub(crate) trait Request {
    /// Its API.
    const API: ApiKey;

    /// Appends the body in the layout of `version`.
    fn write(&self, out: &mut Writer<'_>, version: i16);
}

/// Appends a whole frame to `out`.
pub(crate) fn encode_request<R: Request>(
    out: &mut BytesMut,
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) {
    let frame =
        OpenFrame::begin(out, &RequestHeader { api: R::API, version, correlation_id, client_id });
    request.write(&mut Writer::new(out, R::API.is_flexible(version)), version);
    frame.finish(out, 0);
}

/// A frame whose length is not known yet.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    start: usize,
}

impl OpenFrame {
    /// Leaves room for the length at the end of `out` and appends the header.
    pub(crate) fn begin(out: &mut BytesMut, header: &RequestHeader<'_>) -> Self {
        let start = out.len();
        out.put_bytes(0, LENGTH_PREFIX);
        header.write(out);
        Self { start }
    }

    /// Writes the length of a frame that ends where `out` does, with `out_of_line` further bytes
    /// that are not in `out`. Gives the bytes on the wire, length included.
    pub(crate) fn finish(self, out: &mut BytesMut, out_of_line: usize) -> usize {
        let content = out.len() - self.start - LENGTH_PREFIX + out_of_line;
        let length = i32::try_from(content).expect("requests are shorter than 2 GiB");
        out[self.start..self.start + LENGTH_PREFIX].copy_from_slice(&length.to_be_bytes());
        LENGTH_PREFIX + content
    }
}
